/** Recordings on storage that is really full: the test runs itself again in a mount namespace of its own, with a tmpfs of 4 MB. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type FrameMessage, MeshError, verifiedManifest } from '@talkmesh/contracts';
import { until } from '@talkmesh/service-kit/testing';
import { TestPeer } from '@talkmesh/webrtc/testing';
import { EgressBench } from '../testing/bench.js';
import { flashFrame } from '../testing/frames.js';

const SIDE = 128;
const MOUNT = 'mount -t tmpfs -o size=4m tmpfs "$0" && exec "$@"';
const { TALKMESH_FULL_DISK: disk } = process.env;

/** Pictures that no encoder makes small. */
function noise(sessionId: string, chunk: number, frame: number): FrameMessage {
  const message = flashFrame(sessionId, chunk, frame, SIDE);
  let state = chunk * 12 + frame + 1;
  const i420 = message.i420.map(() => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state >>> 24;
  });
  return { ...message, i420 };
}

async function freeBytes(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(path);
  return bavail * bsize;
}

async function recordOnFullDisk(t: TestContext, mount: string): Promise<void> {
  const [folder, filler, keyFile] = [join(mount, 'recordings'), join(mount, 'filler'), join(mount, 'key.pem')];
  const pem = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' });
  await writeFile(keyFile, pem, { mode: 0o600 });
  const bench = await EgressBench.start({
    ...{ TALKMESH_RECORDINGS_FOLDER: folder, TALKMESH_RECORDING_KEY_FILE: keyFile },
    TALKMESH_RECORDING_MIN_FREE_MB: '0',
  });
  t.after(() => bench[Symbol.asyncDispose]());
  const facts = { owner: 'shop', avatar: 'mia', model: 'nano@1', provider: 'parrot' };
  const recording = { sides: 'avatar', format: 'mp4', maxMs: 3_600_000, maxBytes: 1e9, ...facts };
  const open = () => bench.open('SINK_WEBRTC', SIDE, noise, { recording });
  const producer = await open();
  await using peer = new TestPeer();
  const sdp = await peer.offer({ receive: ['audio', 'video'] });
  const { sessionId } = producer;
  await peer.accept((await bench.call<{ sdp: string }>(bench.signalling, 'Offer', { sessionId, sdp })).sdp);
  await until('the failure', () => producer.eventsOf('recording.failed').length === 1, 60_000);
  assert.match(JSON.stringify(producer.eventsOf('recording.failed')), /"code":"disk-full"/);
  const chunk = producer.playhead?.chunk ?? 0;
  await until('the call to go on', () => (producer.playhead?.chunk ?? 0) > chunk + 1);

  const { claim } = verifiedManifest(JSON.parse(await readFile(join(folder, sessionId, '1.json'), 'utf8')));
  assert.equal(claim.assertions[2].data.end, 'disk-full');
  const args = ['-v', 'error', '-i', join(folder, sessionId, '1.mp4'), '-f', 'framemd5', '-'];
  const frames = execFileSync('ffmpeg', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  const played = frames.split('\n').filter((line) => line.startsWith('0,')).length;
  assert.ok(played >= 25, `${played} frames can be played`);

  await writeFile(filler, Buffer.alloc(await freeBytes(mount)));
  const isRefused = (error: unknown) => error instanceof MeshError && error.reason === 'RECORDING_UNAVAILABLE';
  await assert.rejects(open(), isRefused);
  assert.deepEqual(await readdir(folder), [sessionId], 'a refused session leaves nothing');
  await rm(filler);
  await bench.call(bench.stage, 'Close', { sessionId, reason: 'ended' });
}

if (disk !== undefined) test('on a full disk', (t) => recordOnFullDisk(t, disk));
else
  test('storage that is really full ends the recording and not the call, and what was recorded is signed', async (t) => {
    const mount = await mkdtemp(join(tmpdir(), 'talkmesh-full-disk-'));
    t.after(() => rm(mount, { recursive: true, force: true }));
    await mkdir(join(mount, 'empty'));
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const flags = process.execArgv.filter((flag) => !flag.startsWith('--test'));
    const rights = process.getuid?.() === 0 ? '-m' : '-rm';
    const { status, stdout, stderr, error } = spawnSync(
      'unshare',
      [rights, 'sh', '-c', MOUNT, mount, process.execPath, ...flags, import.meta.filename],
      { env: { ...env, TALKMESH_FULL_DISK: mount }, encoding: 'utf8', timeout: 120_000 },
    );
    assert.equal(status, 0, `${error ?? ''}${stderr}${stdout}`);
    assert.deepEqual(await readdir(mount), ['empty'], 'the small disk was in a namespace of its own');
  });
