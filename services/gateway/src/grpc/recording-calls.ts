import { once } from 'node:events';
import type { ServerWritableStream } from '@grpc/grpc-js';
import { type PublicCall, toServiceError } from '@talkmesh/service-kit';
import { ownerFilter, type Principal, requireKey } from '../auth.js';
import { check } from '../http/problems.js';
import type { Recording } from '../recordings.js';
import { recordingsQuery } from '../schemas.js';
import { type StopRecordingOptions, stopRecording } from '../stop-recording.js';
import type { StreamLimits } from '../stream-limits.js';
import type { GrpcAccess } from './access.js';

interface SessionRef {
  readonly sessionId: string;
}

interface ListRequest {
  readonly limit: number;
  readonly cursor: string;
}

interface DownloadRequest extends SessionRef {
  readonly part: number;
}

export interface RecordingCallsOptions extends StopRecordingOptions {
  readonly access: GrpcAccess;
  readonly limits: StreamLimits;
}

function toMessage({ owner: _, parts, expiresAtMs = 0, ...recording }: Recording) {
  return {
    ...recording,
    expiresAtMs,
    parts: parts.map(({ manifest, end: _end, file: _file, ...part }) => ({
      ...part,
      sha256: manifest?.claim.assertions[1].data.hash ?? '',
      manifestJson: manifest === undefined ? '' : JSON.stringify(manifest),
    })),
  };
}

/** The calls of SessionService for recordings, with the rules of REST: an API key, and to other keys a recording does not exist. */
export function recordingCalls(options: RecordingCallsOptions) {
  const { recordings, audit, access, limits } = options;
  return {
    list: async ({ limit, cursor }: ListRequest, { principal }: PublicCall<Principal>) => {
      const owner = ownerFilter(requireKey(principal));
      const query = check(recordingsQuery, { ...(limit !== 0 && { limit }), ...(cursor !== '' && { cursor }) });
      const { page, nextCursor = '' } = await recordings.list(owner, query);
      return { recordings: page.map(toMessage), nextCursor };
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
      download(call).catch((thrown: unknown) => {
        if (!call.cancelled) call.emit('error', toServiceError(thrown));
      });
    },
  };

  async function download(call: ServerWritableStream<DownloadRequest, object>): Promise<void> {
    const gone = new AbortController();
    call.once('cancelled', () => gone.abort());
    const key = requireKey(await access.identify(call.metadata));
    const { sessionId, part: wanted } = call.request;
    const video = await recordings.openVideo(sessionId, wanted || 1, ownerFilter(key));
    const { recording, part } = video;
    let release = (): void => undefined;
    try {
      // Beside the event streams of a session, which it may have as many of.
      release = limits.open(`${sessionId} recording`, recording.owner);
      gone.signal.throwIfAborted();
      audit.record(key, 'downloadRecording', { sessionId, owner: recording.owner, part: part.part });
      for await (const data of video.read())
        if (!call.write({ data })) await once(call, 'drain', { signal: gone.signal });
      call.end();
    } finally {
      release();
      await video.close();
    }
  }
}
