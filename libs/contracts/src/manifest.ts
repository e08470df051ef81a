import { z } from 'zod';
import { ditDescription } from './dit.js';

const size = z.number().int().positive();
const shape = z.array(size).min(1);
const point = z.tuple([z.number(), z.number()]);
const relativePath = z.string().regex(/^(?!\/)(?!.*\.\.)[\w./-]+$/, 'a path inside the model folder');

/** `model.json`: everything that the services know about a model. Code contains no size, rate or count of a particular model. */
export const modelManifest = z.object({
  schema: z.literal('talkmesh.model/1'),
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,40}$/),
  version: z.string(),
  licence: z.string(),
  description: z.string(),
  /** Description of the latents for the reader, e.g. a pixel grid or motion slots. No code depends on it. */
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
    /** Architecture of the network, which is compiled to graphs when the model is loaded. */
    dit: ditDescription,
    /** Its weights: one `.safetensors` or `.pth` file, or several. */
    weights: z.array(relativePath).min(1),
    /** Noise level at the start of each denoising step, descending; the last step ends at 0. */
    schedule: z.array(z.number().gt(0).lte(1)).min(1).max(64),
    sampler: z.literal('euler'),
  }),
  decoder: z.object({
    stateShape: shape,
    referenceOutputs: z.record(z.string(), shape),
    /** Constants of the mesh decoder. With them, users' photographs of people are animated by that decoder, and other pictures by the graph. */
    mesh: relativePath.optional(),
  }),
  graphs: z.object({
    audio: relativePath,
    reference: relativePath,
    decoder: relativePath,
    /** The same decoder with 8-bit convolutions, for processors with fast 8-bit arithmetic. */
    decoderInt8: relativePath.optional(),
  }),
  /** Landmark detector for users' pictures. Without it, the user must place the landmarks. */
  portrait: z
    .object({
      graph: relativePath,
      /** Nets that find the faces of photographed people: MediaPipe's face detector and face mesh. */
      photographs: z.object({ detector: relativePath, mesh: relativePath }).optional(),
      /** Names of the graph's `kinds`, in order. */
      kinds: z.array(z.string()).min(2),
      /** A picture resembles the training set when the probability of `fits` is at least `minFits` and the feature distance at most `maxDistance`. */
      minFits: z.number().gt(0).lt(1),
      maxDistance: z.number().positive(),
      /** Above these a face counts as turned away, a mouth as open, eyes as closed. */
      maxYaw: z.number().positive(),
      maxMouthOpen: z.number().positive(),
      maxBlink: z.number().positive(),
      minConfidence: z.number().gt(0).lt(1),
      /** Region that the model edits around a landmark: width, height and rows above the landmark, pixels. */
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
        /** AVIF image sequence of the avatar while nobody speaks, made by the model; it repeats without a visible seam. */
        idle: relativePath.optional(),
        /** Mouth centre, left eye and right eye in pixels of the picture; left and right are the viewer's. */
        landmarks: z.tuple([point, point, point]),
      }),
    )
    .min(1),
});
export type ModelManifest = z.infer<typeof modelManifest>;
export type AvatarManifest = ModelManifest['avatars'][number];

/** Sizes and durations that follow from a manifest. */
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

/** @param m without `score`, each position of the latent grid counts as one token */
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
