import type { ServerWritableStream } from '@grpc/grpc-js';
import { type FrameMessage, MeshError } from '@talkmesh/contracts';
import { v1 } from '@talkmesh/contracts/protos';
import { type GrpcServiceImpl, toServiceError, unary } from '@talkmesh/service-kit';
import { type AvatarCall, AvatarStream, type AvatarStreamOptions } from './avatar-stream.js';
import { LivekitSink } from './livekit-sink.js';
import { RecordSink } from './record-sink.js';
import type { Sink } from './session.js';
import { WebrtcSink } from './webrtc-sink.js';

type Signalling = (typeof v1.SignallingService)['service'];
type Recording = (typeof v1.RecordService)['service'];
type OfferRequest = ReturnType<Signalling['Offer']['requestDeserialize']>;
type ChangeIceRequest = ReturnType<Signalling['ChangeIce']['requestDeserialize']>;
type HangupRequest = ReturnType<Signalling['Hangup']['requestDeserialize']>;
type RecordRequest = ReturnType<Recording['Record']['requestDeserialize']>;
type RecordedFrame = Parameters<Recording['Record']['responseSerialize']>[0];
type RecordCall = ServerWritableStream<RecordRequest, RecordedFrame>;

export interface ControlOptions extends AvatarStreamOptions {
  /** The sink of a session. @throws MeshError SESSION_NOT_FOUND */
  sinkOf(sessionId: string): Sink;
  readonly recordStallMs: number;
}

/** The gRPC services besides StageService: WHEP signalling and recording. */
export function controlServices(options: ControlOptions): GrpcServiceImpl[] {
  return [
    {
      definition: v1.SignallingService.service,
      implementation: {
        Offer: unary((request: OfferRequest) => offer(options, request)),
        ChangeIce: unary((request: ChangeIceRequest) => changeIce(options, request)),
        Hangup: unary((request: HangupRequest) => hangup(options, request)),
      },
    },
    {
      definition: v1.RecordService.service,
      implementation: { Record: (call: RecordCall) => void record(options, call) },
    },
    {
      definition: v1.AvatarService.service,
      implementation: { Connect: (call: AvatarCall) => void new AvatarStream(call, options) },
    },
  ];
}

async function offer(
  { sinkOf }: ControlOptions,
  { sessionId, sdp }: OfferRequest,
): Promise<{ sdp: string; resourceId: string }> {
  return viewerSink(sinkOf(sessionId)).offer(sdp);
}

async function changeIce(
  { sinkOf }: ControlOptions,
  { sessionId, resourceId, ifMatch, fragment }: ChangeIceRequest,
): Promise<{ fragment: string }> {
  return { fragment: await viewerSink(sinkOf(sessionId)).ice(resourceId, ifMatch, fragment) };
}

/** @throws MeshError ARGUMENT_INVALID: the session plays elsewhere */
function viewerSink(sink: Sink): WebrtcSink {
  if (sink instanceof WebrtcSink) return sink;
  const why =
    sink instanceof LivekitSink
      ? 'the session plays into a LiveKit room; join that room to watch it'
      : 'the session was opened for recording, or for frames; open it with output "webrtc" to watch it';
  throw new MeshError('ARGUMENT_INVALID', why);
}

async function hangup({ sinkOf }: ControlOptions, { sessionId, resourceId }: HangupRequest): Promise<object> {
  try {
    const sink = sinkOf(sessionId);
    if (sink instanceof WebrtcSink) await sink.hangup(resourceId);
  } catch (thrown) {
    if (MeshError.from(thrown).reason !== 'SESSION_NOT_FOUND') throw thrown;
  }
  return {};
}

async function record({ sinkOf, recordStallMs }: ControlOptions, call: RecordCall): Promise<void> {
  const abort = new AbortController();
  call.on('cancelled', () => abort.abort(new MeshError('CANCELLED', 'the reader disconnected')));
  try {
    const sink = sinkOf(call.request.sessionId);
    if (!(sink instanceof RecordSink))
      throw new MeshError(
        'ARGUMENT_INVALID',
        'the session was opened for live viewers; open it with output "record" to record it',
      );
    const write = (index: number, frame: FrameMessage) =>
      writeFrame(call, recordedFrame(index, frame), recordStallMs, abort.signal);
    await sink.record({ write, stopAfterFrames: call.request.stopAfterFrames, signal: abort.signal });
    call.end();
  } catch (thrown) {
    call.emit('error', toServiceError(thrown));
  }
}

function recordedFrame(index: number, frame: FrameMessage): RecordedFrame {
  const { epoch, chunk, mediaTimeUs, width, height, speaking } = frame;
  const { buffer, byteOffset, byteLength } = frame.i420;
  const i420 = Buffer.from(buffer, byteOffset, byteLength);
  const pcm = Buffer.from(frame.pcm.buffer, frame.pcm.byteOffset, frame.pcm.byteLength);
  return { index, epoch, chunk, mediaTimeUs, width, height, speaking, i420, pcm };
}

/** Resolves when HTTP/2 flow control has let the frame out, so that a slow reader slows the session frame by frame. */
function writeFrame(call: RecordCall, frame: RecordedFrame, stallMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => done(signal.reason as Error);
    const done = (error?: Error | null): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      if (error) reject(error);
      else resolve();
    };
    const timer = setTimeout(
      () => done(new MeshError('DEADLINE_EXCEEDED', `the reader took no frame for ${stallMs} ms`)),
      stallMs,
    );
    signal.addEventListener('abort', onAbort, { once: true });
    call.write(frame, done);
  });
}
