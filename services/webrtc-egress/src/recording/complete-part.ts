import { execFile } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { rename, rm, stat } from 'node:fs/promises';
import { setPriority } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { claimOf, manifestFile, type PartFacts, type RecordingKey, type RecordingOutcome } from '@talkmesh/contracts';
import { FFMPEG, NICENESS } from './encoder.js';
import { videoFile, writeJson } from './part-file.js';

export interface PartToComplete {
  /** Of the session. */
  readonly folder: string;
  readonly facts: PartFacts;
  readonly outcome: RecordingOutcome;
  readonly key: RecordingKey;
  readonly version: string;
}

/** A part of 2 GB takes about half a minute. */
const REMUX_MS = 600_000;

/** Makes a closed video seekable, hashes it and signs its manifest. @returns its size, bytes */
export async function completePart({ folder, facts, outcome, key, version }: PartToComplete): Promise<number> {
  const path = join(folder, videoFile(facts.part, facts.format));
  if (outcome.end !== 'disk-full' && outcome.end !== 'storage') await makeSeekable(path, facts.format);
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  const { size: bytes } = await stat(path);
  const claim = claimOf({ version, instanceId: randomUUID(), facts, outcome, sha256: hash.digest('hex'), bytes });
  await writeJson(join(folder, manifestFile(facts.part)), key.sign(claim));
  return bytes;
}

/**
 * A file that is written while a call lasts has its index in pieces, and no duration. This writes it again with both, without encoding;
 * when that fails, the file stays as it is, which can be played too.
 */
async function makeSeekable(path: string, format: PartFacts['format']): Promise<void> {
  const whole = `${path}.whole`;
  // With -copyts an edit list skips what the AAC encoder put before the first sample; otherwise the picture would begin 42 ms late.
  const flags = format === 'mp4' ? ['-copyts', '-movflags', '+faststart'] : [];
  const args = ['-hide_banner', '-loglevel', 'error', '-y', '-i', path, '-c', 'copy', ...flags, '-f', format, whole];
  const isDone = await new Promise<boolean>((resolve) => {
    const child = execFile(FFMPEG, args, { timeout: REMUX_MS, killSignal: 'SIGKILL' }, (error) =>
      resolve(error === null),
    );
    if (child.pid !== undefined) setPriority(child.pid, NICENESS);
  });
  if (isDone) await rename(whole, path);
  else await rm(whole, { force: true });
}
