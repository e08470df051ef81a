import { z } from 'zod';
import { type DitDescription, ditDescription } from './dit.js';
import { largerSizes } from './picture-sizes.js';
import { SPEECH_RATE_HZ } from './pipeline.js';
import { otherTiers, otherTiersWithTime, noiseSchedule as schedule } from './tiers.js';
import { taehvSizes, wanVaeSizes, wav2vec2Sizes } from './video-sizes.js';

const size = z.number().int().positive();
const shape = z.array(size).min(1);
const point = z.tuple([z.number(), z.number()]);
const relativePath = z.string().regex(/^(?!\/)(?!.*\.\.)[\w./-]+$/, 'a path inside the model folder');

const SPEECH = { sampleRateHz: z.literal(SPEECH_RATE_HZ), historySamples: z.number().int().nonnegative() } as const;

/** What every model states. */
const common = {
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,40}$/),
  version: z.string(),
  licence: z.string(),
  description: z.string(),
  /** Description of the latents for the reader, e.g. a pixel grid or motion slots. No code depends on it. */
  latentKind: z.string(),
  fps: size.refine((fps) => SPEECH_RATE_HZ % fps === 0, `must divide ${SPEECH_RATE_HZ}`),
  width: size.multipleOf(2),
  height: size.multipleOf(2),
  chunk: z.object({ latentFrames: size, temporalCompression: size }),
  latent: z.object({ channels: size, height: size, width: size }),
  files: z.array(z.object({ path: relativePath, bytes: size, sha256: z.string().regex(/^[0-9a-f]{64}$/) })).min(1),
};

const avatar = {
  id: z.string().regex(/^[a-z0-9][a-z0-9-]{0,40}$/),
  name: z.string().min(1),
  style: z.string(),
  /** PNG of `width` x `height`. */
  image: relativePath,
  /** AVIF image sequence of the avatar in silence, made by the model; it repeats without a visible seam. */
  idle: relativePath.optional(),
};

/** ONNX files whose shapes follow from the length of a chunk. They may point into the weights of other files of the model. */
const chunkGraphs = {
  reference: relativePath,
  decoder: relativePath,
  /** The same decoder with 8-bit convolutions, for processors with fast 8-bit arithmetic. */
  decoderInt8: relativePath.optional(),
};

/** A model that moves a picture: its encoders and its decoder are ONNX files of the folder. */
export const graphManifest = z.object({
  schema: z.literal('talkmesh.model/1'),
  ...common,
  /** Larger sizes of the video. Latents, landmarks and boxes are those of `width` x `height` at every size. */
  sizes: largerSizes.optional(),
  audio: z.object({ ...SPEECH, tokensPerFrame: size, tokenDim: size }),
  score: z.object({
    /** Architecture of the network, which is compiled to graphs when the model is loaded. */
    dit: ditDescription.refine(
      (dit) => dit.context === undefined,
      'has a context rule, which only a video model can have',
    ),
    /** Its weights: one `.safetensors` or `.pth` file, or several. */
    weights: z.array(relativePath).min(1),
    schedule,
    /** Other numbers of steps that the weights do well. */
    tiers: otherTiersWithTime.optional(),
    sampler: z.literal('euler'),
  }),
  decoder: z.object({
    stateShape: shape,
    referenceOutputs: z.record(z.string(), shape),
    /** Constants of the mesh decoder. With them, users' photographs of people are animated by that decoder, and other pictures by the graph. */
    mesh: relativePath.optional(),
  }),
  graphs: z.object({ audio: relativePath, ...chunkGraphs }),
  /** Other lengths of a chunk that the weights do well, for a deployment to choose, with the graphs made for them. The audio encoder takes sound of any length. */
  chunkLengths: z
    .array(z.object({ latentFrames: size, graphs: z.object(chunkGraphs) }))
    .min(1)
    .optional(),
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
  avatars: z
    .array(
      z.object({
        ...avatar,
        /** Mouth centre, left eye and right eye in pixels of the model's own size; left and right are the viewer's. */
        landmarks: z.tuple([point, point, point]),
        /** The same picture as a PNG of one of the model's larger sizes. Without it, larger video is made of `image`, and looks soft. */
        large: relativePath.optional(),
        /** `mesh`: the picture looks like a photograph of a person, and the mesh decoder animates it. Default: the decoder graph. */
        decoder: z.enum(['graph', 'mesh']).optional(),
      }),
    )
    .min(1),
});
export type GraphManifest = z.infer<typeof graphManifest>;

/** A model that makes every pixel: networks of Wan's shape, compiled when it is loaded. `checkpoint.json` beside it says where their weights are. */
export const videoManifest = z.object({
  schema: z.literal('talkmesh.video-model/1'),
  ...common,
  audio: z.object({
    ...SPEECH,
    /** wav2vec 2.0. It hears the history and the chunk, resampled to its own rate. */
    encoder: wav2vec2Sizes.extend({ sampleRateHz: size }),
  }),
  score: z.object({
    /** Its `context.sink` chunks of silence precede every session of an avatar; they are not shown. */
    dit: ditDescription.refine((dit) => dit.context !== undefined, 'needs a context rule'),
    schedule,
    tiers: otherTiers.optional(),
    /** Each step goes to finished latents and back to the next noise level with fresh noise. */
    sampler: z.literal('renoise'),
    /** Embedding of the prompt that all sessions share: tokens and their width. */
    prompt: z.object({ tokens: size, dim: size }),
  }),
  /** Autoencoder: its encoder reads the reference picture. */
  codec: wanVaeSizes,
  decoder: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('codec') }),
    z.object({ kind: z.literal('taehv'), sizes: taehvSizes }),
  ]),
  portrait: z.undefined().optional(),
  sizes: z.undefined().optional(),
  avatars: z.array(z.object({ ...avatar, landmarks: z.undefined().optional() })).min(1),
});
export type VideoManifest = z.infer<typeof videoManifest>;

/** `model.json`: everything that the services know about a model. Code contains no size, rate or count of a particular model. */
export const modelManifest = z.discriminatedUnion('schema', [graphManifest, videoManifest]);
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
  /** Values of the sink chunks, which precede those of chunk 0 in its message; 0 for a model without. */
  readonly sinkValues: number;
  /** Tokens of one chunk: latentFrames * (H / patch) * (W / patch). */
  readonly tokens: number;
}

/** What the geometry follows from. Without `score`, each position of the latent grid counts as one token. */
export type SizedModel = Pick<ModelManifest, 'fps' | 'chunk' | 'latent'> & {
  readonly audio: { readonly sampleRateHz: number };
  readonly score?: { readonly dit: Pick<DitDescription, 'patch' | 'context'> };
};

export function chunkGeometry(m: SizedModel): ChunkGeometry {
  const [rows, columns] = m.score?.dit.patch.size ?? [1, 1];
  const framesPerChunk = m.chunk.latentFrames * m.chunk.temporalCompression;
  const samplesPerFrame = m.audio.sampleRateHz / m.fps;
  const places = m.chunk.latentFrames * m.latent.height * m.latent.width;
  const latentValues = places * m.latent.channels;
  return {
    framesPerChunk,
    chunkMs: (framesPerChunk * 1000) / m.fps,
    samplesPerFrame,
    samplesPerChunk: samplesPerFrame * framesPerChunk,
    latentValues,
    sinkValues: latentValues * (m.score?.dit.context?.sink ?? 0),
    tokens: places / (rows * columns),
  };
}
