import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { MeshError } from '@talkmesh/contracts';
import { mixDown, parseWav, Resampler, SpeechGate, toPcm16 } from '@talkmesh/media';
import { sine } from '@talkmesh/media/testing';
import { createLogger } from '@talkmesh/service-kit';
import { until } from '@talkmesh/service-kit/testing';
import { parseConfig } from './config.js';
import { SileroModel, WINDOW_MS } from './silero.js';
import { VoiceWatch } from './voice.js';

const log = createLogger({ service: 'test', instanceId: 'test', level: 'silent', pretty: false });
let model: SileroModel;
before(async () => {
  model = await SileroModel.load(parseConfig({}).vadModel, log);
});
after(() => model[Symbol.asyncDispose]());

async function speech(): Promise<Int16Array> {
  const { sampleRateHz, samples } = parseWav(await readFile(new URL('../src/testing/speech.wav', import.meta.url)));
  const resampler = new Resampler(sampleRateHz, 24_000);
  return toPcm16(Float32Array.from([...resampler.push(mixDown(samples)), ...resampler.flush()]));
}

async function probabilities(pcm: Int16Array, step = 480): Promise<number[]> {
  const detector = model.detector();
  const found: number[] = [];
  for (let at = 0; at < pcm.length; at += step) found.push(...(await detector.push(pcm.subarray(at, at + step))));
  detector.close();
  return found;
}
const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

test('speech is detected; silence, noise and a tone are not', async () => {
  const spoken = await probabilities(await speech());
  assert.ok(mean(spoken) > 0.6, `speech ${mean(spoken)}`);
  let seed = 1;
  const noise = Int16Array.from({ length: 24_000 }, () => {
    seed = (seed * 48_271) % 2_147_483_647;
    return (seed / 2_147_483_647 - 0.5) * 3000;
  });
  for (const [what, pcm] of [
    ['silence', new Int16Array(24_000)],
    ['noise', noise],
    ['tone', sine(24_000, 24_000, 440)],
  ] as const)
    assert.ok(mean(await probabilities(pcm)) < 0.35, `${what} ${mean(await probabilities(pcm))}`);
});

test('every 32 ms yield one probability, whatever the block size', async () => {
  const pcm = await speech();
  const [small, large] = [await probabilities(pcm, 480), await probabilities(pcm, 4800)];
  assert.equal(small.length, large.length);
  assert.ok(small.every((value, i) => Math.abs(value - (large[i] ?? 0)) < 1e-4));
  assert.ok(Math.abs(small.length - (pcm.length * 1000) / 24_000 / WINDOW_MS) < 2);
});

test('with the default gate one sentence is one stretch of speech', async () => {
  const config = parseConfig({});
  const gate = new SpeechGate({
    startThreshold: config.vadStartProbability,
    stopThreshold: config.vadStopProbability,
    startMs: config.vadStartMs,
    stopMs: config.vadStopMs,
  });
  const pcm = new Int16Array([...new Int16Array(12_000), ...(await speech()), ...new Int16Array(24_000)]);
  const changes = (await probabilities(pcm)).flatMap((value) => gate.push(value, WINDOW_MS) ?? []);
  assert.deepEqual(changes, ['start', 'stop']);
});

test('the duration that the end of speech reports is that of the words, so short sounds can be told from turns', async () => {
  const words = await speech();
  for (const ms of [150, 300, 500, 900]) {
    const events: (number | 'start')[] = [];
    const watch = new VoiceWatch({
      ...{ detector: model.detector(), log },
      gate: { startThreshold: 0.5, stopThreshold: 0.35, startMs: 96, stopMs: 608 },
      onStart: () => events.push('start'),
      onStop: (durationMs) => events.push(durationMs),
    });
    const sound = words.subarray(24 * 200, 24 * (200 + ms));
    const pcm = new Int16Array([...new Int16Array(12_000), ...sound, ...new Int16Array(24_000)]);
    for (let at = 0; at < pcm.length; at += 480) watch.push(pcm.subarray(at, at + 480), false);
    await until(`the end of ${ms} ms of speech`, () => events.length === 2, 60_000);
    await watch.close();
    const [start, durationMs] = events;
    assert.ok(start === 'start' && typeof durationMs === 'number');
    assert.ok(Math.abs(durationMs - ms) <= 3 * WINDOW_MS, `${durationMs} for ${ms} ms`);
  }
});

test('the states of two detectors are independent', async () => {
  const pcm = await speech();
  const alone = await probabilities(pcm);
  const [a, b] = [model.detector(), model.detector()];
  const together: number[] = [];
  for (let at = 0; at < pcm.length; at += 480) {
    const [mine] = await Promise.all([a.push(pcm.subarray(at, at + 480)), b.push(new Int16Array(480))]);
    together.push(...mine);
  }
  assert.deepEqual(together, alone);
});

test('a file that is not an ONNX model is rejected', async () => {
  await assert.rejects(
    SileroModel.load(new URL('../src/testing/speech.wav', import.meta.url).pathname, log),
    (error) => error instanceof MeshError && error.reason === 'MODEL_INVALID',
  );
});
