import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { MeshError, RECORDING_LOST_MS, type RecordingFormat, STOP_FILE, verifiedManifest } from '@talkmesh/contracts';
import { until } from '@talkmesh/service-kit/testing';
import { TestPeer } from '@talkmesh/webrtc/testing';
import { EgressBench, type TestProducer } from '../testing/bench.js';
import { flashFrame } from '../testing/frames.js';

const SIDE = 128;
const FPS = 25;
const SAMPLES = 960;
const LABEL = { label: 'AI-generated', badge: false };
const flashes = (sessionId: string, chunk: number, frame: number) => flashFrame(sessionId, chunk, frame, SIDE);

let [bench, folder, env]: [EgressBench, string, Record<string, string>] = [undefined as never, '', {}];
before(async () => {
  const secrets = await mkdtemp(join(tmpdir(), 'talkmesh-recording-'));
  folder = join(secrets, 'recordings');
  const pem = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' });
  const keyFile = join(secrets, 'key.pem');
  await writeFile(keyFile, pem, { mode: 0o600 });
  env = { TALKMESH_RECORDINGS_FOLDER: folder, TALKMESH_RECORDING_KEY_FILE: keyFile, TALKMESH_MAX_RECORDINGS: '2' };
  bench = await EgressBench.start({ ...env, TALKMESH_RECORDING_MIN_FREE_MB: '0' });
});
after(async () => {
  await bench?.[Symbol.asyncDispose]();
  await rm(join(folder, '..'), { recursive: true, force: true });
});

const wanted = (format: RecordingFormat = 'mp4', more: object = {}) => ({
  ...{ sides: 'avatar', format, maxMs: 60_000, maxBytes: 1e8, owner: 'shop', avatar: 'mia', model: 'nano@1' },
  ...{ provider: 'parrot', ...more },
});
const open = (recording: object, on = bench) => on.open('SINK_WEBRTC', SIDE, flashes, { disclosure: LABEL, recording });
const close = (sessionId: string, reason = 'ended') => bench.call(bench.stage, 'Close', { sessionId, reason });

async function watch(peer: TestPeer, { sessionId }: TestProducer, on = bench): Promise<void> {
  const sdp = await peer.offer({ receive: ['audio', 'video'] });
  await peer.accept((await on.call<{ sdp: string }>(on.signalling, 'Offer', { sessionId, sdp })).sdp);
}

/** Luma of the middle of every frame, and how loud the sound under each is (0 to 1). */
function decoded(path: string): { luma: number[]; loudness: number[]; label: Uint8Array } {
  const run = (...args: string[]): Buffer =>
    execFileSync('ffmpeg', ['-v', 'error', '-i', path, '-vsync', 'passthrough', ...args, '-'], { maxBuffer: 1 << 28 });
  const video = run('-f', 'rawvideo', '-pix_fmt', 'gray');
  const sound = run('-af', 'aresample=async=1:first_pts=0', '-f', 's16le', '-ac', '1', '-ar', '24000');
  const frames = video.length / (SIDE * SIDE);
  const at = (frame: number, x: number, y: number): number => video[(frame * SIDE + y) * SIDE + x] ?? 0;
  const pcm = new Int16Array(sound.buffer.slice(sound.byteOffset, sound.byteOffset + (sound.length & ~1)));
  const rms = (frame: number): number => {
    const block = pcm.subarray(frame * SAMPLES, (frame + 1) * SAMPLES);
    return Math.sqrt(block.reduce((sum, value) => sum + (value / 32_768) ** 2, 0) / Math.max(1, block.length));
  };
  const numbers = Array.from({ length: frames }, (_, frame) => frame);
  const luma = numbers.map((frame) => at(frame, SIDE / 2, SIDE / 2));
  return { luma, loudness: numbers.map(rms), label: video.subarray(0, 20 * SIDE) };
}

async function manifestOf(sessionId: string, part = 1) {
  return verifiedManifest(JSON.parse(await readFile(join(folder, sessionId, `${part}.json`), 'utf8')));
}

for (const format of ['mp4', 'webm'] as const)
  test(`what a viewer of a call sees and hears is recorded as ${format}, picture and sound in step, with the label`, async () => {
    const producer = await open(wanted(format));
    assert.deepEqual(producer.eventsOf('recording.started'), [], 'nothing was played yet');
    await using peer = new TestPeer();
    await watch(peer, producer);
    await until('play', () => (producer.playhead?.chunk ?? 0) >= 1);
    assert.deepEqual(
      producer.eventsOf('recording.started').map((event) => event.type === 'recording.started' && event.sides),
      ['avatar'],
    );
    producer.producing = false;
    await until('late frames', () => (producer.playhead?.heldFrames ?? 0) >= 10);
    producer.producing = true;
    producer.produce();
    await until('flashes', () => (producer.playhead?.chunk ?? 0) >= 10);
    await close(producer.sessionId);
    await until('the event', () => producer.eventsOf('recording.finished').length === 1);

    const { claim } = await manifestOf(producer.sessionId);
    const [, { data: hash }, { data: about }] = claim.assertions;
    const path = join(folder, producer.sessionId, `1.${format}`);
    const bytes = await readFile(path);
    for (const name of await readdir(join(folder, producer.sessionId)))
      assert.equal((await stat(join(folder, producer.sessionId, name))).mode & 0o777, 0o640, name);
    assert.deepEqual(
      [hash.hash, hash.bytes],
      [createHash('sha256').update(bytes).digest('hex'), bytes.length],
      'the hash of the file',
    );
    const { luma, loudness, label } = decoded(path);
    assert.equal(luma.length, about.frames, 'every frame is in the file');
    assert.ok(about.heldFrames >= 10 && about.frames >= 10 * 12 + about.heldFrames, JSON.stringify(about));
    assert.equal(about.durationMs, about.frames * 40);
    assert.ok(
      Math.max(...label) - Math.min(...label) > 100,
      `the label: ${Math.min(...label)} to ${Math.max(...label)}`,
    );
    const edges = (values: number[], least: number): number[] =>
      values.flatMap((value, i) => (i > 0 && value >= least && (values[i - 1] ?? 0) < least ? [i] : []));
    const [bright, loud] = [edges(luma, 130), edges(loudness, 0.08)];
    assert.ok(bright.length >= 2, `${bright}`);
    assert.ok(
      bright.every((frame) => loud.some((other) => Math.abs(other - frame) <= 1)),
      `flashes at ${bright}, tones at ${loud}`,
    );
    assert.deepEqual(
      (await readdir(join(folder, producer.sessionId))).sort(),
      ['1.json', `1.${format}`, 'session.json'].sort(),
    );
  });

test('a worker that takes the session over continues in part 2, within what the recording may still have', async () => {
  const producer = await open(wanted('mp4', { maxMs: 4000 }));
  await using peer = new TestPeer();
  await watch(peer, producer);
  await until('play', () => (producer.playhead?.chunk ?? 0) >= 4);
  await close(producer.sessionId, 'moved');
  await until('the first part', async () => (await readdir(join(folder, producer.sessionId))).includes('1.json'));
  const [, , { data: first }] = (await manifestOf(producer.sessionId)).claim.assertions;
  assert.equal(first.end, 'moved');
  const egress = { sink: 'SINK_WEBRTC', width: SIDE, height: SIDE, fps: FPS, disclosure: LABEL };
  const { sessionId } = producer;
  const recording = wanted('mp4', { maxMs: 4000 });
  await bench.call(bench.stage, 'Open', { sessionId, epoch: 0, takeOver: true, egress: { ...egress, recording } });
  producer.nextChunk = producer.playhead?.chunk ?? 0;
  await using again = new TestPeer();
  await watch(again, producer);
  await until('the limit', () => producer.eventsOf('recording.finished').length === 1);
  const [, , { data: second }] = (await manifestOf(sessionId, 2)).claim.assertions;
  assert.deepEqual([second.part, second.end], [2, 'limit']);
  assert.ok(Math.abs(first.durationMs + second.durationMs - 4000) <= 40, `${first.durationMs} + ${second.durationMs}`);
  await close(sessionId, 'moved');
  await bench.call(bench.stage, 'Open', { sessionId, epoch: 0, takeOver: true, egress: { ...egress, recording } });
  await close(sessionId);
  assert.ok(!(await readdir(join(folder, sessionId))).some((name) => name.startsWith('3.')), 'it is over');
});

test('a recording that a program stops is signed, the call goes on, and the next worker does not begin again', async () => {
  const producer = await open(wanted());
  await using peer = new TestPeer();
  await watch(peer, producer);
  await until('play', () => (producer.playhead?.chunk ?? 0) >= 2);
  const { sessionId } = producer;
  await writeFile(join(folder, sessionId, STOP_FILE), '');
  await until('the event', () => producer.eventsOf('recording.finished').length === 1);
  assert.match(JSON.stringify(producer.eventsOf('recording.finished')), /"cause":"stopped"/);
  const [, , { data: about }] = (await manifestOf(sessionId)).claim.assertions;
  assert.equal(about.end, 'stopped');
  assert.equal(decoded(join(folder, sessionId, '1.mp4')).luma.length, about.frames);
  const chunk = producer.playhead?.chunk ?? 0;
  await until('more to be played', () => (producer.playhead?.chunk ?? 0) > chunk + 1);
  await close(sessionId, 'moved');
  const egress = { sink: 'SINK_WEBRTC', width: SIDE, height: SIDE, fps: FPS, disclosure: LABEL, recording: wanted() };
  await bench.call(bench.stage, 'Open', { sessionId, epoch: 0, takeOver: true, egress });
  await close(sessionId);
  assert.deepEqual((await readdir(join(folder, sessionId))).sort(), ['1.json', '1.mp4', 'session.json', STOP_FILE]);
});

test('a worker that is killed leaves a file that can be played, and another one signs it', async (t) => {
  const lost = await EgressBench.start({ ...env, TALKMESH_RECORDING_MIN_FREE_MB: '0' });
  t.after(() => lost[Symbol.asyncDispose]());
  const producer = await open(wanted(), lost);
  await using peer = new TestPeer();
  await watch(peer, producer, lost);
  await until('5 s', () => (producer.playhead?.chunk ?? 0) >= 10, 60_000);
  process.kill(lost.service.pid as number, 'SIGKILL');
  const mine = join(folder, producer.sessionId);
  const played = (producer.playhead?.chunk ?? 0) * 12;
  const longAgo = new Date(Date.now() - 2 * RECORDING_LOST_MS);
  await utimes(join(mine, '1.open.json'), longAgo, longAgo);
  await until('the manifest', async () => (await readdir(mine)).includes('1.json'), 30_000);
  const [, { data: hash }, { data: about }] = (await manifestOf(producer.sessionId)).claim.assertions;
  assert.equal(about.end, 'lost');
  const path = join(mine, '1.mp4');
  assert.equal(
    hash.hash,
    createHash('sha256')
      .update(await readFile(path))
      .digest('hex'),
  );
  const { luma } = decoded(path);
  assert.ok(luma.length >= played - 3 * FPS, `${luma.length} frames of ${played} that were played`);
});

test('what cannot be recorded is refused before the call begins', async () => {
  const refused = (reason: string) => (error: unknown) => error instanceof MeshError && error.reason === reason;
  await assert.rejects(open(wanted('avi' as never)), refused('ARGUMENT_INVALID'));
  const record = () => bench.open('SINK_RECORD', SIDE, flashes, { recording: wanted() });
  await assert.rejects(record(), refused('ARGUMENT_INVALID'));
  const [first, second] = [await open(wanted()), await open(wanted())];
  await assert.rejects(open(wanted()), refused('SESSION_LIMIT'));
  for (const { sessionId } of [first, second]) await close(sessionId);
  assert.ok(!(await readdir(folder)).includes(first.sessionId), 'a call that was never watched leaves nothing');
});
