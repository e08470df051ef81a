import assert from 'node:assert/strict';
import { createOrtExecutor, type VideoModel } from '@talkmesh/inference';
import { WholeVideo } from '@talkmesh/inference/testing';
import { fromPcm16 } from '@talkmesh/media';
import type { CallTap } from './call-tap.js';

export interface Allowed {
  /** Largest difference of a latent value. Latents have magnitudes of one to three. */
  readonly latents: number;
  /** Largest difference of a pixel, in levels. */
  readonly levels: number;
}

/** What the same graphs give. */
const NOTHING: Allowed = { latents: 0, levels: 0 };

/**
 * Compares all latents of a call, and all frames that the tap saw, with the model in one process, on one device.
 * @returns the number of chunks, and the largest differences
 */
export async function assertSameVideo(
  tap: CallTap,
  model: VideoModel,
  { avatar, seed }: { readonly avatar: string; readonly seed: number },
  allowed: Allowed = NOTHING,
): Promise<{ readonly chunks: number; readonly apart: Allowed }> {
  const { latentValues, framesPerChunk } = model.geometry;
  const chunks = await tap.chunks();
  await using executor = createOrtExecutor({ threads: 1 });
  await using video = await WholeVideo.open(executor, model, avatar, seed);
  await video.sink();
  let compared = 0;
  let apart = NOTHING;
  for (const [number, { chunk, pcm, steps, values }] of chunks.entries()) {
    assert.equal(chunk, number, 'no chunk is missing');
    const seen = Array.from(
      { length: framesPerChunk },
      (_, frame) => tap.frames.get(chunk * framesPerChunk + frame)?.frame,
    );
    const shown = seen.every((frame) => frame?.held !== true);
    const { latents, frames } = await video.next(fromPcm16(pcm), { steps, shown });
    const made = values.subarray(values.length - Math.min(values.length, latentValues));
    const off = largest(made, latents);
    assert.ok(off <= allowed.latents, `the latents of chunk ${chunk} differ by ${off}`);
    apart = { ...apart, latents: Math.max(apart.latents, off) };
    for (const [i, frame] of frames.entries()) {
      if (seen[i] === undefined) continue;
      const levels = largest(seen[i].i420, frame);
      const which = `chunk ${chunk}, frame ${i} of epoch ${seen[i].epoch}`;
      assert.ok(levels <= allowed.levels, `${which} differs by ${levels} levels`);
      apart = { ...apart, levels: Math.max(apart.levels, levels) };
      compared += 1;
    }
  }
  assert.ok(compared > framesPerChunk, `${compared} frames were compared`);
  return { chunks: chunks.length, apart };
}

/** Infinite for NaN or another number of values. */
function largest(a: Float32Array | Uint8Array, b: Float32Array | Uint8Array): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let most = 0;
  for (let i = 0; i < a.length; i++) {
    const off = Math.abs((a[i] as number) - (b[i] as number));
    most = Number.isNaN(off) ? Number.POSITIVE_INFINITY : Math.max(most, off);
  }
  return most;
}
