/** `talkmesh render` as a user runs it: a whole mesh of real processes, its own or one that runs already, writes a file. */
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { encodeWav } from '@talkmesh/media';
import { type Mesh, startMesh } from '../../deploy/local/src/mesh.js';
import { talkmesh } from '../support/cli.js';
import { firstAvatar, mouthBox, nano } from '../support/nano.js';
import { concatenate, silence, speak, talkWav } from '../support/speech.js';
import { correlation, mean, smooth } from '../support/statistics.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { loudness, mouthOpening, readLuma, readSound } from '../support/video.js';

const folder = temporaryFolder('render');
let mesh: Mesh;
before(async () => {
  mesh = await startMesh({ quiet: true });
});
after(async () => {
  await mesh?.stop();
});
/** Options of a render by the mesh that runs. */
const remote = (): string[] => ['--url', mesh.httpUrl, '--grpc', mesh.grpcAddress, '--key', mesh.apiKey];

interface Summary {
  readonly frames: number;
  readonly seconds: number;
  readonly realTimeFactor: number;
  readonly framesSha256: string;
  readonly stages: Record<string, { p50Ms: number; p95Ms: number }>;
}

async function render(name: string, wav: Uint8Array, ...more: string[]): Promise<{ summary: Summary; path: string }> {
  const [audio, path] = [join(folder, `${name}.wav`), join(folder, `${name}.mp4`)];
  writeFileSync(audio, wav);
  const result = await talkmesh([
    'render',
    '--avatar',
    firstAvatar.id,
    '--audio',
    audio,
    '--out',
    path,
    '--json',
    ...more,
  ]);
  assert.equal(result.code, 0, result.stderr);
  return { summary: JSON.parse(result.stdout) as Summary, path };
}

test('a 20 s talk becomes a 20 s video whose lips follow', { timeout: 240_000 }, async () => {
  const { summary, path } = await render('talk', talkWav(20), '--seed', '7');
  const frames = readLuma(path, nano.width, nano.height);
  const sound = readSound(path);
  assert.equal(frames.length, 20 * nano.fps);
  assert.equal(summary.frames, frames.length);
  const chunkSeconds = (nano.chunk.latentFrames * nano.chunk.temporalCompression) / nano.fps;
  assert.ok(Math.abs(sound.length / 24_000 - 20) < chunkSeconds, `sound lasts ${sound.length / 24_000} s`);
  for (const service of ['score-model', 'vae-decode'])
    assert.ok((summary.stages[service]?.p95Ms ?? 0) > 0, `${service} reports how long it takes`);

  const mouth = smooth(
    frames.map((luma) => mouthOpening(luma, nano.width, mouthBox)),
    3,
  );
  const voice = smooth(loudness(sound, nano.fps, frames.length), 3);
  const at = (lag: number): number =>
    correlation(mouth.slice(6 + lag, frames.length - 6 + lag), voice.slice(6, frames.length - 6));
  const lags = [-6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6];
  const best = lags.reduce((a, b) => (at(b) > at(a) ? b : a));
  assert.ok(at(best) > 0.3, `mouth and voice correlate by ${at(best).toFixed(2)}`);
  assert.ok(Math.abs(best) <= 3, `mouth is ${best} frames behind the voice`);
});

test('the same seed gives the same frames, another seed gives different ones; silence keeps the mouth closed', {
  timeout: 240_000,
}, async () => {
  const wav = encodeWav(concatenate(silence(2.4), speak('Apples and bananas.'), silence(2.4)), 24_000);
  const first = await render('first', wav, '--seed', '1', ...remote());
  const again = await render('again', wav, '--seed', '1', ...remote());
  const other = await render('other', wav, '--seed', '2', ...remote());
  assert.equal(again.summary.framesSha256, first.summary.framesSha256);
  assert.notEqual(other.summary.framesSha256, first.summary.framesSha256);

  const frames = readLuma(first.path, nano.width, nano.height);
  const mouth = frames.map((luma) => mouthOpening(luma, nano.width, mouthBox));
  const quiet = [...mouth.slice(0, 48), ...mouth.slice(-36)];
  const talking = [...mouth.slice(60, -60)].sort((a, b) => b - a).slice(0, 10);
  assert.ok(mean(talking) > mean(quiet) + 0.02, `talking ${mean(talking).toFixed(3)}, quiet ${mean(quiet).toFixed(3)}`);
});

test('a stereo float WAV at 48 kHz works', { timeout: 120_000 }, async () => {
  const pcm = speak('Stereo.');
  const samples = Math.floor(pcm.length) * 2;
  const data = Buffer.alloc(samples * 8);
  for (let i = 0; i < samples; i++)
    for (const channel of [0, 1]) data.writeFloatLE((pcm[i >> 1] ?? 0) / 32768, (i * 2 + channel) * 4);
  const header = Buffer.alloc(44);
  header.write('RIFF', 0);
  header.writeUInt32LE(36 + data.length, 4);
  header.write('WAVEfmt ', 8);
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(3, 20);
  header.writeUInt16LE(2, 22);
  header.writeUInt32LE(48_000, 24);
  header.writeUInt32LE(384_000, 28);
  header.writeUInt16LE(8, 32);
  header.writeUInt16LE(32, 34);
  header.write('data', 36);
  header.writeUInt32LE(data.length, 40);
  const { summary } = await render('stereo', Buffer.concat([header, data]), ...remote());
  assert.equal(summary.frames, Math.ceil((samples / 48_000) * nano.fps));
});

test('an interrupted render leaves no process and no incomplete file', { timeout: 120_000 }, async () => {
  const [audio, path] = [join(folder, 'long.wav'), join(folder, 'long.mp4')];
  writeFileSync(audio, talkWav(60));
  const result = await talkmesh(['render', '--avatar', firstAvatar.id, '--audio', audio, '--out', path], {
    onStart: (pid) => void setTimeout(() => process.kill(pid, 'SIGINT'), 12_000),
  });
  assert.notEqual(result.code, 0);
  assert.equal(existsSync(path), false);
});
