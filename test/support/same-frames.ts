import assert from 'node:assert/strict';
import { pictureSize } from '@talkmesh/contracts';
import { createOrtExecutor, loadDecoderEngine, type Model } from '@talkmesh/inference';
import type { CallTap } from './call-tap.js';

/**
 * Compares every frame that the tap saw with those of one decoder in this process, to which nothing happened, byte for byte.
 * @param size of the session, pixels; undefined: the model's own @returns how many frames were compared, and by how many workers they were made
 */
export async function assertSameFrames(
  tap: CallTap,
  model: Model,
  { avatar, size }: { readonly avatar: string; readonly size?: number },
): Promise<{ readonly frames: number; readonly workers: number }> {
  const { framesPerChunk } = model.geometry;
  const { scale, width, height } = pictureSize(model.manifest, size);
  await using executor = createOrtExecutor({ threads: 1 });
  await using engine = await loadDecoderEngine(model, executor);
  const session = await engine.openSession({ avatar, scale, keepChunks: 1 });
  const workers = new Set<string>();
  let compared = 0;
  for (const { chunk, held, values } of await tap.chunks()) {
    if (held) continue;
    const frames = (await session.decode(chunk, values))?.frames ?? [];
    assert.equal(frames.length, framesPerChunk);
    for (const [i, frame] of frames.entries()) {
      const seen = tap.frames.get(chunk * framesPerChunk + i);
      if (seen === undefined || seen.frame.held) continue;
      assert.deepEqual([seen.frame.width, seen.frame.height], [width, height]);
      assert.ok(
        Buffer.compare(seen.frame.i420, frame) === 0,
        `chunk ${chunk}, frame ${i}, made by ${seen.by}, differs`,
      );
      workers.add(seen.by);
      compared += 1;
    }
  }
  session.dispose();
  return { frames: compared, workers: workers.size };
}
