/** FlashHead's transformer (Soul-AILab/SoulX-FlashHead, flash_head/src/modules/flash_head_model.py): Wan's, without text; each latent frame hears its own sound. */
import type { DitDescription } from '@talkmesh/contracts';
import { SegmentBuilder } from './builder.js';
import type { Weights } from './safetensors.js';
import type { CompiledSegment } from './types.js';
import { type WanSizes, wanDescription } from './wan.js';

export interface FlashHeadSound {
  /** Values of a video frame: 12 hidden states of 768. */
  readonly values: number;
  /** Frames that are heard around a frame: this many before it and after it. */
  readonly around: number;
  /** Width between the linear layers. */
  readonly hidden: number;
  /** Tokens of a latent frame. */
  readonly tokens: number;
}

export const FLASH_HEAD_SOUND: FlashHeadSound = { values: 12 * 768, around: 2, hidden: 512, tokens: 32 };
/** A chunk of 33 video frames, of which it shares 5 (2 latent frames) with the chunk before it (flash_head/configs/infer_params.yaml). */
export const FLASH_HEAD_CHUNK = { latentFrames: 9, overlap: 2 } as const;
/** Video frames of a latent frame, but for the first one, which is one frame. */
const FRAMES_PER_LATENT = 4;

/** A chunk attends to itself alone; what came before it enters as latents. */
export function flashHeadDescription(sizes: WanSizes): DitDescription {
  const { cross, rope, ...plain } = wanDescription(sizes);
  return {
    ...plain,
    rope: { ...rope, contextChunks: 0 },
    ...(cross === undefined ? {} : { cross: { ...cross, tokens: { kind: 'frame' } } }),
  };
}

/** Frames of sound that the latent frames of a chunk hear: those of the chunk, and those around it. */
export function flashHeadFrames({ around }: FlashHeadSound, latentFrames: number): number {
  return FRAMES_PER_LATENT * (latentFrames - 1) + 1 + 2 * around;
}

/**
 * Compiles `hidden` [frames, values], the sound of `flashHeadFrames`, -> `condition` [latentFrames, tokens, dim].
 * @throws MeshError MODEL_INVALID when weights and sizes do not match
 */
export function compileFlashHeadSound(
  sound: FlashHeadSound,
  dim: number,
  weights: Weights,
  latentFrames: number,
): CompiledSegment {
  const { values, around, hidden, tokens } = sound;
  const build = new SegmentBuilder(weights);
  const heard = build.input('hidden', flashHeadFrames(sound, latentFrames), values);
  const later = latentFrames - 1;
  // The first latent frame is the first video frame, with those around it; each later one is four frames, with those around them.
  const [first, each] = [2 * around + 1, FRAMES_PER_LATENT + 2 * around];
  const alone = build.reshape(build.slice(heard, 0, 0, first), 1, first * values);
  const places = Array.from({ length: later * each }, (_, i) => {
    const [latent, frame] = [Math.floor(i / each), i % each];
    return 1 + FRAMES_PER_LATENT * latent + frame;
  });
  const grouped = build.reshape(build.gather(heard, 0, places), later, each * values);
  const relu = (x: string): string => build.op('Relu', x);
  const both = build.concat(
    [
      relu(build.linear(alone, 'audio_proj.proj1', first * values, hidden)),
      relu(build.linear(grouped, 'audio_proj.proj1_vf', each * values, hidden)),
    ],
    0,
  );
  const wide = build.linear(
    relu(build.linear(both, 'audio_proj.proj2', hidden, hidden)),
    'audio_proj.proj3',
    hidden,
    tokens * dim,
  );
  const normed = build.norm(
    build.reshape(wide, latentFrames * tokens, dim),
    { kind: 'layer', eps: 1e-5, affine: 'audio_proj.norm' },
    dim,
  );
  build.output(build.reshape(normed, latentFrames, tokens, dim), 'condition', latentFrames, tokens, dim);
  return build.finish('flash-head-sound');
}
