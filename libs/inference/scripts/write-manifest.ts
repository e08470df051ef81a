/**
 * Writes `model.json` of a model folder, from its ONNX files, `score.json` (architecture, schedule, frame rate),
 * `avatars/avatars.json` and, if present, `decoder.json` (larger sizes), `chunk-lengths.json` (graphs for other lengths of a chunk), `decoder-int8.onnx`,
 * `mesh.safetensors` and the landmark detector's `portrait.json`. Run it whenever weights or avatars change:
 *
 *     node --import tsx --conditions=source libs/inference/scripts/write-manifest.ts models/nano
 */
import { createHash } from 'node:crypto';
import { access, readFile, writeFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { chunkGeometry, type GraphManifest, graphManifest } from '@talkmesh/contracts';
import { z } from 'zod';
import { createOrtExecutor, loadModel, type Segment } from '../src/index.js';

const RELEASE = '0.1.0';
const GRAPHS = {
  audio: 'audio.onnx',
  reference: 'reference.onnx',
  decoder: 'decoder.onnx',
} as const satisfies GraphManifest['graphs'];
const PHOTOGRAPHS = { detector: 'face-detector.onnx', mesh: 'face-mesh.onnx' };
const INT8_DECODER = 'decoder-int8.onnx';
const MESH = 'mesh.safetensors';
/** Metadata of a graph whose weights lie in another file: the hash of that file (talkmesh_nano.decoder.chunk_length). */
const POINTED_WEIGHTS = 'weights_sha256';

/** The facts that are not in any graph. */
const scoreFacts = graphManifest.pick({ fps: true, chunk: true, latent: true }).extend({
  score: graphManifest.shape.score,
  /** Of an audio encoder that takes sound of any length; otherwise it follows from the graph. */
  audio: graphManifest.shape.audio.pick({ historySamples: true }).optional(),
});

async function main(folder: string): Promise<void> {
  const facts = scoreFacts.parse(await readJson(join(folder, 'score.json')));
  const avatars = z.array(z.unknown()).parse(await readJson(join(folder, 'avatars/avatars.json')));
  const portrait = await portraitFacts(folder);
  const sizes = await largerSizes(folder);
  const graphs = { ...GRAPHS, ...((await exists(join(folder, INT8_DECODER))) ? { decoderInt8: INT8_DECODER } : {}) };
  const mesh = portrait?.photographs !== undefined && (await exists(join(folder, MESH))) ? [MESH] : [];
  const pictures = avatars.map((avatar) => graphManifest.shape.avatars.element.parse(avatar));
  const idle = pictures.flatMap((avatar) => avatar.idle ?? []);
  const known = await graphFacts(folder, facts, mesh[0]);
  const lengths = await chunkLengths(folder, known.isAudioFree);
  const files = await Promise.all(
    [
      ...Object.values(graphs),
      ...(lengths ?? []).flatMap(({ graphs: paths }) => Object.values(paths).filter((path) => path !== undefined)),
      ...facts.score.weights,
      ...mesh,
      ...(portrait === undefined ? [] : [portrait.graph, ...Object.values(portrait.photographs ?? {})]),
      ...pictures.flatMap(({ image, large }) => (large === undefined ? [image] : [image, large])),
    ].map((path) => fileFacts(folder, path)),
  );
  const content = createHash('sha256')
    .update(files.map((file) => file.sha256).join())
    .digest('hex');
  const manifest = graphManifest.parse({
    schema: 'talkmesh.model/1',
    name: basename(folder),
    version: `${RELEASE}+${content.slice(0, 8)}`,
    licence: 'Apache-2.0',
    description:
      'A small talking-avatar model: causal latent diffusion over motion, two or four steps a chunk, and a decoder that edits and warps a picture. Trained on procedurally drawn avatars, synthesized speech and the recordings of one reader; real time on two CPU cores.',
    latentKind: 'motion',
    fps: facts.fps,
    chunk: facts.chunk,
    latent: facts.latent,
    score: facts.score,
    ...known.manifest,
    ...(sizes === undefined ? {} : { sizes }),
    graphs,
    ...(lengths === undefined ? {} : { chunkLengths: lengths }),
    ...(portrait === undefined ? {} : { portrait }),
    // Recordings of the model are no part of it: its version stays the same when they are made again.
    files: [...files, ...(await Promise.all(idle.map((path) => fileFacts(folder, path))))],
    avatars,
  });
  await writeFile(join(folder, 'model.json'), `${JSON.stringify(manifest, undefined, 2)}\n`);
  const model = await loadModel(folder);
  for (const { id } of manifest.avatars) {
    model.avatarImage(id);
    model.largeImage(id);
  }
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  process.stdout.write(
    `${model.label}: ${files.length} files, ${(bytes / 1e6).toFixed(1)} MB, ${avatars.length} avatars\n`,
  );
}

/** Sizes that the decoder makes besides its own, which no graph says. */
async function largerSizes(folder: string): Promise<GraphManifest['sizes']> {
  const path = join(folder, 'decoder.json');
  const facts = z.object({ sizes: graphManifest.shape.sizes });
  return (await exists(path)) ? facts.parse(await readJson(path)).sizes : undefined;
}

/**
 * The lengths of a chunk in `chunk-lengths.json`, which need an audio encoder for sound of any length.
 * @throws Error for a graph that points into a file that was written again since
 */
async function chunkLengths(folder: string, isAudioFree: boolean): Promise<GraphManifest['chunkLengths']> {
  const path = join(folder, 'chunk-lengths.json');
  if (!(await exists(path))) return undefined;
  if (!isAudioFree) {
    process.stderr.write(`${path} is left out: audio.onnx takes sound of one length only; export it again\n`);
    return undefined;
  }
  const lengths = graphManifest.shape.chunkLengths.parse(await readJson(path)) ?? [];
  for (const { graphs, latentFrames } of lengths)
    for (const [name, file] of Object.entries(graphs)) {
      if (file === undefined) continue;
      const base = name === 'decoderInt8' ? INT8_DECODER : GRAPHS[name as keyof typeof GRAPHS];
      const { sha256 } = await fileFacts(folder, base);
      const graph = await readFile(join(folder, file));
      if (graph.includes(POINTED_WEIGHTS) && !graph.includes(sha256))
        throw new Error(
          `${file} does not fit ${base}: python3 -m talkmesh_nano.decoder.chunk_length --model ${folder} --frames ${latentFrames}`,
        );
    }
  return lengths;
}

/** Reads the facts about `portrait.onnx` from `portrait.json`; undefined for a model without a landmark detector. */
async function portraitFacts(folder: string): Promise<GraphManifest['portrait']> {
  const facts = await readJson(join(folder, 'portrait.json')).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (facts === undefined) return undefined;
  const photographs = (await exists(join(folder, PHOTOGRAPHS.mesh))) ? { photographs: PHOTOGRAPHS } : {};
  return graphManifest.shape.portrait.parse({ ...(facts as object), graph: 'portrait.onnx', ...photographs });
}

/** Sizes as the graphs declare them, so that the manifest cannot contradict them. */
async function graphFacts(folder: string, facts: z.output<typeof scoreFacts>, mesh: string | undefined) {
  await using executor = createOrtExecutor({ threads: 1 });
  const load = (name: keyof typeof GRAPHS): Promise<Segment> => executor.load(join(folder, GRAPHS[name]), name);
  const [audio, reference, decoder] = [await load('audio'), await load('reference'), await load('decoder')];
  const [samples] = freeDims(audio, 'inputs', 'pcm');
  const [, tokensPerFrame, tokenDim] = freeDims(audio, 'outputs', 'audio_tokens').map(Number);
  const sampleRateHz = 24_000 as const;
  const sizes = { sampleRateHz, historySamples: 0, tokensPerFrame: tokensPerFrame ?? 0, tokenDim: tokenDim ?? 0 };
  const { samplesPerChunk } = chunkGeometry({ ...facts, audio: sizes });
  const isAudioFree = typeof samples !== 'number';
  if (isAudioFree && facts.audio === undefined)
    throw new Error('audio.onnx takes sound of any length: score.json needs audio.historySamples; export it again');
  const historySamples = isAudioFree ? (facts.audio?.historySamples ?? 0) : samples - samplesPerChunk;
  const [height, width] = dims(reference, 'inputs', 'image');
  const references = reference.outputs.map((output) => output.name).filter((name) => name !== 'c0');
  const manifest = {
    width,
    height,
    audio: { ...sizes, historySamples },
    decoder: {
      stateShape: dims(decoder, 'inputs', 'state'),
      referenceOutputs: Object.fromEntries(references.map((name) => [name, dims(reference, 'outputs', name)])),
      ...(mesh === undefined ? {} : { mesh }),
    },
  };
  return { manifest, isAudioFree };
}

/** A free dimension is not a number. */
function freeDims(segment: Segment, side: 'inputs' | 'outputs', name: string): readonly (number | string)[] {
  const found = segment[side].find((info) => info.name === name);
  if (found === undefined)
    throw new Error(`${segment.name}.onnx has no ${name} among its ${side}; export the model again`);
  return found.dims;
}

function dims(segment: Segment, side: 'inputs' | 'outputs', name: string): number[] {
  return freeDims(segment, side, name).map((dim) => {
    if (typeof dim === 'number') return dim;
    throw new Error(`${segment.name}.onnx: ${name} has the free dimension ${dim}; fix its size when exporting`);
  });
}

async function fileFacts(folder: string, path: string): Promise<GraphManifest['files'][number]> {
  const bytes = await readFile(join(folder, path));
  return { path, bytes: bytes.byteLength, sha256: createHash('sha256').update(bytes).digest('hex') };
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

async function readJson(path: string): Promise<unknown> {
  return JSON.parse(await readFile(path, 'utf8'));
}

const [folder] = process.argv.slice(2);
if (folder === undefined) {
  process.stderr.write('usage: write-manifest.ts MODEL_FOLDER\n');
  process.exitCode = 2;
} else await main(resolve(folder));
