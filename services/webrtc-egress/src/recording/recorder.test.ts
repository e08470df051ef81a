import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import {
  claimOf,
  type EventBody,
  MeshError,
  type PartFacts,
  RecordingKey,
  type RecordingManifest,
  type RecordingOutcome,
  verifiedManifest,
} from '@talkmesh/contracts';
import { createLogger } from '@talkmesh/service-kit';
import { until } from '@talkmesh/service-kit/testing';
import { Badge } from '../badge.js';
import { CallerVoice } from './caller-voice.js';
import type { PartFile } from './part-file.js';
import { type Outcome, Recorder, type RecorderOptions } from './recorder.js';

const SIDE = 64;
const FPS = 25;
const SAMPLES = 960;
const { privateKey } = generateKeyPairSync('ed25519');
const key = new RecordingKey(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
const frame = (luma: number, level = 0) => ({
  i420: new Uint8Array((SIDE * SIDE * 3) / 2).fill(luma),
  pcm: new Int16Array(SAMPLES).fill(level),
});

/** An encoder that takes a frame at once, or never, and writes one byte for each. */
class TestEncoder {
  readonly output = new PassThrough();
  readonly written: { readonly i420: Uint8Array; readonly pcm: Int16Array }[] = [];
  unwritten = 0;
  isStuck = false;
  exit: (result: { code: number | null; stderr: string }) => void = () => undefined;
  readonly exited = new Promise<{ code: number | null; stderr: string }>((resolve) => {
    this.exit = resolve;
  });

  write(i420: Uint8Array, pcm: Int16Array): void {
    this.written.push({ i420, pcm });
    if (this.isStuck) this.unwritten += 1;
    else this.output.write(Buffer.of(1));
  }

  end(): void {
    this.output.end();
    this.exit({ code: 0, stderr: '' });
  }

  kill(): void {
    this.output.end();
    this.exit({ code: null, stderr: '' });
  }
}

class TestFile {
  bytes = 0;
  failsWith: string | undefined;
  wish: Awaited<ReturnType<PartFile['beat']>>;
  isDiscarded = false;
  manifest: RecordingManifest | undefined;

  async append(bytes: Uint8Array): Promise<void> {
    if (this.failsWith !== undefined) throw Object.assign(new Error('write'), { code: this.failsWith });
    this.bytes += bytes.byteLength;
  }
  beat = async () => this.wish;
  close = async (): Promise<void> => undefined;
  completed = async (): Promise<void> => undefined;
  complete = async (facts: PartFacts, outcome: RecordingOutcome): Promise<number> => {
    const about = { version: '1.2.3', instanceId: 'x', facts, outcome };
    this.manifest = key.sign(claimOf({ ...about, sha256: 'a'.repeat(64), bytes: this.bytes }));
    return this.bytes;
  };
  discard = async (): Promise<void> => {
    this.isDiscarded = true;
  };
}

function start(changes: Partial<RecorderOptions> = {}) {
  const [encoder, file] = [new TestEncoder(), new TestFile()];
  const events: EventBody[] = [];
  const ends: Outcome[] = [];
  const about = { sessionId: '0'.repeat(20), part: 1, avatar: 'mia', model: 'nano@1', provider: 'parrot' };
  const recorder = new Recorder({
    facts: { ...about, label: 'AI-generated', sides: 'avatar', format: 'mp4', width: SIDE, height: SIDE, fps: FPS },
    ...{ file: file as unknown as PartFile, maxMs: 10_000, maxBytes: 1000, encoder: () => encoder },
    ...{ badge: undefined, voice: undefined, complete: file.complete, log: createLogger({ level: 'fatal' } as never) },
    onEnd: (end) => ends.push(end),
    beatMs: 5,
    ...changes,
  });
  recorder.tellTo((event) => events.push(event));
  return { recorder, encoder, file, events, ends, told: () => events.map(({ type }) => type) };
}

const endOf = (manifest: RecordingManifest | undefined) => manifest?.claim.assertions[2].data.end;

test('what is played is recorded; a late frame is the picture before it in silence; the caller is told', async () => {
  const { recorder, encoder, file, events, told } = start();
  assert.deepEqual(told(), [], 'nothing was played yet');
  recorder.held();
  recorder.frame(frame(50, 7));
  recorder.held();
  recorder.frame(frame(90, 9));
  assert.deepEqual(events, [{ type: 'recording.started', part: 1, sides: 'avatar' }]);
  await recorder.finish('ended');
  recorder.frame(frame(99));
  assert.deepEqual(
    encoder.written.map(({ i420, pcm }) => [i420[0], pcm[0], pcm.length]),
    [
      [50, 7, SAMPLES],
      [50, 0, SAMPLES],
      [90, 9, SAMPLES],
    ],
  );
  assert.deepEqual(events[1], { type: 'recording.finished', part: 1, cause: 'ended', durationMs: 120, bytes: 3 });
  const { claim } = verifiedManifest(file.manifest);
  const [created, hash, about] = claim.assertions;
  assert.match(created.data.actions[0].digitalSourceType, /\/trainedAlgorithmicMedia$/);
  assert.deepEqual(hash.data, { alg: 'sha256', hash: 'a'.repeat(64), bytes: 3 });
  const { avatar, model, label, frames, heldFrames, end } = about.data;
  assert.deepEqual([avatar, model, label, frames, heldFrames, end], ['mia', 'nano@1', 'AI-generated', 3, 1, 'ended']);
});

test('the label is drawn into the recording and not into the picture that is played', () => {
  const { recorder, encoder } = start({ badge: new Badge('AI-generated', SIDE, SIDE) });
  const played = frame(120);
  recorder.frame(played);
  assert.ok(
    encoder.written[0]?.i420.some((value) => value === 235),
    'letters',
  );
  assert.ok(played.i420.every((value) => value === 120));
  void recorder.finish('ended');
});

test('the longest time and the largest size end the recording, and the call goes on', async () => {
  for (const [limit, frames] of [
    [{ maxMs: 200 }, 5],
    [{ maxBytes: 4 }, 5],
  ] as const) {
    const { recorder, encoder, events, told } = start(limit);
    for (let i = 0; i < 9; i++) {
      recorder.frame(frame(i));
      await new Promise(setImmediate);
    }
    await until('the end', () => told().includes('recording.finished'));
    assert.equal(encoder.written.length, frames);
    assert.equal(events[1]?.type === 'recording.finished' && events[1].cause, 'limit');
  }
});

test('an encoder that does not keep up, one that exits, a full disk and a broken one end the recording and say so', async () => {
  const cases = {
    'too-slow': ({ encoder }) => Object.assign(encoder, { isStuck: true }),
    encoder: ({ encoder }) => setTimeout(() => encoder.kill(), 5),
    'disk-full': ({ file }) => Object.assign(file, { failsWith: 'ENOSPC' }),
    storage: ({ file }) => Object.assign(file, { failsWith: 'EIO' }),
  } satisfies Record<string, (parts: ReturnType<typeof start>) => unknown>;
  for (const [code, breakIt] of Object.entries(cases)) {
    const parts = start({ maxMs: 3_600_000, maxBytes: 1e9 });
    const { recorder, file, events, ends, told } = parts;
    breakIt(parts);
    const stillFrame = frame(0);
    for (let i = 0; i < 6000; i++) {
      recorder.frame(stillFrame);
      if (i % 600 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await until(`the failure ${code}`, () => told().includes('recording.failed'));
    const last = events.at(-1);
    assert.ok(last?.type === 'recording.failed' && last.code === code, JSON.stringify(last));
    assert.match(last.message, /^The call goes on without being recorded: .+;/);
    assert.deepEqual(ends, [code]);
    assert.equal(endOf(file.manifest), code, 'what is there is signed, with the reason');
  }
});

test('a recording that is stopped while it is made is signed; if nothing was played yet, the caller is told all the same', async () => {
  const stopped = start();
  stopped.recorder.frame(frame(1));
  stopped.file.wish = 'stopped';
  await until('the end', () => stopped.told().includes('recording.finished'));
  stopped.recorder.frame(frame(2));
  const finished = { type: 'recording.finished', part: 1, cause: 'stopped' } as const;
  assert.deepEqual(stopped.events[1], { ...finished, durationMs: 40, bytes: 1 });
  assert.equal(endOf(stopped.file.manifest), 'stopped');
  const early = start();
  early.file.wish = 'stopped';
  await until('the end', () => early.ends.length > 0);
  early.recorder.frame(frame(1));
  assert.deepEqual([early.events, early.ends], [[{ ...finished, durationMs: 0, bytes: 0 }], ['stopped']]);
});

test('a recording that is deleted while it is made ends; one in which nothing was played leaves nothing', async () => {
  const deleted = start();
  deleted.recorder.frame(frame(1));
  deleted.file.wish = 'deleted';
  await until('the end', () => deleted.told().includes('recording.finished'));
  assert.equal(deleted.events[1]?.type === 'recording.finished' && deleted.events[1].cause, 'deleted');
  assert.equal(deleted.file.manifest, undefined);
  const empty = start();
  await empty.recorder.finish('ended');
  assert.deepEqual([empty.file.isDiscarded, empty.events, empty.ends], [true, [], ['ended']]);
});

test('a part that another worker continues is signed and says nothing', async () => {
  const { recorder, file, told } = start();
  recorder.frame(frame(1));
  await recorder.finish('moved');
  assert.deepEqual([endOf(file.manifest), told()], ['moved', ['recording.started']]);
});

test("the caller's voice is mixed in when it is asked for, begins again after a gap, and never lags behind", () => {
  const voice = new CallerVoice();
  const avatar = new Int16Array(SAMPLES).fill(30_000);
  const message = (sequence: number, level: number) => ({ sequence, pcm: new Int16Array(480).fill(level) });
  assert.equal(voice.mixInto(avatar), avatar, 'nothing was said');
  for (let i = 0; i < 3; i++) voice.push(message(i, 1000));
  voice.push(message(1, 9));
  assert.deepEqual([...new Set(voice.mixInto(avatar))], [31_000]);
  const rest = voice.mixInto(avatar);
  assert.deepEqual([rest[0], rest.at(-1)], [31_000, 30_000], 'the voice ends');
  for (let i = 3; i < 100; i++) voice.push(message(i, 5000));
  let loud = 0;
  for (let i = 0; i < 50; i++) loud += voice.mixInto(avatar).filter((value) => value === 32_767).length;
  assert.ok(loud <= 0.4 * 24_000, `${loud} samples, of which 0.4 s may wait`);
});

test('a manifest that was changed, or whose key was exchanged, is refused; keys are Ed25519 or P-256', async () => {
  const { recorder, file } = start();
  recorder.frame(frame(1));
  await recorder.finish('ended');
  const good = file.manifest as RecordingManifest;
  const copy = (): RecordingManifest => structuredClone(good);
  const refused = (manifest: unknown, message: RegExp) =>
    assert.throws(
      () => verifiedManifest(manifest),
      (error) => error instanceof MeshError && message.test(error.message),
    );
  const changed = copy();
  changed.claim.assertions[2].data.avatar = 'bo';
  refused(changed, /signature does not match/);
  refused({ ...copy(), claim: { ...copy().claim, note: 'real' } }, /signature does not match/);
  const { signature } = copy();
  const other = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'der' }).toString('base64');
  refused({ ...copy(), signature: { ...signature, public_key: other } }, /key is not the one/);
  refused({ ...copy(), signature: { ...signature, alg: 'ES256' } }, /signature does not match/);
  refused({}, /not valid/);
  const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const signer = new RecordingKey(p256.export({ type: 'sec1', format: 'pem' }).toString());
  assert.equal(verifiedManifest(signer.sign(good.claim)).signature.alg, 'ES256');
  const ed448 = generateKeyPairSync('ed448').privateKey;
  assert.throws(() => new RecordingKey(ed448.export({ type: 'pkcs8', format: 'pem' }).toString()), /Ed25519/);
  assert.throws(() => new RecordingKey('no key'), /not a private key/);
});
