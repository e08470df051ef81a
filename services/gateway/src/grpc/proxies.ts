import {
  type Client,
  type ClientReadableStream,
  type ClientWritableStream,
  Metadata,
  type ServerReadableStream,
  type ServerWritableStream,
  type sendUnaryData,
} from '@grpc/grpc-js';
import { MeshError } from '@talkmesh/contracts';
import { v1 } from '@talkmesh/contracts/protos';
import {
  afterSilence,
  fromServiceError,
  type GrpcServiceImpl,
  type Logger,
  toServiceError,
} from '@talkmesh/service-kit';
import type { Sessions } from '../sessions.js';
import type { WorkerDirectory } from '../worker-directory.js';
import type { GrpcAccess } from './access.js';

export interface ProxyOptions {
  readonly sessions: Sessions;
  readonly directory: WorkerDirectory;
  readonly access: GrpcAccess;
  /** Deadline of a stream: the longest time a session may last, milliseconds. */
  readonly maxSessionMs: number;
  readonly firstMessageMs: number;
  readonly log: Logger;
}

/** Largest audio message (protos/talkmesh/v1/media.proto), bytes. */
const MAX_PCM_BYTES = 65_536;

type AudioChunk = { readonly sessionId: string; readonly pcm: Buffer };
type AudioAnswer = { samples: number; seconds: number };
type AudioUpload = ServerReadableStream<AudioChunk, AudioAnswer>;
type RecordRequest = { readonly sessionId: string };

/** Frames pass as serialized bytes, because decoding and encoding them here would only cost time. */
const asBytes = (bytes: Buffer): Buffer => bytes;

/** talkmesh.v1.RecordService, forwarded to the webrtc-egress that holds the session. */
export function recordProxy(options: ProxyOptions): GrpcServiceImpl {
  const { service } = v1.RecordService;
  return {
    definition: { ...service, Record: { ...service.Record, responseSerialize: asBytes } },
    implementation: {
      record: (call: ServerWritableStream<RecordRequest, Buffer>) => {
        record(call, options).catch((thrown: unknown) => call.emit('error', toServiceError(thrown)));
      },
    },
  };
}

async function record(call: ServerWritableStream<RecordRequest, Buffer>, options: ProxyOptions): Promise<void> {
  const { sessionId } = call.request;
  await options.access.requireSession(call.metadata, sessionId, 'record');
  const peer = options.directory.connect(await options.sessions.addressOf(sessionId, 'webrtc-egress'));
  const client: Client = peer.client(v1.RecordService);
  const { path, requestSerialize } = v1.RecordService.service.Record;
  const upstream: ClientReadableStream<Buffer> = client.makeServerStreamRequest(
    path,
    requestSerialize as (request: RecordRequest) => Buffer,
    asBytes,
    call.request,
    new Metadata(),
    { deadline: Date.now() + options.maxSessionMs },
  );
  let isOver = false;
  upstream.on('status', () => peer.close());
  call.on('cancelled', () => {
    if (isOver) return;
    isOver = true;
    upstream.cancel();
    // A recording has exactly one reader. Without it the remaining frames have no use, so the session ends.
    options.sessions
      .end(sessionId, { reason: 'viewer-gone', cause: 'reader-gone' })
      .catch((err: unknown) =>
        options.log.warn(
          { err, sessionId },
          'the session of a cancelled recording could not be ended; the reaper ends it at its time limit',
        ),
      );
  });
  upstream.on('data', (frame: Buffer) => {
    if (!call.write(frame)) upstream.pause();
  });
  call.on('drain', () => upstream.resume());
  upstream.on('error', (error) => {
    if (!isOver) call.emit('error', toServiceError(fromServiceError(error)));
    isOver = true;
  });
  upstream.on('end', () => {
    if (!isOver) call.end();
    isOver = true;
  });
}

/** talkmesh.v1.AudioIngest, forwarded to the audio-ingest that holds the session. */
export function audioProxy(options: ProxyOptions): GrpcServiceImpl {
  return {
    definition: v1.AudioIngest.service,
    implementation: {
      streamAudio: (call: AudioUpload, done: sendUnaryData<AudioAnswer>) => {
        streamAudio(call, options).then(
          (answer) => done(null, answer),
          (thrown: unknown) => done(toServiceError(thrown)),
        );
      },
    },
  };
}

async function streamAudio(call: AudioUpload, options: ProxyOptions): Promise<AudioAnswer> {
  // Before the first message is read: a stream without a valid credential costs nothing but its headers.
  const principal = await options.access.identify(call.metadata);
  const first = await firstMessage(call, options.firstMessageMs);
  await options.access.requireSessionOf(principal, first.sessionId, 'streamAudio');
  const client = options.directory.clientsAt(await options.sessions.addressOf(first.sessionId, 'audio-ingest')).audio;
  return new Promise((resolve, reject) => {
    const upstream = client.streamAudio({ deadline: Date.now() + options.maxSessionMs }, (error, answer) => {
      if (error === null) resolve(answer as AudioAnswer);
      else reject(withPassedBytes(asTakeover(fromServiceError(error)), passedBytes));
    }) as ClientWritableStream<AudioChunk>;
    const fail = (error: MeshError): void => {
      upstream.cancel();
      reject(error);
    };
    let passedBytes = 0;
    const pass = (chunk: AudioChunk): void => {
      passedBytes += chunk.pcm.length;
      if (chunk.pcm.length > MAX_PCM_BYTES)
        fail(
          new MeshError(
            'BODY_TOO_LARGE',
            `a message has more than ${MAX_PCM_BYTES} bytes of audio; send smaller messages`,
          ),
        );
      else if (upstream.write(chunk)) call.resume();
      else call.pause();
    };
    upstream.on('drain', () => call.resume());
    call.on('data', pass);
    call.on('end', () => upstream.end());
    call.on('cancelled', () => fail(new MeshError('CANCELLED', 'the caller cancelled')));
    pass(first);
  });
}

/** During a takeover the placement names the new worker before it has opened the session; it has received no samples yet. */
function asTakeover(error: MeshError): MeshError {
  if (error.reason !== 'SESSION_NOT_FOUND') return error;
  const message = 'the audio-ingest of this session is being taken over; stream again in a moment';
  return new MeshError('PEER_LOST', message, { cause: error, retryAfterMs: 300, metadata: { samples_received: '0' } });
}

/**
 * Adds how much audio was forwarded, so that a caller that streams again knows where to continue. A live worker reports
 * `samples_received` itself; for a lost one only the number of forwarded bytes is known.
 */
function withPassedBytes(error: MeshError, bytes: number): MeshError {
  if (!error.retryable || error.metadata['samples_received'] !== undefined) return error;
  const metadata = { ...error.metadata, bytes_passed: String(bytes) };
  return new MeshError(error.reason, error.message, { cause: error, metadata });
}

function firstMessage(call: AudioUpload, limitMs: number): Promise<AudioChunk> {
  return new Promise((resolve, reject) => {
    const timer = afterSilence(limitMs, () =>
      reject(
        new MeshError(
          'DEADLINE_EXCEEDED',
          'the first message did not arrive in time; send audio right after opening the stream',
        ),
      ),
    );
    const settle = (): void => {
      timer.cancel();
      call.off('end', onEnd);
    };
    const onEnd = (): void => {
      settle();
      reject(new MeshError('AUDIO_EMPTY', 'the stream ended before its first message; send at least one message'));
    };
    call.once('data', (chunk: AudioChunk) => {
      call.pause();
      settle();
      resolve(chunk);
    });
    call.once('end', onEnd);
    call.once('cancelled', () => {
      settle();
      reject(new MeshError('CANCELLED', 'the caller cancelled'));
    });
  });
}
