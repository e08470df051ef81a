/** The graphs of a video model, and how often a chunk runs them. */
import { chunkGeometry, MeshError, type VideoManifest } from '@talkmesh/contracts';
import {
  type CompiledSegment,
  compileCondition,
  compileSound,
  compileTaehvDecoder,
  compileVaeDecoder,
  compileVaeEncoder,
  compileWav2Vec2,
  compileWhole,
  type DitGeometry,
  expectedTensors,
  NeededWeights,
  soundValues,
  type Weights,
} from '../compile/index.js';
import { encoderWindow, type SoundRule } from './sound-window.js';

/** What the sizes of all graphs follow from. */
export type VideoSizes = Pick<
  VideoManifest,
  'name' | 'fps' | 'width' | 'height' | 'chunk' | 'latent' | 'audio' | 'score' | 'codec' | 'decoder'
>;

export function videoDitGeometry({ chunk, latent, audio, score }: VideoSizes): DitGeometry {
  return {
    latentFrames: chunk.latentFrames,
    ...latent,
    // The reference picture, and a mask that tells the first frame.
    given: latent.channels + 1,
    condition: score.prompt,
    sound: chunk.temporalCompression * soundValues(audio.encoder),
  };
}

/** @throws MeshError MODEL_INVALID when the model's sizes do not fit together */
export function soundRule(sizes: VideoSizes): SoundRule {
  const { name, chunk, audio, fps } = sizes;
  const { samplesPerFrame, framesPerChunk } = chunkGeometry(sizes);
  const encoderSamplesPerFrame = audio.encoder.sampleRateHz / fps;
  const windowFrames = audio.historySamples / samplesPerFrame + framesPerChunk;
  if (!Number.isInteger(encoderSamplesPerFrame) || !Number.isInteger(windowFrames))
    throw new MeshError(
      'MODEL_INVALID',
      `${name}: ${audio.historySamples} samples of history and an encoder of ${audio.encoder.sampleRateHz} Hz are not whole frames at ${fps} a second; import the model again`,
    );
  return {
    latentFrames: chunk.latentFrames,
    framesPerLatent: chunk.temporalCompression,
    samplesPerFrame,
    encoderSamplesPerFrame,
    windowFrames,
  };
}

export function soundGraph(sizes: VideoSizes, weights: Weights): CompiledSegment {
  return compileWav2Vec2(sizes.audio.encoder, weights, encoderWindow(soundRule(sizes)));
}

export function pictureGraph({ codec, latent }: VideoSizes, weights: Weights): CompiledSegment {
  return compileVaeEncoder(codec, weights, latent);
}

/** @param weights of the codec, or of the small decoder */
export function decoderSegments(
  { codec, decoder, latent }: VideoSizes,
  weights: Weights,
): { readonly first: CompiledSegment | undefined; readonly steady: CompiledSegment } {
  if (decoder.kind === 'taehv')
    return { first: undefined, steady: compileTaehvDecoder(decoder.sizes, weights, latent) };
  const [first, steady] = (['first', 'steady'] as const).map((part) => compileVaeDecoder(codec, weights, latent, part));
  return { first, steady: steady as CompiledSegment };
}

/** Which weights of a model a graph needs. */
export type VideoNetwork = 'score' | 'audio' | 'codec' | 'small-decoder';

/** Weights without files, for graphs that are only looked at. */
export function videoShapes(sizes: VideoSizes): (network: VideoNetwork) => Weights {
  const { dit } = sizes.score;
  const known = expectedTensors(dit, videoDitGeometry(sizes), sizes.latent.channels);
  return (network) => new NeededWeights(network === 'score' ? known : undefined);
}

/** A graph, as a chunk or a session runs it. */
export interface VideoPart {
  readonly name: string;
  readonly network: VideoNetwork;
  readonly segment: CompiledSegment;
  /** Sizes of the dimensions that the graph leaves open. */
  readonly free: Readonly<Record<string, number>>;
  /** The outputs that are used. */
  readonly outputs: readonly string[];
  /** Runs for each chunk; 0 for what runs once for an avatar or a session. */
  readonly runs: number;
}

/**
 * All graphs in the order in which they run, for a chunk that attends to as many others as it can. What is made when a model is loaded (noise levels), and
 * small graphs without weights (joining the context, changing the pixels' format), are not among them.
 * @param weightsOf opens the weights of a network
 * @throws MeshError MODEL_INVALID
 */
export function videoParts(sizes: VideoSizes, weightsOf: (network: VideoNetwork) => Weights): VideoPart[] {
  const { dit, schedule } = sizes.score;
  const { sink = 0, recent = 0 } = dit.context ?? {};
  const { tokens } = chunkGeometry(sizes);
  const geometry = videoDitGeometry(sizes);
  const score = weightsOf('score');
  const pass = compileWhole(dit, score, geometry, { condition: 'apart' });
  const context = { M: (sink + recent) * tokens };
  return [
    part('picture encoder', 'codec', pictureGraph(sizes, weightsOf('codec')), 0),
    ...optional('prompt', compileCondition(dit, score, geometry), 0),
    part('audio encoder', 'audio', soundGraph(sizes, weightsOf('audio')), 1),
    ...optional('sound vectors', compileSound(dit, score, geometry), 1),
    { ...part('score step', 'score', pass, schedule.length, context), outputs: ['velocity'] },
    { ...part('clean pass', 'score', pass, 1, context), outputs: ['k_chunk', 'v_chunk'] },
    ...decoderParts(sizes, weightsOf),
  ];
}

/** The graphs of the decoder alone. */
export function decoderParts(sizes: VideoSizes, weightsOf: (network: VideoNetwork) => Weights): VideoPart[] {
  const network = sizes.decoder.kind === 'codec' ? 'codec' : 'small-decoder';
  const { first, steady } = decoderSegments(sizes, weightsOf(network));
  const name = network === 'codec' ? 'decoder' : 'small decoder';
  return [
    ...(first === undefined ? [] : [part(`${name}, first latent`, network, first, 0)]),
    part(name, network, steady, 1, { T: sizes.chunk.latentFrames }),
  ];
}

function part(
  name: string,
  network: VideoNetwork,
  segment: CompiledSegment,
  runs: number,
  free: Readonly<Record<string, number>> = {},
): VideoPart {
  return { name, network, segment, free, outputs: segment.outputs.map((output) => output.name), runs };
}

function optional(name: string, segment: CompiledSegment | undefined, runs: number): VideoPart[] {
  return segment === undefined ? [] : [part(name, 'score', segment, runs)];
}
