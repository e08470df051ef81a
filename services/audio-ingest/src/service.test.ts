import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { MeshError, newSessionId } from '@talkmesh/contracts';
import { parseWav, toPcm16 } from '@talkmesh/media';
import { goertzel, sine } from '@talkmesh/media/testing';
import { until } from '@talkmesh/service-kit/testing';
import { fragmentOf, iceTag } from '@talkmesh/webrtc';
import { TestPeer } from '@talkmesh/webrtc/testing';
import { IngestBench, type Listener } from './testing/bench.js';

type Answer = { sdp: string; resourceId: string };

let bench: IngestBench;
before(async () => {
  bench = await IngestBench.start({
    TALKMESH_DRAIN_DEADLINE_MS: '500',
    TALKMESH_CAPACITY: '16',
    TALKMESH_MIC_SILENT_SECONDS: '1',
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

async function acceptedOf({ sessionId }: Listener): Promise<number | undefined> {
  type Stats = { sessions: { sessionId: string; streamSamples: number }[] };
  const { sessions } = await bench.call<Stats>(bench.stage, 'Stats', {});
  return sessions.find((session) => session.sessionId === sessionId)?.streamSamples;
}

function assertUnbroken({ mic }: Listener): void {
  let samples = 0;
  mic.forEach((message, i) => {
    assert.deepEqual([message.sequence, message.mediaTimeUs], [i, Math.round((samples * 1e6) / 24_000)]);
    samples += message.pcm.length;
  });
}

test('microphone audio is published as gapless 24 kHz messages of 20 ms, also when the rate changes', async () => {
  const listener = await bench.open(false);
  await using peer = new TestPeer();
  await speakInto(peer, listener.sessionId);
  await until('3 s of audio', () => listener.mic.length > 150);
  assert.ok(
    listener.mic.every(
      ({ pcm, sampleRateHz, endOfTurn }) => pcm.length === 480 && sampleRateHz === 24_000 && !endOfTurn,
    ),
  );
  assertUnbroken(listener);
  // The receiver's jitter buffer may stretch audio here and there, so the middle message decides.
  const purity = listener.mic
    .slice(-75)
    .map(({ pcm }) => goertzel(pcm, 24_000, 500))
    .sort((x, y) => x - y);
  assert.ok((purity[37] ?? 0) > 0.9, `it is the tone that was sent: ${purity[37]}`);
  await close(listener);
  await peer.until((seen) => seen.state !== 'connected');
});

test('the published audio lasts as long as the time that passed', async () => {
  const listener = await bench.open(false);
  await using peer = new TestPeer();
  await speakInto(peer, listener.sessionId);
  await until('audio', () => listener.mic.length > 50);
  const [startMs, start] = [performance.now(), listener.mic.length];
  await until('3 s more', () => listener.mic.length > start + 150);
  const ratio = ((listener.mic.length - start) * 20) / (performance.now() - startMs);
  assert.ok(ratio > 0.85 && ratio < 1.15, `${ratio} s of audio a second`);
  await close(listener);
});

test('a microphone that sends digital silence is told with words, once, until it is heard', async () => {
  const listener = await bench.open(false);
  await using peer = new TestPeer();
  await peer.tone(500, 0);
  await peer.accept((await offer(listener.sessionId, await peer.offer({ sendAudio: true }))).sdp);
  await until('the problem', () => listener.eventsOf('input.problem').length === 1);
  const [problem] = listener.eventsOf('input.problem');
  assert.ok(problem?.type === 'input.problem' && problem.code === 'silent');
  assert.match(problem.text, /muted/);
  const told = listener.mic.length;
  await until('2 s more', () => listener.mic.length > told + 100);
  assert.equal(listener.eventsOf('input.problem').length, 1);
  await peer.tone(500, 12_000);
  await until('the recovery', () => listener.eventsOf('input.recovered').length === 1);
  await close(listener);
});

test('a malformed offer is rejected and the service keeps working', async () => {
  const listener = await bench.open(false);
  await using viewer = new TestPeer();
  const receiving = await viewer.offer({ receive: ['audio', 'video'] });
  for (const bad of ['', 'garbage', receiving.slice(0, 300), receiving])
    await assert.rejects(offer(listener.sessionId, bad), refused('SDP_INVALID'));
  await assert.rejects(offer(newSessionId(), receiving), refused('SESSION_NOT_FOUND'));
  await using peer = new TestPeer();
  await speakInto(peer, listener.sessionId);
  await until('audio', () => listener.mic.length > 10);
  await close(listener);
});

test('a microphone connects by candidates that it sends after its offer', async () => {
  const listener = await bench.open(false);
  const { sessionId } = listener;
  await using peer = new TestPeer();
  await peer.tone(500, 12_000);
  const withoutCandidates = (sdp: string): string => sdp.replace(/^a=(candidate|end-of-candidates).*\r\n/gm, '');
  const sdp = await peer.offer({ sendAudio: true });
  const answer = await offer(sessionId, withoutCandidates(sdp));
  await peer.accept(withoutCandidates(answer.sdp));
  const change = (resourceId: string) =>
    bench.call(bench.signalling, 'ChangeIce', {
      ...{ sessionId, resourceId, ifMatch: iceTag(answer.sdp), fragment: fragmentOf(sdp) },
    });
  await assert.rejects(change('another'), refused('NOT_FOUND'));
  await change(answer.resourceId);
  await until('sound', () => listener.mic.length > 10);
  await close(listener);
});

test('a session has one source: a stream is refused while a microphone is connected, a second microphone replaces it, a hangup frees it', async () => {
  const listener = await bench.open(false);
  const { sessionId } = listener;
  await using first = new TestPeer();
  await using second = new TestPeer();
  await speakInto(first, sessionId);
  await until('audio', () => listener.mic.length > 5);
  const beside = bench.stream();
  beside.call.write({ sessionId, sampleRateHz: 24_000, channels: 1, pcm: Buffer.alloc(2) });
  await assert.rejects(beside.response, refused('SESSION_EXISTS'));
  const resourceId = await speakInto(second, sessionId);
  await first.until((seen) => seen.state !== 'connected');
  const before = listener.mic.length;
  await until('audio of the second', () => listener.mic.length > before + 20);
  await bench.call(bench.signalling, 'Hangup', { sessionId, resourceId });
  const alone = bench.stream();
  alone.call.write({ sessionId, sampleRateHz: 24_000, channels: 1, pcm: bytes(new Int16Array(480)) });
  alone.call.end();
  assert.deepEqual(await alone.response, { samples: 480, seconds: 0.02 });
  assertUnbroken(listener);
  await close(listener);
});

test('when the WebRTC process is killed, an error event is published, the process restarts and a new offer is answered', async () => {
  const listener = await bench.open(false);
  await using peer = new TestPeer();
  await speakInto(peer, listener.sessionId);
  await until('audio', () => listener.mic.length > 5);
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
  await until('audio again', () => listener.mic.length > before + 20);
  assertUnbroken(listener);
  await close(listener);
});

test('a stream of speech is published unchanged at 24 kHz, with speech events and the end of the turn', async () => {
  const listener = await bench.open(true);
  using _ = listener.playing();
  const { sampleRateHz, samples } = parseWav(await readFile(new URL('../src/testing/speech.wav', import.meta.url)));
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

test('a stream may run ahead of the playhead only up to the limit', async () => {
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

test('a stream that violates a limit is rejected with the reason, and a turn that it started is ended', async () => {
  const head = { sampleRateHz: 8000, channels: 1 };
  const cases: [string, { first: object; rest?: object[]; end?: boolean }][] = [
    ['AUDIO_EMPTY', { first: head, end: true }],
    ['SESSION_ID_INVALID', { first: { ...head, sessionId: 'x' } }],
    ['AUDIO_FORMAT_INVALID', { first: { ...head, sampleRateHz: 96_000 } }],
    ['AUDIO_FORMAT_INVALID', { first: { ...head, channels: 3 } }],
    ['AUDIO_EMPTY', { first: { ...head, pcm: Buffer.alloc(1) }, end: true }],
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

test('messages may be cut inside a sample: no sample is lost or changed', async () => {
  const sent = Int16Array.from({ length: 69_805 }, (_, i) => Math.round(9000 * Math.sin(i / 20)));
  for (const [channels, messageBytes] of [
    [1, 4063],
    [2, 4063],
    [1, 1],
  ] as const) {
    const length = messageBytes === 1 ? 480 : sent.length - (sent.length % channels);
    const samples = sent.subarray(0, length);
    const interleaved = channels === 1 ? samples : samples.map((_, i) => samples[i - (i % 2)] ?? 0);
    const listener = await bench.open(false);
    using _ = listener.playing();
    const { call, response } = bench.stream();
    const all = bytes(interleaved);
    call.write({ sessionId: listener.sessionId, sampleRateHz: 24_000, channels });
    for (let at = 0; at < all.length; at += messageBytes) call.write({ pcm: all.subarray(at, at + messageBytes) });
    call.end();
    assert.equal((await response).samples, length / channels);
    await until('the end of the turn', () => listener.mic.at(-1)?.endOfTurn === true);
    const expected = samples.filter((_, i) => i % channels === 0);
    assert.deepEqual(Int16Array.from(listener.samples), expected);
    await close(listener);
  }
});

test('a stream that is too long is rejected', async () => {
  const listener = await bench.open(false);
  using _ = listener.playing();
  const { call, response } = bench.stream();
  call.write({ sessionId: listener.sessionId, sampleRateHz: 8000, channels: 2, pcm: Buffer.alloc(64_000) });
  for (let i = 1; i <= 4; i++) call.write({ pcm: Buffer.alloc(64_000) });
  await assert.rejects(response, refused('AUDIO_TOO_LONG'));
  await close(listener);
});

test('a stream ends with its session, and a sender that disconnects ends its turn', async () => {
  const listener = await bench.open(false);
  const { call, response } = bench.stream();
  call.write({ sessionId: listener.sessionId, sampleRateHz: 24_000, channels: 1, pcm: bytes(new Int16Array(4800)) });
  await until('audio', () => listener.mic.length > 5);
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
  await until('audio', () => other.mic.length > 5);
  leaving.call.cancel();
  await until('the end of the turn', () => other.mic.at(-1)?.endOfTurn === true);
  assert.equal(await acceptedOf(other), 4800, 'a caller that got no answer can ask how much was accepted');
  await close(other);
});

test('SIGTERM during a session closes the peer, and the process exits with code 0', async () => {
  const listener = await bench.open(true);
  await using peer = new TestPeer();
  await speakInto(peer, listener.sessionId);
  await until('audio', () => listener.mic.length > 5);
  const before = bench.service.log.length;
  assert.equal(await bench.service.terminate(), 0);
  assert.doesNotMatch(bench.service.log.slice(before), /SIGSEGV|child process ended|"level":"error"/);
  await peer.until((seen) => seen.state !== 'connected');
});

test('a stream whose bytes arrive while the process is stopped is accepted whole', async () => {
  const stopped = await IngestBench.start({ TALKMESH_STREAM_IDLE_MS: '500' });
  try {
    const listener = await stopped.open(false);
    const { call, response } = stopped.stream();
    call.write({ sessionId: listener.sessionId, sampleRateHz: 24_000, channels: 1, pcm: bytes(new Int16Array(4800)) });
    await until('audio', () => listener.mic.length > 5);
    process.kill(stopped.service.pid, 'SIGSTOP');
    call.write({ pcm: bytes(new Int16Array(4800)) });
    call.end();
    await new Promise((resolve) => setTimeout(resolve, 2000));
    process.kill(stopped.service.pid, 'SIGCONT');
    assert.equal((await response).samples, 9600);
  } finally {
    await stopped[Symbol.asyncDispose]();
  }
});
