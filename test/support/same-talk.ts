import assert from 'node:assert/strict';
import { createOrtExecutor, type GraphModel, loadScoreEngine } from '@talkmesh/inference';
import type { CallTap } from './call-tap.js';
import { assertSameFrames } from './same-frames.js';

/**
 * Compares all latents of a call of `balanced` quality, and all frames that the tap saw, with the model in one process, byte by byte. The tap must have seen
 * the call from its beginning, or NATS retain it.
 * @returns the numbers of chunks and of frames that were compared
 */
export async function assertSameTalk(
  tap: CallTap,
  model: GraphModel,
  { avatar, seed }: { readonly avatar: string; readonly seed: number },
): Promise<{ readonly chunks: number; readonly frames: number }> {
  await using executor = createOrtExecutor({ threads: 1 });
  await using score = await loadScoreEngine(model, executor);
  const session = await score.openSession({ avatar, seed, keepChunks: 1 });
  const chunks = await tap.chunks();
  for (const [number, { chunk, pcm, steps, values, held }] of chunks.entries()) {
    assert.deepEqual([chunk, held], [number, false], 'no chunk is missing, none is held');
    const made = await session.generate(chunk, pcm, steps);
    assert.deepEqual(values, made?.values, `the latents of chunk ${chunk}`);
  }
  const { frames } = await assertSameFrames(tap, model, { avatar });
  return { chunks: chunks.length, frames };
}
