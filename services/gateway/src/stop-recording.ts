import { MeshError } from '@talkmesh/contracts';
import type { Audit } from './audit.js';
import { type KeyPrincipal, ownerFilter } from './auth.js';
import type { Recording, Recordings } from './recordings.js';
import type { Sessions } from './sessions.js';

export interface StopRecordingOptions {
  readonly recordings: Recordings;
  readonly sessions: Pick<Sessions, 'getLive'>;
  readonly audit: Audit;
}

/**
 * Stops the recording of a call, which goes on. REST and gRPC have this one rule.
 * @returns the recording; it is being completed for some seconds
 * @throws MeshError NOT_FOUND, NOT_RECORDED, NATS_UNAVAILABLE
 */
export async function stopRecording(
  { recordings, sessions, audit }: StopRecordingOptions,
  key: KeyPrincipal,
  id: string,
): Promise<Recording> {
  const owner = ownerFilter(key);
  const live = await unless(sessions.getLive(id), 'SESSION_NOT_FOUND', 'SESSION_ENDED');
  const isLive = live !== undefined && (owner === undefined || live.owner === owner);
  const recording = isLive ? await unless(recordings.get(id, owner), 'NOT_FOUND') : await recordings.get(id, owner);
  if (recording === undefined)
    throw new MeshError(
      'NOT_RECORDED',
      'this session is not recorded: ask for it with "recording" when you create it; or its recording was deleted',
    );
  await recordings.end(recording, isLive);
  audit.record(key, 'stopRecording', { sessionId: id, owner: recording.owner });
  return recordings.get(id, owner);
}

/** @returns undefined when it fails for one of these reasons */
async function unless<T>(result: Promise<T>, ...reasons: readonly string[]): Promise<T | undefined> {
  try {
    return await result;
  } catch (thrown) {
    if (reasons.includes(MeshError.from(thrown).reason)) return undefined;
    throw thrown;
  }
}
