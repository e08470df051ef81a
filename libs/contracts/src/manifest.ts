import { z } from 'zod';
import { ditDescription } from './dit.js';

const size = z.number().int().positive();
const shape = z.array(size).min(1);
const point = z.tuple([z.number(), z.number()]);
const relativePath = z.string().regex(/^(?!\/)(?!.*\.\.)[\w./-]+$/, 'a path inside the model folder');

/** `model.json`: everything the services know about a model; no size, rate or count of a model stands in code. */
export const modelManifest = z.object({
  schema: z.literal('talkmesh.model/1'),
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,40}$/),
  version: z.string(),
  licence: z.string(),
  description: z.string(),
  /** What the latents are: grids of pixels or slots of motion; for people, no code depends on it. */
  latentKind: z.string(),
  fps: size,
  width: size.multipleOf(2),
  height: size.multipleOf(2),
  chunk: z.object({ latentFrames: size, temporalCompression: size }),
  latent: z.object({ channels: size, height: size, width: size }),
  audio: z.object({
    sampleRateHz: z.literal(24_000),
    historySamples: z.number().int().nonnegative(),
    tokensPerFrame: size,
    tokenDim: size,
  }),
  score: z.object({
    /** The network's architecture; it is compiled to graphs when it is loaded. */
    dit: ditDescription,
    /** Its weights: one `.safetensors` file, or several. */
    weights: z.array(relativePath).min(1),
    /** Noise levels, falling, one per denoising step; the last step ends at 0. */
    schedule: z.array(z.number().gt(0).lte(1)).min(1).max(64),
    sampler: z.literal('euler'),
  }),
  decoder: z.object({ stateShape: shape, referenceOutputs: z.record(z.string(), shape) }),
  graphs: z.object({
    audio: relativePath,
    reference: relativePath,
    decoder: relativePath,
    /** The same decoder with 8-bit convolutions, for processors that are fast at them. */
    decoderInt8: relativePath.optional(),
  }),
  /** Finds mouth and eyes in a picture somebody brings; a model without it needs to be told where they are. */
  portrait: z
    .object({
      graph: relativePath,
      /** Names of the graph's `kinds`, in order. */
      kinds: z.array(z.string()).min(2),
      /** At least this much of `fits`, and at most this much feature distance, is like training. */
      minFits: z.number().gt(0).lt(1),
      maxDistance: z.number().positive(),
      /** Beyond these a face is turned away, a mouth open, eyes closed. */
      maxYaw: z.number().positive(),
      maxMouthOpen: z.number().positive(),
      maxBlink: z.number().positive(),
      minConfidence: z.number().gt(0).lt(1),
      /** Width, height and rows above the landmark of what is edited, pixels. */
      boxes: z.object({ mouth: z.tuple([size, size, size]), eye: z.tuple([size, size, size]) }),
    })
    .optional(),
  files: z.array(z.object({ path: relativePath, bytes: size, sha256: z.string().regex(/^[0-9a-f]{64}$/) })).min(1),
  avatars: z
    .array(
      z.object({
        id: z.string().regex(/^[a-z0-9][a-z0-9-]{0,40}$/),
        name: z.string().min(1),
        style: z.string(),
        image: relativePath,
        /** Pixels in the picture: mouth centre, left eye, right eye as the viewer sees them. */
        landmarks: z.tuple([point, point, point]),
      }),
    )
    .min(1),
});
export type ModelManifest = z.infer<typeof modelManifest>;
export type AvatarManifest = ModelManifest['avatars'][number];

/** Numbers that follow from a manifest. */
export interface ChunkGeometry {
  readonly framesPerChunk: number;
  readonly chunkMs: number;
  readonly samplesPerFrame: number;
  readonly samplesPerChunk: number;
  /** Values of one chunk: latentFrames * C * H * W. */
  readonly latentValues: number;
  /** Tokens of one chunk: latentFrames * (H / patch) * (W / patch). */
  readonly tokens: number;
}

/** @param m without `score`, tokens are counted as if a token were one place of the latent grid */
export function chunkGeometry(
  m: Pick<ModelManifest, 'fps' | 'chunk' | 'latent' | 'audio'> & Partial<Pick<ModelManifest, 'score'>>,
): ChunkGeometry {
  const [rows, columns] = m.score?.dit.patch.size ?? [1, 1];
  const framesPerChunk = m.chunk.latentFrames * m.chunk.temporalCompression;
  const samplesPerFrame = m.audio.sampleRateHz / m.fps;
  const places = m.chunk.latentFrames * m.latent.height * m.latent.width;
  return {
    framesPerChunk,
    chunkMs: (framesPerChunk * 1000) / m.fps,
    samplesPerFrame,
    samplesPerChunk: samplesPerFrame * framesPerChunk,
    latentValues: places * m.latent.channels,
    tokens: places / (rows * columns),
  };
}
