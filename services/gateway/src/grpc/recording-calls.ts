import { createReadStream } from 'node:fs';
import type { ServerWritableStream } from '@grpc/grpc-js';
import { type PublicCall, toServiceError } from '@talkmesh/service-kit';
import { ownerFilter, type Principal, requireKey } from '../auth.js';
import type { Recording } from '../recordings.js';
import { type StopRecordingOptions, stopRecording } from '../stop-recording.js';
import type { GrpcAccess } from './access.js';

interface SessionRef {
  readonly sessionId: string;
}

interface DownloadRequest extends SessionRef {
  readonly part: number;
}

export interface RecordingCallsOptions extends StopRecordingOptions {
  readonly access: GrpcAccess;
}

const CHUNK_BYTES = 65_536;

function toMessage({ owner: _, parts, expiresAtMs = 0, ...recording }: Recording) {
  return {
    ...recording,
    expiresAtMs,
    parts: parts.map(({ manifest, end: _end, ...part }) => ({
      ...part,
      sha256: manifest?.claim.assertions[1].data.hash ?? '',
      manifestJson: manifest === undefined ? '' : JSON.stringify(manifest),
    })),
  };
}

/** The calls of SessionService for recordings, with the rules of REST: an API key, and to other keys a recording does not exist. */
export function recordingCalls(options: RecordingCallsOptions) {
  const { recordings, audit, access } = options;
  return {
    list: async (_: object, { principal }: PublicCall<Principal>) => {
      const owner = ownerFilter(requireKey(principal));
      return { recordings: (await recordings.list(owner)).map(toMessage) };
    },
    get: async ({ sessionId }: SessionRef, { principal }: PublicCall<Principal>) =>
      toMessage(await recordings.get(sessionId, ownerFilter(requireKey(principal)))),
    stop: async ({ sessionId }: SessionRef, { principal }: PublicCall<Principal>) =>
      toMessage(await stopRecording(options, requireKey(principal), sessionId)),
    delete: async ({ sessionId }: SessionRef, { principal }: PublicCall<Principal>) => {
      const key = requireKey(principal);
      const { owner } = await recordings.delete(sessionId, ownerFilter(key));
      audit.record(key, 'deleteRecording', { sessionId, owner });
      return {};
    },
    download: (call: ServerWritableStream<DownloadRequest, object>): void => {
      download(call).catch((thrown: unknown) => call.emit('error', toServiceError(thrown)));
    },
  };

  async function download(call: ServerWritableStream<DownloadRequest, object>): Promise<void> {
    const key = requireKey(await access.identify(call.metadata));
    const { sessionId, part } = call.request;
    const { owner } = await recordings.get(sessionId, ownerFilter(key));
    const found = await recordings.part(sessionId, part || 1, owner);
    audit.record(key, 'downloadRecording', { sessionId, owner, part: found.part });
    const file = createReadStream(found.path, { highWaterMark: CHUNK_BYTES });
    call.once('cancelled', () => file.destroy());
    for await (const data of file)
      if (!call.write({ data })) await new Promise<void>((resolve) => onceEither(call, resolve));
    call.end();
  }
}

/** A caller that has gone away drains nothing any more. */
function onceEither(call: ServerWritableStream<DownloadRequest, object>, then: () => void): void {
  call.once('drain', then);
  call.once('cancelled', then);
}
