import type { GraphModel } from '../model/model.js';
import type { MatchedScoreEngine } from '../score/matched-engine.js';
import type { MatchedScoreSession } from '../score/matched-session.js';
import type { GeneratedChunk } from '../score/score-engine.js';

/** Audio of one chunk; every chunk differs. */
export function chirp(model: GraphModel, chunk: number): Int16Array {
  return Int16Array.from({ length: model.geometry.samplesPerChunk }, (_, i) =>
    Math.round(6000 * (1 + Math.sin(chunk * 1.7 + i / 3000)) * Math.sin((i * (chunk + 3)) / 40)),
  );
}

/** Limits of the denoising steps of chunks 3 to 5: a degraded, a held and a full chunk. */
const STEP_LIMITS = [1, 0, Number.POSITIVE_INFINITY] as const;

export interface Rollout {
  readonly seed: number;
  /** Number of chunks that are generated concurrently. */
  readonly depth: number;
}

/**
 * Runs a session with all cases that occur: full chunks, a degraded and a held one, and two chunks that are rolled back, the
 * second while it is being generated, and regenerated from other audio.
 * @returns the latents of the chunks that stay
 */
export async function rollOut(engine: MatchedScoreEngine, { seed, depth }: Rollout): Promise<Float32Array[]> {
  const { model } = engine;
  const avatar = model.manifest.avatars[0]?.id ?? '';
  const session = await engine.openSession({ avatar, seed, keepChunks: 4 });
  try {
    const sound = (chunk: number): Int16Array => chirp(model, chunk);
    const plain = await inOrder(depth, [0, 1, 2], (chunk) => session.generate(chunk, sound(chunk)));
    const eased = await inOrder(depth, [3, 4, 5], (chunk) =>
      session.generate(chunk, sound(chunk), STEP_LIMITS[chunk - 3]),
    );
    await flushed(session, [6, 7], (chunk) => sound(chunk + 40));
    const again = await inOrder(depth, [6, 7, 8], (chunk) => session.generate(chunk, sound(chunk)));
    return [...plain, ...eased, ...again].map((made) => made.values);
  } finally {
    session.dispose();
  }
}

/** Starts two chunks and rolls both back. The first may be complete by then. */
async function flushed(
  session: MatchedScoreSession,
  [from, to]: readonly [number, number],
  sound: (chunk: number) => Int16Array,
): Promise<void> {
  const first = session.generate(from, sound(from));
  const second = session.generate(to, sound(to));
  await Promise.race([first, new Promise((resolve) => setTimeout(resolve, 3))]);
  session.rollback(from);
  const [, late] = await Promise.all([first, second]);
  if (late !== undefined) throw new Error('a chunk that was rolled back was returned');
}

/** Generates chunks in order, up to `depth` of them concurrently. */
export async function inOrder(
  depth: number,
  chunks: readonly number[],
  make: (chunk: number) => Promise<GeneratedChunk | undefined>,
): Promise<GeneratedChunk[]> {
  const underWay: Promise<GeneratedChunk | undefined>[] = [];
  const made: GeneratedChunk[] = [];
  const finish = async (): Promise<void> => {
    const chunk = await underWay.shift();
    if (chunk === undefined) throw new Error('a chunk was abandoned');
    made.push(chunk);
  };
  for (const chunk of chunks) {
    if (underWay.length === depth) await finish();
    underWay.push(make(chunk));
  }
  while (underWay.length > 0) await finish();
  return made;
}

export function largestDifference(a: readonly Float32Array[], b: readonly Float32Array[]): number {
  let largest = a.length === b.length ? 0 : Number.POSITIVE_INFINITY;
  for (const [i, values] of a.entries()) {
    if (values.length !== b[i]?.length) return Number.POSITIVE_INFINITY;
    for (const [k, value] of values.entries()) largest = Math.max(largest, Math.abs(value - (b[i]?.[k] ?? Number.NaN)));
  }
  return largest;
}
