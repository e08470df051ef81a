import type { ServerReadableStream, sendUnaryData } from '@grpc/grpc-js';
import { MeshError, v1 } from '@talkmesh/contracts';
import { type GrpcServiceImpl, toServiceError, unary } from '@talkmesh/service-kit';
import type { Microphone } from './microphone.js';
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
  readonly microphone: Microphone;
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
  const offer = async ({ sessionId, sdp }: OfferRequest) => held(sessionId).microphone.offer(sdp);
  const changeIce = async ({ sessionId, resourceId, ifMatch, fragment }: ChangeIceRequest) => ({
    fragment: await held(sessionId).microphone.ice(resourceId, ifMatch, fragment),
  });
  const hangup = async ({ sessionId, resourceId }: HangupRequest) => {
    await sessions.get(sessionId)?.microphone.hangup(resourceId);
    return {};
  };
  const stream = (call: StreamCall, callback: sendUnaryData<StreamResponse>): void => {
    const cancelled = new AbortController();
    call.on('cancelled', () => cancelled.abort(new MeshError('CANCELLED', 'the sender disconnected')));
    const sessionOf = (sessionId: string) => held(sessionId).session;
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
