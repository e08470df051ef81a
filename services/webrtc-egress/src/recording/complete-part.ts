import { execFile } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import {
  claimOf,
  manifestFile,
  openFile,
  type PartFacts,
  RECORDING_BEAT_MS,
  type RecordingKey,
  type RecordingOutcome,
  videoFile,
} from '@talkmesh/contracts';
import { FFMPEG, lowerPriority } from './encoder.js';
import { FILE_MODE, writeJson } from './part-file.js';

export interface PartToComplete {
  /** Of the session. */
  readonly folder: string;
  readonly facts: PartFacts;
  readonly outcome: RecordingOutcome;
  readonly key: RecordingKey;
  readonly version: string;
  /** Aborted when the process ends: another worker completes the part then. */
  readonly signal: AbortSignal;
}

/** A part of 2 GB takes about half a minute. */
const REMUX_MS = 600_000;

/**
 * Makes a closed video seekable, hashes it, signs its manifest and removes its state. Meanwhile other workers leave the part alone.
 * @returns its size, bytes. @throws Error when it is not complete, which a later sweep tries again
 */
export async function completePart({ folder, facts, outcome, key, version, signal }: PartToComplete): Promise<number> {
  const video = videoFile(facts.part, facts.format);
  const [path, state] = [join(folder, video), join(folder, openFile(facts.part))];
  const claimed = setInterval(() => void touch(state).catch(() => undefined), RECORDING_BEAT_MS);
  try {
    if (outcome.end !== 'disk-full' && outcome.end !== 'storage') await makeSeekable(path, facts.format, signal);
    const hash = createHash('sha256');
    await pipeline(createReadStream(path), hash, { signal });
    const { size: bytes } = await stat(path);
    const claim = claimOf({ version, instanceId: randomUUID(), facts, outcome, sha256: hash.digest('hex'), bytes });
    await writeJson(join(folder, manifestFile(facts.part)), key.sign(claim));
    const left = (await readdir(folder)).filter((name) => name.startsWith(`${video}.`));
    for (const name of left) await rm(join(folder, name), { force: true });
    await rm(state, { force: true });
    return bytes;
  } finally {
    clearInterval(claimed);
  }
}

/** Does not make a file that is not there. @throws Error ENOENT */
export const touch = (path: string): Promise<void> => utimes(path, new Date(), new Date());

/**
 * A file that is written while a call lasts has its index in pieces, and no duration. This writes it again with both, without encoding;
 * when that fails, the file stays as it is, which can be played too.
 */
async function makeSeekable(path: string, format: PartFacts['format'], signal: AbortSignal): Promise<void> {
  const whole = `${path}.${randomUUID()}`;
  // With -copyts an edit list skips what the AAC encoder put before the first sample; otherwise the picture would begin 42 ms late.
  const flags = format === 'mp4' ? ['-copyts', '-movflags', '+faststart'] : [];
  const args = ['-hide_banner', '-loglevel', 'error', '-y', '-i', path, '-c', 'copy', ...flags, '-f', format, whole];
  // A file that ffmpeg makes itself could be read by other users.
  const isDone = await writeFile(whole, '', { mode: FILE_MODE, flag: 'wx' }).then(
    () => ffmpeg(args, signal),
    () => false,
  );
  if (isDone) await rename(whole, path);
  else await rm(whole, { force: true });
  signal.throwIfAborted();
}

/** @returns whether it ended well */
function ffmpeg(args: readonly string[], signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const child = execFile(FFMPEG, args, { timeout: REMUX_MS, killSignal: 'SIGKILL', signal }, (error) =>
      resolve(error === null),
    );
    if (child.pid !== undefined) lowerPriority(child.pid);
  });
}
