import {
  type Client,
  type ClientReadableStream,
  type ClientWritableStream,
  Metadata,
  type ServerReadableStream,
  type ServerWritableStream,
  type sendUnaryData,
} from '@grpc/grpc-js';
import { MeshError, v1 } from '@talkmesh/contracts';
import { fromServiceError, type GrpcServiceImpl, type Logger, toServiceError } from '@talkmesh/service-kit';
import type { Sessions } from '../sessions.js';
import type { WorkerDirectory } from '../worker-directory.js';
import type { GrpcAccess } from './access.js';

export interface ProxyOptions {
  readonly sessions: Sessions;
  readonly directory: WorkerDirectory;
  readonly access: GrpcAccess;
  /** A stream lives no longer than a session may, milliseconds. */
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

/** Frames pass as bytes: nothing here reads them, so nothing is decoded and encoded again. */
const asBytes = (bytes: Buffer): Buffer => bytes;

/** talkmesh.v1.RecordService, passed on to the webrtc-egress that holds the session. */
export function recordProxy(o: ProxyOptions): GrpcServiceImpl {
  const { service } = v1.RecordService;
  return {
    definition: { ...service, Record: { ...service.Record, responseSerialize: asBytes } },
    implementation: {
      record: (call: ServerWritableStream<RecordRequest, Buffer>) => {
        record(call, o).catch((thrown: unknown) => call.emit('error', toServiceError(thrown)));
      },
    },
  };
}

async function record(call: ServerWritableStream<RecordRequest, Buffer>, o: ProxyOptions): Promise<void> {
  const { sessionId } = call.request;
  await o.access.session(call.metadata, sessionId);
  const client: Client = o.directory.at(await o.sessions.addressOf(sessionId, 'webrtc-egress')).stage;
  const { path, requestSerialize } = v1.RecordService.service.Record;
  const upstream: ClientReadableStream<Buffer> = client.makeServerStreamRequest(
    path,
    requestSerialize as (request: RecordRequest) => Buffer,
    asBytes,
    call.request,
    new Metadata(),
    { deadline: Date.now() + o.maxSessionMs },
  );
  let over = false;
  call.on('cancelled', () => {
    if (over) return;
    over = true;
    upstream.cancel();
    // The one reader of a recording went away before its end: nobody will read the rest.
    o.sessions
      .end(sessionId, { reason: 'viewer-gone', cause: 'reader-gone' })
      .catch((err: unknown) => o.log.warn({ err, sessionId }, 'a left recording was not ended'));
  });
  upstream.on('data', (frame: Buffer) => {
    if (!call.write(frame)) upstream.pause();
  });
  call.on('drain', () => upstream.resume());
  upstream.on('error', (error) => {
    if (!over) call.emit('error', toServiceError(fromServiceError(error)));
    over = true;
  });
  upstream.on('end', () => {
    if (!over) call.end();
    over = true;
  });
}

/** talkmesh.v1.AudioIngest, passed on to the audio-ingest that holds the session. */
export function audioProxy(o: ProxyOptions): GrpcServiceImpl {
  return {
    definition: v1.AudioIngest.service,
    implementation: {
      streamAudio: (call: AudioUpload, done: sendUnaryData<AudioAnswer>) => {
        streamAudio(call, o).then(
          (answer) => done(null, answer),
          (thrown: unknown) => done(toServiceError(thrown)),
        );
      },
    },
  };
}

async function streamAudio(call: AudioUpload, o: ProxyOptions): Promise<AudioAnswer> {
  const first = await firstMessage(call, o.firstMessageMs);
  await o.access.session(call.metadata, first.sessionId);
  const client = o.directory.at(await o.sessions.addressOf(first.sessionId, 'audio-ingest')).audio;
  return new Promise((resolve, reject) => {
    const upstream = client.streamAudio({ deadline: Date.now() + o.maxSessionMs }, (error, answer) => {
      if (error === null) resolve(answer as AudioAnswer);
      else reject(withPassed(takenOver(fromServiceError(error)), passedBytes));
    }) as ClientWritableStream<AudioChunk>;
    const fail = (error: MeshError): void => {
      upstream.cancel();
      reject(error);
    };
    let passedBytes = 0;
    const pass = (chunk: AudioChunk): void => {
      passedBytes += chunk.pcm.length;
      if (chunk.pcm.length > MAX_PCM_BYTES)
        fail(new MeshError('BODY_TOO_LARGE', `a message has at most ${MAX_PCM_BYTES} bytes of audio`));
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

/** The session lives: its new worker is placed already and about to open it; it took nothing. */
function takenOver(error: MeshError): MeshError {
  if (error.reason !== 'SESSION_NOT_FOUND') return error;
  const message = 'the audio-ingest of this session is being taken over; stream again in a moment';
  return new MeshError('PEER_LOST', message, { cause: error, retryAfterMs: 300, metadata: { samples_received: '0' } });
}

/** A caller that may try again is told how far it came: the worker counts what it received, a dead one leaves what was sent to it. */
function withPassed(error: MeshError, bytes: number): MeshError {
  if (!error.retryable || error.metadata['samples_received'] !== undefined) return error;
  const metadata = { ...error.metadata, bytes_passed: String(bytes) };
  return new MeshError(error.reason, error.message, { cause: error, metadata });
}

function firstMessage(call: AudioUpload, limitMs: number): Promise<AudioChunk> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new MeshError('DEADLINE_EXCEEDED', 'no first message came')), limitMs);
    const settle = (): void => {
      clearTimeout(timer);
      call.off('end', onEnd);
    };
    const onEnd = (): void => {
      settle();
      reject(new MeshError('AUDIO_EMPTY', 'the stream ended before its first message'));
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
