import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { MeshError, newSessionId } from '@talkmesh/contracts';
import { parseWav, toPcm16 } from '@talkmesh/media';
import { TestPeer } from '@talkmesh/webrtc/testing';
import { IngestBench, type Listener, until } from './testing/bench.js';
import { goertzel, sine } from './testing/tones.js';

type Answer = { sdp: string; resourceId: string };

let bench: IngestBench;
before(async () => {
  bench = await IngestBench.start({
    TALKMESH_DRAIN_DEADLINE_MS: '500',
    TALKMESH_CAPACITY: '16',
    TALKMESH_STREAM_IDLE_MS: '1500',
    TALKMESH_STREAM_STALL_MS: '1500',
    TALKMESH_STREAM_AHEAD_MS: '2000',
    TALKMESH_STREAM_MAX_SECONDS: '8',
  });
});
after(() => bench[Symbol.asyncDispose]());

const offer = (sessionId: string, sdp: string) => bench.call<Answer>(bench.signalling, 'Offer', { sessionId, sdp });
const close = ({ sessionId }: Listener) => bench.call(bench.stage, 'Close', { sessionId, reason: 'ended' });
const refused = (reason: string) => (error: unknown) => error instanceof MeshError && error.reason === reason;
const bytes = (pcm: Int16Array) => Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength);

async function speakInto(peer: TestPeer, sessionId: string): Promise<string> {
  await peer.tone(500, 12_000);
  const answer = await offer(sessionId, await peer.offer({ sendAudio: true }));
  await peer.accept(answer.sdp);
  return answer.resourceId;
}

function assertUnbroken({ mic }: Listener): void {
  let samples = 0;
  mic.forEach((message, i) => {
    assert.deepEqual([message.sequence, message.mediaTimeUs], [i, Math.round((samples * 1e6) / 24_000)]);
    samples += message.pcm.length;
  });
}

test('a microphone becomes 24 kHz messages of 20 ms without a gap, from the first change of rate on', async () => {
  const listener = await bench.open(false);
  await using peer = new TestPeer();
  await speakInto(peer, listener.sessionId);
  await until('3 s of sound', () => listener.mic.length > 150);
  assert.ok(
    listener.mic.every(
      ({ pcm, sampleRateHz, endOfTurn }) => pcm.length === 480 && sampleRateHz === 24_000 && !endOfTurn,
    ),
  );
  assertUnbroken(listener);
  // The receiver's jitter buffer may stretch sound here and there, so the middle message decides.
  const purity = listener.mic
    .slice(-75)
    .map(({ pcm }) => goertzel(pcm, 24_000, 500))
    .sort((x, y) => x - y);
  assert.ok((purity[37] ?? 0) > 0.9, `it is the tone that was sent: ${purity[37]}`);
  await close(listener);
  await peer.until((seen) => seen.state !== 'connected');
});

test('as much sound as time: the clock of the microphone is real', async () => {
  const listener = await bench.open(false);
  await using peer = new TestPeer();
  await speakInto(peer, listener.sessionId);
  await until('sound', () => listener.mic.length > 50);
  const [startMs, start] = [performance.now(), listener.mic.length];
  await until('3 s more', () => listener.mic.length > start + 150);
  const ratio = ((listener.mic.length - start) * 20) / (performance.now() - startMs);
  assert.ok(ratio > 0.85 && ratio < 1.15, `${ratio} s of sound a second`);
  await close(listener);
});

test('nonsense instead of an offer is refused and breaks nothing', async () => {
  const listener = await bench.open(false);
  await using viewer = new TestPeer();
  const receiving = await viewer.offer({ receive: ['audio', 'video'] });
  for (const bad of ['', 'garbage', receiving.slice(0, 300), receiving])
    await assert.rejects(offer(listener.sessionId, bad), refused('SDP_INVALID'));
  await assert.rejects(offer(newSessionId(), receiving), refused('SESSION_NOT_FOUND'));
  await using peer = new TestPeer();
  await speakInto(peer, listener.sessionId);
  await until('sound', () => listener.mic.length > 10);
  await close(listener);
});

test('one source: a stream is refused beside a microphone, another microphone takes over, a farewell frees the place', async () => {
  const listener = await bench.open(false);
  const { sessionId } = listener;
  await using first = new TestPeer();
  await using second = new TestPeer();
  await speakInto(first, sessionId);
  await until('sound', () => listener.mic.length > 5);
  const beside = bench.stream();
  beside.call.write({ sessionId, sampleRateHz: 24_000, channels: 1, pcm: Buffer.alloc(2) });
  await assert.rejects(beside.response, refused('SESSION_EXISTS'));
  const resourceId = await speakInto(second, sessionId);
  await first.until((seen) => seen.state !== 'connected');
  const before = listener.mic.length;
  await until('sound of the second', () => listener.mic.length > before + 20);
  await bench.call(bench.signalling, 'Hangup', { sessionId, resourceId });
  const alone = bench.stream();
  alone.call.write({ sessionId, sampleRateHz: 24_000, channels: 1, pcm: bytes(new Int16Array(480)) });
  alone.call.end();
  assert.deepEqual(await alone.response, { samples: 480, seconds: 0.02 });
  assertUnbroken(listener);
  await close(listener);
});

test('the WebRTC process is killed: it is said, it is started again, a new offer works', async () => {
  const listener = await bench.open(false);
  await using peer = new TestPeer();
  await speakInto(peer, listener.sessionId);
  await until('sound', () => listener.mic.length > 5);
  const children = () => readFile(`/proc/${bench.service.pid}/task/${bench.service.pid}/children`, 'utf8');
  const pid = Number((await children()).trim().split(' ')[0]);
  process.kill(pid, 'SIGKILL');
  await until('the error event', () => listener.eventsOf('error').length === 1);
  await until('a new child', async () => !['', String(pid)].includes((await children()).trim()));
  const before = listener.mic.length;
  await using again = new TestPeer();
  await again.tone(500, 12_000);
  const sdp = await again.offer({ sendAudio: true });
  await until('an answer', async () => {
    try {
      await again.accept((await offer(listener.sessionId, sdp)).sdp);
      return true;
    } catch (thrown) {
      assert.ok(refused('PEER_LOST')(thrown), String(thrown));
      return false;
    }
  });
  await until('sound again', () => listener.mic.length > before + 20);
  assertUnbroken(listener);
  await close(listener);
});

test('a stream of speech: the same samples at 24 kHz, events of speech, and the end of the turn', async () => {
  const listener = await bench.open(true);
  using _ = listener.playing();
  const { sampleRateHz, samples } = parseWav(await readFile(new URL('./testing/speech.wav', import.meta.url)));
  const pcm = toPcm16(Float32Array.from([...(samples[0] ?? []), ...new Float32Array(sampleRateHz)]));
  const { call, response } = bench.stream();
  for (let at = 0; at < pcm.length; at += 1600) {
    const first = at === 0 ? { sessionId: listener.sessionId, sampleRateHz, channels: 1 } : {};
    call.write({ ...first, pcm: bytes(pcm.slice(at, at + 1600)) });
  }
  call.end();
  assert.equal((await response).samples, pcm.length);
  await until('the end of the turn', () => listener.mic.at(-1)?.endOfTurn === true);
  assertUnbroken(listener);
  assert.equal(listener.samples.length, Math.round(pcm.length * 1.5));
  await until('the end of speech', () => listener.eventsOf('speech.stopped').length === 1);
  const [started, stopped] = [listener.eventsOf('speech.started'), listener.eventsOf('speech.stopped')];
  assert.equal(started.length, 1);
  assert.deepEqual([stopped[0]?.epoch, stopped[0]?.turn], [3, 2], 'events carry the epoch and turn that is played');
  const durationMs = stopped[0]?.type === 'speech.stopped' ? stopped[0].durationMs : 0;
  assert.ok(durationMs > 1000 && durationMs < 2500, `${durationMs} ms`);
  await close(listener);
});

test('a stream goes ahead of the playhead so far and no further', async () => {
  const listener = await bench.open(false);
  listener.playhead(0);
  const { call, response } = bench.stream();
  const second = bytes(sine(24_000, 24_000, 300));
  for (let i = 0; i < 5; i++)
    call.write({ ...(i === 0 && { sessionId: listener.sessionId, sampleRateHz: 24_000, channels: 1 }), pcm: second });
  call.end();
  await until('two seconds', () => listener.samples.length >= 47_000);
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.ok(listener.samples.length <= 48_000, `${listener.samples.length} samples`);
  for (let playedMs = 1000; playedMs <= 3000; playedMs += 1000) {
    listener.playhead(playedMs);
    const allowed = 24 * (2000 + playedMs);
    await until('one more second', () => listener.samples.length >= allowed - 1000);
    assert.ok(listener.samples.length <= allowed);
  }
  assert.equal((await response).seconds, 5);
  await close(listener);
});

test('every limit of a stream has its reason, and ends the turn that was begun', async () => {
  const head = { sampleRateHz: 8000, channels: 1 };
  const cases: [string, { first: object; rest?: object[]; end?: boolean }][] = [
    ['AUDIO_EMPTY', { first: head, end: true }],
    ['SESSION_ID_INVALID', { first: { ...head, sessionId: 'x' } }],
    ['AUDIO_FORMAT_INVALID', { first: { ...head, sampleRateHz: 96_000 } }],
    ['AUDIO_FORMAT_INVALID', { first: { ...head, channels: 3 } }],
    ['AUDIO_FORMAT_INVALID', { first: { ...head, pcm: Buffer.alloc(3) } }],
    ['BODY_TOO_LARGE', { first: { ...head, pcm: Buffer.alloc(65_538) } }],
    [
      'ARGUMENT_INVALID',
      { first: { ...head, pcm: Buffer.alloc(1600) }, rest: [{ sessionId: newSessionId(), pcm: Buffer.alloc(2) }] },
    ],
    ['DEADLINE_EXCEEDED', { first: { ...head, pcm: Buffer.alloc(1600) } }],
    [
      'DEADLINE_EXCEEDED',
      { first: { ...head, pcm: Buffer.alloc(48_000) }, rest: [{ pcm: Buffer.alloc(2) }], end: true },
    ],
  ];
  for (const [reason, { first, rest = [], end = false }] of cases) {
    const listener = await bench.open(false);
    listener.playhead(0);
    const { call, response } = bench.stream();
    call.write({ sessionId: listener.sessionId, ...first });
    for (const message of rest) call.write(message);
    if (end) call.end();
    await assert.rejects(response, refused(reason), reason);
    if (rest.length > 0) await until('the end of the turn', () => listener.mic.at(-1)?.endOfTurn === true);
    await close(listener);
  }
  await assert.rejects(async () => {
    const { call, response } = bench.stream();
    call.write({ sessionId: newSessionId(), ...head, pcm: Buffer.alloc(2) });
    await response;
  }, refused('SESSION_NOT_FOUND'));
});

test('a stream that is too long is ended', async () => {
  const listener = await bench.open(false);
  using _ = listener.playing();
  const { call, response } = bench.stream();
  call.write({ sessionId: listener.sessionId, sampleRateHz: 8000, channels: 2, pcm: Buffer.alloc(64_000) });
  for (let i = 1; i <= 4; i++) call.write({ pcm: Buffer.alloc(64_000) });
  await assert.rejects(response, refused('AUDIO_TOO_LONG'));
  await close(listener);
});

test('the session ends: its stream ends too, and a sender that goes away ends its turn', async () => {
  const listener = await bench.open(false);
  const { call, response } = bench.stream();
  call.write({ sessionId: listener.sessionId, sampleRateHz: 24_000, channels: 1, pcm: bytes(new Int16Array(4800)) });
  await until('sound', () => listener.mic.length > 5);
  await close(listener);
  await assert.rejects(response, refused('SESSION_ENDED'));
  const other = await bench.open(false);
  const leaving = bench.stream();
  leaving.call.write({
    sessionId: other.sessionId,
    sampleRateHz: 24_000,
    channels: 1,
    pcm: bytes(new Int16Array(4800)),
  });
  await until('sound', () => other.mic.length > 5);
  leaving.call.cancel();
  await until('the end of the turn', () => other.mic.at(-1)?.endOfTurn === true);
  await close(other);
});

test('SIGTERM in the middle of a call: the peer is released, exit code 0', async () => {
  const listener = await bench.open(true);
  await using peer = new TestPeer();
  await speakInto(peer, listener.sessionId);
  await until('sound', () => listener.mic.length > 5);
  const before = bench.service.log.length;
  assert.deepEqual(await bench.service.terminate(), [0, null]);
  assert.doesNotMatch(bench.service.log.slice(before), /SIGSEGV|child process ended|"level":"error"/);
  await peer.until((seen) => seen.state !== 'connected');
});
