import type { ServerReadableStream, sendUnaryData } from '@grpc/grpc-js';
import { MeshError } from '@talkmesh/contracts';
import { v1 } from '@talkmesh/contracts/protos';
import { type GrpcServiceImpl, toServiceError, unary } from '@talkmesh/service-kit';
import { Microphone } from './microphone.js';
import type { RoomMicrophone } from './room-microphone.js';
import type { IngestSession } from './session.js';
import { type StreamLimits, type StreamMessage, streamAudio } from './stream-audio.js';

type Signalling = (typeof v1.SignallingService)['service'];
type OfferRequest = ReturnType<Signalling['Offer']['requestDeserialize']>;
type ChangeIceRequest = ReturnType<Signalling['ChangeIce']['requestDeserialize']>;
type HangupRequest = ReturnType<Signalling['Hangup']['requestDeserialize']>;
type StreamResponse = { samples: number; seconds: number };
type StreamCall = ServerReadableStream<StreamMessage, StreamResponse>;

export interface HeldSession {
  readonly session: IngestSession;
  readonly microphone: Microphone | RoomMicrophone;
}

export interface ControlOptions {
  readonly sessions: ReadonlyMap<string, HeldSession>;
  readonly limits: StreamLimits;
}

/** The gRPC services besides StageService: WHIP signalling and StreamAudio. */
export function controlServices({ sessions, limits }: ControlOptions): GrpcServiceImpl[] {
  const held = (sessionId: string): HeldSession => {
    const found = sessions.get(sessionId);
    if (found === undefined) throw new MeshError('SESSION_NOT_FOUND', 'this worker does not hold the session');
    return found;
  };
  /** A session that hears a LiveKit room takes no other sound. @throws MeshError SESSION_NOT_FOUND, ARGUMENT_INVALID */
  const open = (sessionId: string): { session: IngestSession; microphone: Microphone } => {
    const { session, microphone } = held(sessionId);
    if (microphone instanceof Microphone) return { session, microphone };
    throw new MeshError(
      'ARGUMENT_INVALID',
      'the session hears its LiveKit room; publish the microphone there, or create a session without transport.livekit.microphone',
    );
  };
  const offer = async ({ sessionId, sdp }: OfferRequest) => open(sessionId).microphone.offer(sdp);
  const changeIce = async ({ sessionId, resourceId, ifMatch, fragment }: ChangeIceRequest) => ({
    fragment: await open(sessionId).microphone.ice(resourceId, ifMatch, fragment),
  });
  const hangup = async ({ sessionId, resourceId }: HangupRequest) => {
    const microphone = sessions.get(sessionId)?.microphone;
    if (microphone instanceof Microphone) await microphone.hangup(resourceId);
    return {};
  };
  const stream = (call: StreamCall, callback: sendUnaryData<StreamResponse>): void => {
    const cancelled = new AbortController();
    call.on('cancelled', () => cancelled.abort(new MeshError('CANCELLED', 'the sender disconnected')));
    const sessionOf = (sessionId: string) => open(sessionId).session;
    streamAudio(call[Symbol.asyncIterator](), sessionOf, limits, cancelled.signal).then(
      (response) => callback(null, response),
      (thrown: unknown) => callback(toServiceError(thrown)),
    );
  };
  return [
    {
      definition: v1.SignallingService.service,
      implementation: { Offer: unary(offer), ChangeIce: unary(changeIce), Hangup: unary(hangup) },
    },
    { definition: v1.AudioIngest.service, implementation: { StreamAudio: stream } },
  ];
}
