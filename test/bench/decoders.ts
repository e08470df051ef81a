import { readFileSync } from 'node:fs';
import { type Landmarks, pictureSizes } from '@talkmesh/contracts';
import {
  createOrtExecutor,
  type DecoderSession,
  loadDecoderEngine,
  loadModel,
  loadScoreEngine,
} from '@talkmesh/inference';
import { speak } from '../support/speech.js';
import { median } from '../support/statistics.js';
import type { Row } from './table.js';

const CHUNKS = 30;
const WARM_UP = 6;
const PHOTOGRAPH = 'own-0000000000000000';
const PICTURE = new URL('../fixtures/grace-hopper-face.png', import.meta.url);

/** One row for each decoder of a model and size of its video, which take turns: processor time of the same latents on one thread, and its ratios to the first row's and to the same decoder's at the model's own size. */
export async function measureDecoders(folder: string): Promise<Row[]> {
  const landmarks: Landmarks = [
    [133, 174],
    [96.5, 104],
    [164, 102],
  ];
  const picture = { png: readFileSync(PICTURE), landmarks };
  const model = await loadModel(folder, { ownPictures: async () => picture });
  await using executor = createOrtExecutor({ threads: 1 });
  const latents = await latentsOfSpeech(folder);
  await using engine = await loadDecoderEngine(model, executor);
  const measured: { readonly session: DecoderSession; readonly size: number; readonly times: number[] }[] = [];
  for (const avatar of [model.manifest.avatars[0]?.id ?? '', PHOTOGRAPH])
    for (const { size, scale } of pictureSizes(model.manifest)) {
      const session = await engine.openSession({ avatar, scale, keepChunks: 2 });
      measured.push({ session, size, times: [] });
    }
  for (const [chunk, values] of latents.entries())
    for (const { session, times } of measured) {
      const before = process.cpuUsage();
      await session.decode(chunk, values);
      const { user, system } = process.cpuUsage(before);
      if (chunk >= WARM_UP) times.push((user + system) / 1000);
    }
  const first = median(measured[0]?.times ?? []);
  return measured.map(({ session: { kind }, size, times }) => {
    const ms = median(times);
    const own = median(measured.find(({ session }) => session.kind === kind)?.times ?? []);
    return {
      ...{ decoder: kind, size, 'CPU ms a chunk': ms, '% of a chunk': (100 * ms) / model.geometry.chunkMs },
      ...{ 'x first row': ms / first, 'x own size': ms / own },
    };
  });
}

async function latentsOfSpeech(folder: string): Promise<Float32Array[]> {
  const model = await loadModel(folder);
  await using executor = createOrtExecutor({ threads: 1 });
  await using score = await loadScoreEngine(model, executor);
  const session = await score.openSession({ avatar: model.manifest.avatars[0]?.id ?? '', seed: 1, keepChunks: 4 });
  const speech = speak('All the world is a stage, and all the men and women merely players. '.repeat(6));
  const { samplesPerChunk } = model.geometry;
  const latents: Float32Array[] = [];
  for (let chunk = 0; chunk < CHUNKS + WARM_UP; chunk++) {
    const at = (chunk * samplesPerChunk) % (speech.length - samplesPerChunk);
    const made = await session.generate(chunk, speech.slice(at, at + samplesPerChunk));
    if (made !== undefined) latents.push(made.values);
  }
  session.dispose();
  return latents;
}
