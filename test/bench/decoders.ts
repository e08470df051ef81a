import { readFileSync } from 'node:fs';
import type { Landmarks } from '@talkmesh/contracts';
import { createOrtExecutor, loadDecoderEngine, loadModel, loadScoreEngine } from '@talkmesh/inference';
import { speak } from '../support/speech.js';
import { median } from '../support/statistics.js';
import type { Row } from './table.js';

const CHUNKS = 30;
const WARM_UP = 6;
const PHOTOGRAPH = 'own-0000000000000000';
const PICTURE = new URL('../fixtures/grace-hopper-face.png', import.meta.url);

/** One row for each decoder of a model: processor time of the same latents on one thread, and its ratio to the first row's. */
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
  const rows: Row[] = [];
  let baseline: number | undefined;
  for (const avatar of [model.manifest.avatars[0]?.id ?? '', PHOTOGRAPH]) {
    const session = await engine.openSession({ avatar, keepChunks: 2 });
    const times: number[] = [];
    for (const [chunk, values] of latents.entries()) {
      const before = process.cpuUsage();
      await session.decode(chunk, values);
      const { user, system } = process.cpuUsage(before);
      if (chunk >= WARM_UP) times.push((user + system) / 1000);
    }
    const ms = median(times);
    baseline ??= ms;
    const { kind } = session;
    session.dispose();
    rows.push({
      decoder: kind,
      'CPU ms a chunk': ms,
      '% of a chunk': (100 * ms) / model.geometry.chunkMs,
      'x first row': ms / baseline,
    });
  }
  return rows;
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
