import assert from 'node:assert/strict';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import {
  MeshError,
  newSessionId,
  type PartFacts,
  RECORDING_LOST_MS,
  type RecordingOutcome,
  verifiedManifest,
} from '@talkmesh/contracts';
import { createLogger, createMetrics } from '@talkmesh/service-kit';
import { createEgressMetrics } from '../metrics.js';
import { PartFile } from './part-file.js';
import { lostEvent } from './recorder.js';
import { Recordings } from './recordings.js';

const PICTURE = { width: 64, height: 64, fps: 25 };
const WANTED = {
  ...{ sides: 'avatar', format: 'mp4', maxMs: 60_000, maxBytes: 1e8, owner: 'shop', avatar: 'mia' },
  ...{ model: 'nano@1', provider: 'parrot' },
};
const factsOf = (sessionId: string): PartFacts => ({
  ...{ sessionId, part: 1, avatar: 'ada', model: 'nano@1', provider: 'parrot', label: '', ...PICTURE },
  ...{ sides: 'avatar', format: 'mp4', startedAtMs: 1000 },
});
const openOf = (sessionId: string, outcome?: RecordingOutcome) =>
  JSON.stringify({ v: 1, facts: factsOf(sessionId), frames: 50, bytes: 5, writtenAtMs: 1000, outcome });

async function workers(t: TestContext, count: number, maxRecordings = 8) {
  const base = await mkdtemp(join(tmpdir(), 'talkmesh-recordings-'));
  const [folder, recordingKeyFile] = [join(base, 'recordings'), join(base, 'key.pem')];
  const pem = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' });
  await writeFile(recordingKeyFile, pem, { mode: 0o600 });
  const config = { recordingsFolder: folder, recordingKeyFile, maxRecordings, recordingMinFreeMb: 0 };
  const log = createLogger({ level: 'fatal' } as never);
  const all: Recordings[] = [];
  const counted: (() => Promise<number>)[] = [];
  for (let i = 0; i < count; i++) {
    const metrics = createEgressMetrics(createMetrics());
    const recordings = await Recordings.open({ config, bus: undefined, log } as never, metrics);
    if (recordings === undefined) throw new Error('no folder');
    all.push(recordings);
    counted.push(async () => {
      const { values } = await metrics.recordings.get();
      return values.find(({ labels }) => labels['outcome'] === 'lost')?.value ?? 0;
    });
  }
  t.after(async () => {
    for (const one of all) await one[Symbol.asyncDispose]();
    await rm(base, { recursive: true, force: true });
  });
  const lostCount = async (): Promise<number> => {
    const counts = await Promise.all(counted.map((one) => one()));
    return counts.reduce((sum, one) => sum + one, 0);
  };
  return { folder, all, first: all[0] as Recordings, lostCount };
}

/** A folder as a worker that was lost leaves it: all its files are old. */
async function left(folder: string, files: (sessionId: string) => Record<string, string>): Promise<string> {
  const sessionId = newSessionId();
  await mkdir(join(folder, sessionId));
  const longAgo = new Date(Date.now() - 2 * RECORDING_LOST_MS);
  for (const [name, text] of Object.entries(files(sessionId))) {
    await writeFile(join(folder, sessionId, name), text);
    await utimes(join(folder, sessionId, name), longAgo, longAgo);
  }
  return sessionId;
}

test('a sweep completes what it can, as it ended, whatever else is in the folder', async (t) => {
  const { folder, first } = await workers(t, 1);
  const outcome = { endedAtMs: 9, durationMs: 2000, frames: 50, heldFrames: 3, end: 'disk-full' as const };
  const unreadable = await left(folder, () => ({ '1.open.json': '', '1.mp4': 'video' }));
  const newer = await left(folder, (id) => ({ '1.open.json': openOf(id).replace('"v":1', '"v":2'), '1.mp4': 'video' }));
  const noVideo = await left(folder, (id) => ({ '1.open.json': openOf(id) }));
  const signed = await left(folder, (id) => ({ '1.open.json': openOf(id), '1.json': 'signed', '1.mp4': 'video' }));
  const full = await left(folder, (id) => ({ '1.open.json': openOf(id, outcome), '1.mp4': 'video' }));
  const claimed = await left(folder, (id) => ({ [`1.open.json.${randomUUID()}`]: openOf(id), '1.mp4': 'video' }));
  const lost = await left(folder, (id) => ({
    ...{ '1.open.json': openOf(id), '1.mp4': 'video', [`1.mp4.${randomUUID()}`]: 'of a killed ffmpeg' },
  }));
  await first.sweep();
  const files = async (id: string) => (await readdir(join(folder, id))).sort();
  assert.deepEqual(await files(unreadable), ['1.mp4', '1.open.json'], 'is kept until it expires');
  assert.deepEqual(await files(newer), ['1.mp4', '1.open.json']);
  assert.deepEqual(await files(noVideo), []);
  assert.equal(await readFile(join(folder, signed, '1.json'), 'utf8'), 'signed');
  const endOf = async (id: string) => {
    const { claim } = verifiedManifest(JSON.parse(await readFile(join(folder, id, '1.json'), 'utf8')));
    const { end, heldFrames } = claim.assertions[2].data;
    return [end, heldFrames];
  };
  assert.deepEqual(await endOf(full), ['disk-full', 3]);
  assert.deepEqual(
    [await endOf(claimed), await endOf(lost)],
    [
      ['lost', 0],
      ['lost', 0],
    ],
  );
  for (const id of [signed, full, claimed, lost]) assert.deepEqual(await files(id), ['1.json', '1.mp4']);
});

test('of several workers one completes a part', async (t) => {
  const { folder, all, lostCount } = await workers(t, 3);
  for (let i = 0; i < 6; i++) await left(folder, (id) => ({ '1.open.json': openOf(id), '1.mp4': 'video' }));
  // They find the parts old at the same moment, and one comes late, with what it read before.
  const nowMs = Date.now();
  await Promise.all(all.map((one) => one.sweep(nowMs)));
  assert.equal(await lostCount(), 6);
  for (const id of await readdir(folder)) assert.deepEqual(await readdir(join(folder, id)), ['1.json', '1.mp4']);
});

test('no more sessions are recorded at once than may be, also when they come together; a refusal takes no place', async (t) => {
  const { folder, first } = await workers(t, 1, 2);
  const begin = (sessionId = newSessionId(), more = {}) =>
    first.begin({ sessionId, wanted: WANTED, picture: PICTURE, disclosure: undefined, takeOver: false, ...more });
  const results = await Promise.allSettled(Array.from({ length: 5 }, () => begin()));
  const refused = results.flatMap((one) => (one.status === 'rejected' ? [MeshError.from(one.reason).reason] : []));
  assert.deepEqual(refused, ['SESSION_LIMIT', 'SESSION_LIMIT', 'SESSION_LIMIT']);
  for (const one of results) if (one.status === 'fulfilled') await one.value.recorder?.finish('ended');
  assert.deepEqual(await readdir(folder), [], 'nothing was recorded');
  for (let i = 0; i < 3; i++) assert.equal((await begin(undefined, { takeOver: true })).recorder, undefined);
  const id = newSessionId();
  const earlier = await begin(id);
  assert.ok(earlier.recorder, 'there is room again');
  // The gateway tries the next worker while this one closes.
  const again = await begin(id);
  await earlier.recorder.finish('ended');
  assert.ok(again.recorder);
  assert.deepEqual((await readdir(join(folder, id))).sort(), ['2.mp4', '2.open.json', 'session.json']);
  await assert.rejects(begin(id, { wanted: { ...WANTED, owner: 'other' } }), { reason: 'RECORDING_UNAVAILABLE' });
  await again.recorder.finish('ended');
  assert.deepEqual(await readdir(folder), []);
});

test('a session that is taken over and not recorded any more says why', async (t) => {
  const { folder, first } = await workers(t, 1, 1);
  const takeOver = (sessionId: string, more = {}) =>
    first.begin({
      ...{ sessionId, wanted: { ...WANTED, ...more }, picture: PICTURE, disclosure: undefined, takeOver: true },
    });
  const causeOf = async (sessionId: string, more = {}) => {
    const { told, recorder } = await takeOver(sessionId, more);
    assert.equal(recorder, undefined);
    return told?.type === 'recording.finished' ? told.cause : told;
  };
  assert.equal(await causeOf(newSessionId()), 'deleted');
  const id = await left(folder, (one) => ({ '1.open.json': openOf(one), '1.mp4': 'video', 'session.json': '{}' }));
  assert.equal(await causeOf(id, { maxMs: 2000 }), 'limit');
  assert.equal(await causeOf(id, { maxBytes: 5 }), 'limit');
  const outcome = { endedAtMs: 9, durationMs: 2000, frames: 50, heldFrames: 3, end: 'disk-full' as const };
  await writeFile(join(folder, id, '1.open.json'), openOf(id, outcome));
  assert.equal(await causeOf(id), undefined, 'it failed, and the worker before has told so');
  await writeFile(join(folder, id, '1.open.json'), openOf(id));
  const { recorder } = await takeOver(id);
  assert.ok(recorder);
  const full = await takeOver(newSessionId()).catch((error: unknown) => lostEvent(MeshError.from(error)));
  assert.ok('code' in full && full.code === 'worker-full' && /TALKMESH_MAX_RECORDINGS/.test(full.message));
  await recorder.finish('moved');
});

test('a part that cannot be begun leaves nothing', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'talkmesh-part-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  await mkdir(join(folder, '1.open.json.new'));
  await assert.rejects(PartFile.create(folder, factsOf(newSessionId())), { code: 'EISDIR' });
  assert.deepEqual(await readdir(folder), ['1.open.json.new']);
});
