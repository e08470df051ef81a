/** A live call that is recorded: a real mesh, a viewer over WebRTC, the file that the owner downloads, and `talkmesh verify`. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MeshEvent } from '@talkmesh/contracts';
import { until } from '@talkmesh/service-kit/testing';
import { type Mesh, startMesh } from '../../deploy/local/src/mesh.js';
import { CallTap } from '../support/call-tap.js';
import { talkmesh } from '../support/cli.js';
import { firstAvatar, nano } from '../support/nano.js';
import { rest } from '../support/record-call.js';
import { RecordingStore, recordingOf } from '../support/recordings.js';
import { ROOMY } from '../support/roomy.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { requireTool } from '../support/tools.js';
import { loudness, readLuma, readSound } from '../support/video.js';
import { watchCall } from '../support/watch-call.js';

const PATIENCE_MS = 90_000;
const LINE = 'This is a long line, which the avatar will not finish, because you have another question. '.repeat(3);
const store = new RecordingStore(temporaryFolder('recording'));
let mesh: Mesh;
before(async () => {
  requireTool('ffmpeg');
  const egress = { ...store.env['webrtc-egress'], TALKMESH_VIEWER_CONNECT_TIMEOUT_MS: '90000' };
  mesh = await startMesh({ quiet: true, env: { ...ROOMY, ...store.env, 'webrtc-egress': egress } });
});
after(async () => {
  await mesh?.stop();
  await mesh?.removeLogs();
});

type Told<T extends MeshEvent['type']> = Extract<MeshEvent, { readonly type: T }>;

async function told<T extends MeshEvent['type']>(tap: CallTap, type: T): Promise<Told<T>> {
  const found = () => tap.events.find((event): event is Told<T> => event.type === type);
  await until(type, () => found() !== undefined, PATIENCE_MS);
  return found() as Told<T>;
}

test('a call with an interruption is recorded as it was heard, with the label, and its manifest is verified', {
  timeout: 300_000,
}, async () => {
  await using call = await watchCall(mesh, firstAvatar.id, { provider: 'parrot', recording: {} });
  await using tap = await CallTap.open(mesh, call.sessionId);
  await until('the picture', () => (tap.playhead?.chunk ?? 0) >= 2, PATIENCE_MS);
  const path = `/v1/sessions/${call.sessionId}`;
  const saying = rest(mesh, 'POST', `${path}/say`, { text: LINE });
  await told(tap, 'turn.started');
  await sleep(2500);
  assert.equal((await rest(mesh, 'POST', `${path}/interrupt`)).status, 200);
  const { heardMs, interrupted } = await told(tap, 'turn.finished');
  await saying;
  assert.equal(interrupted, true);
  await until('silence', () => tap.events.at(-1) !== undefined && (tap.playhead?.turn ?? 1) === 0, PATIENCE_MS);
  await sleep(1000);
  const { parts } = await store.finish(mesh, call.sessionId);
  assert.equal(parts.length, 1);

  const { video, manifest } = await store.download(mesh, call.sessionId);
  const frames = readLuma(video, nano.width, nano.height);
  const { claim } = JSON.parse(readFileSync(manifest, 'utf8'));
  const about = claim.assertions[2].data;
  assert.equal(frames.length, about.frames);
  const probed = execFileSync(join(dirname(requireTool('ffmpeg')), 'ffprobe'), [
    '-v',
    'error',
    '-show_entries',
    'format=duration',
    '-of',
    'csv=p=0',
    video,
  ]);
  assert.ok(Math.abs(Number(probed) * 1000 - about.durationMs) <= 100, `${probed} s, ${about.durationMs} ms`);
  const loud = loudness(readSound(video), nano.fps, frames.length).map((level) => level > 0.005);
  const [first, last] = [loud.indexOf(true), loud.lastIndexOf(true)];
  const spokenMs = ((last - first + 1) * 1000) / nano.fps;
  assert.ok(Math.abs(spokenMs - heardMs) <= 500, `${spokenMs} ms are loud, ${heardMs} ms were heard`);
  assert.ok(frames.length - last >= nano.fps / 2, 'silence after the cut');
  const label = (frames[0] as Uint8Array).subarray(0, 20 * nano.width);
  assert.ok(Math.max(...label) > 200, 'the label is in the picture');

  const good = await talkmesh(['verify', video, '--key', store.keyFile]);
  assert.equal(good.code, 0, good.stderr);
  assert.match(good.stdout, /trainedAlgorithmicMedia[\s\S]*signed by {2}[0-9a-f]{64}/);
  const other = await talkmesh(['verify', video, '--key-id', '0'.repeat(64)]);
  assert.equal(other.code, 1);
  assert.match(other.stderr, /signed by another key/);
  const bytes = readFileSync(video);
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
  writeFileSync(video, bytes);
  const changed = await talkmesh(['verify', video]);
  assert.deepEqual([changed.code, /was changed/.test(changed.stderr)], [1, true], changed.stderr);
});

test('both sides: the voice of the caller is in the sound', { timeout: 300_000 }, async () => {
  const recording = { sides: 'both', maxSeconds: 60 };
  const wanted = { provider: 'parrot', input: 'push-to-talk', recording };
  await using call = await watchCall(mesh, firstAvatar.id, wanted);
  await using tap = await CallTap.open(mesh, call.sessionId);
  await until('the picture', () => (tap.playhead?.chunk ?? 0) >= 1, PATIENCE_MS);
  await call.hum();
  await sleep(4000);
  await store.finish(mesh, call.sessionId);
  const { video } = await store.download(mesh, call.sessionId);
  const sound = readSound(video);
  // Not the last half second: the microphone is gone before the last frames are played
  const second = sound.subarray(sound.length - 36_000, sound.length - 12_000);
  const rises = second.filter((value, i) => i > 0 && value >= 0 && (second[i - 1] ?? 0) < 0).length;
  assert.ok(Math.abs(rises - 300) <= 15, `${rises} periods in a second of a tone of 300 Hz`);
});

test('a webrtc-egress that is killed leaves a part that can be played, and the next one continues', {
  timeout: 300_000,
}, async () => {
  await using call = await watchCall(mesh, firstAvatar.id, { size: 2 * nano.width, provider: 'parrot', recording: {} });
  await using tap = await CallTap.open(mesh, call.sessionId);
  await until('4 s', () => (tap.playhead?.chunk ?? 0) >= 9, PATIENCE_MS);
  process.kill(mesh.services.find(({ name }) => name === 'webrtc-egress')?.pid as number, 'SIGKILL');
  await until('the takeover', () => tap.events.some(({ type }) => type === 'stage.moved'), PATIENCE_MS);
  await until(
    'a new connection',
    () =>
      call.watchAgain().then(
        () => true,
        () => false,
      ),
    PATIENCE_MS,
  );
  const second = () => tap.events.find((event) => event.type === 'recording.started' && event.part === 2);
  await until('part 2', () => second() !== undefined, PATIENCE_MS);
  await sleep(2000);
  await rest(mesh, 'DELETE', `/v1/sessions/${call.sessionId}`);
  await until(
    'part 2',
    async () => (await recordingOf(mesh, call.sessionId)).parts[1]?.state === 'finished',
    PATIENCE_MS,
  );
  await until(
    'part 1',
    async () => (await recordingOf(mesh, call.sessionId)).parts[0]?.state === 'finished',
    PATIENCE_MS,
  );
  const { video } = await store.download(mesh, call.sessionId);
  assert.ok(readLuma(video, 2 * nano.width, 2 * nano.height).length >= 2 * nano.fps);
  const verified = await talkmesh(['verify', video, '--key', store.keyFile]);
  assert.match(verified.stdout, /ended: lost/, verified.stderr);
  assert.equal((await rest(mesh, 'DELETE', `/v1/sessions/${call.sessionId}/recording`)).status, 204);
});
