import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { MeshError, newSessionId } from '@talkmesh/contracts';
import { until } from '@talkmesh/service-kit/testing';
import { fragmentOf, iceTag, parseIceFragment, restartedOffer } from '@talkmesh/webrtc';
import { type OfferedMedia, TestPeer, writeOffer } from '@talkmesh/webrtc/testing';
import { EgressBench } from './testing/bench.js';
import { flashFrame } from './testing/frames.js';

const SIDE = 128;
const flashes = (sessionId: string, chunk: number, frame: number) => flashFrame(sessionId, chunk, frame, SIDE);
type Answer = { sdp: string; resourceId: string };

let bench: EgressBench;
before(async () => {
  bench = await EgressBench.start({
    TALKMESH_VIEWER_GONE_MS: '700',
    TALKMESH_VIEWER_CONNECT_TIMEOUT_MS: '45000',
    TALKMESH_DRAIN_DEADLINE_MS: '500',
  });
});
after(() => bench[Symbol.asyncDispose]());

const openWebrtc = () => bench.open('SINK_WEBRTC', SIDE, flashes);
const offer = (sessionId: string, sdp: string) => bench.call<Answer>(bench.signalling, 'Offer', { sessionId, sdp });
const close = (sessionId: string) => bench.call(bench.stage, 'Close', { sessionId, reason: 'ended' });
const refused = (reason: string) => (error: unknown) => error instanceof MeshError && error.reason === reason;

async function watch(peer: TestPeer, sessionId: string): Promise<string> {
  const answer = await offer(sessionId, await peer.offer({ receive: ['audio', 'video'] }));
  await peer.accept(answer.sdp);
  return answer.resourceId;
}

test('a viewer receives 25 frames a second with their audio, and the playhead reports them', async () => {
  const producer = await openWebrtc();
  assert.deepEqual([producer.playhead?.chunk, producer.playhead?.creditChunks], [0, 2]);
  assert.equal(producer.nextChunk, 2, 'no chunk beyond the credit is published before a viewer connects');
  await using peer = new TestPeer();
  await watch(peer, producer.sessionId);
  const report = await peer.until((seen) => seen.frames > 150);
  const fps = ((report.frames - 1) * 1000) / report.spanMs;
  assert.ok(fps >= 20 && fps <= 30, `${fps} fps`);
  assert.ok(
    report.loudBlocks > 20 && report.loudBlocks < report.audioBlocks / 2,
    `${report.loudBlocks} of ${report.audioBlocks} blocks`,
  );
  assert.ok(report.flashes.length >= 4, 'the video turns bright and dark');
  assert.equal(producer.eventsOf('viewer.connected').length, 1);
  const last = producer.playhead;
  assert.ok(last !== undefined && last.chunk >= 10);
  assert.equal(last.mediaTimeUs, (last.chunk * 12 + last.frame) * 40_000);
  await close(producer.sessionId);
  await peer.until((seen) => seen.state !== 'connected');
});

test('when frames are missing the previous one is held and counted, and playout continues afterwards', async () => {
  const producer = await openWebrtc();
  await using peer = new TestPeer();
  await watch(peer, producer.sessionId);
  await until('play', () => (producer.playhead?.chunk ?? 0) >= 1);
  producer.producing = false;
  await until('five held frames', () => (producer.playhead?.heldFrames ?? 0) >= 5);
  const chunk = producer.playhead?.chunk;
  producer.producing = true;
  producer.produce();
  await until('two more chunks', () => (producer.playhead?.chunk ?? 0) >= (chunk ?? 0) + 2);
  const stats = await bench.call<{ sessions: { sessionId: string; late: number; itemsOut: number }[] }>(
    bench.stage,
    'Stats',
    {},
  );
  const mine = stats.sessions.find((entry) => entry.sessionId === producer.sessionId);
  assert.equal(mine?.late, producer.playhead?.heldFrames);
  await close(producer.sessionId);
});

test('a flush drops frames that were not played, and the new epoch is played', async () => {
  const producer = await openWebrtc();
  await using peer = new TestPeer();
  await watch(peer, producer.sessionId);
  await until('play', () => (producer.playhead?.chunk ?? 0) >= 1);
  const fromChunk = (producer.playhead?.chunk ?? 0) + 1;
  producer.producing = false;
  producer.epoch = 1;
  bench.score.bus.publishEvent({
    type: 'flush',
    fromChunk,
    cause: 'interrupt',
    sessionId: producer.sessionId,
    epoch: 1,
    turn: 0,
  });
  producer.publish(fromChunk, { turn: 7, speaking: true });
  await until('the new epoch', () => producer.playhead?.epoch === 1);
  const first = producer.playheads.find((playhead) => playhead.epoch === 1);
  assert.deepEqual([first?.chunk, first?.turn], [fromChunk, 7]);
  const before = producer.playheads.filter((playhead) => playhead.epoch === 0);
  assert.ok(
    before.every((playhead) => playhead.chunk < fromChunk),
    'no old chunk from there on was played',
  );
  await close(producer.sessionId);
});

test('a chunk that ends the silence is played as soon as it is there, in the middle of an idle chunk', async () => {
  const producer = await openWebrtc();
  await using peer = new TestPeer();
  await watch(peer, producer.sessionId);
  await until('play', () => (producer.playhead?.chunk ?? 0) >= 1 && (producer.playhead?.frame ?? 99) <= 2);
  const played = producer.playhead?.chunk ?? 0;
  producer.producing = false;
  producer.epoch = 1;
  producer.publish(played + 2, { turn: 1, speaking: true, endsIdle: true });
  await until('speech', () => producer.playhead?.turn === 1);
  const first = producer.playheads.find(({ turn }) => turn === 1);
  assert.deepEqual([first?.chunk, first?.frame], [played + 2, 0]);
  const last = producer.playheads.filter(({ turn }) => turn === 0).at(-1);
  assert.ok((last?.chunk ?? 99) <= played, 'the waiting idle chunk was left out');
  await close(producer.sessionId);
});

test('a worker that takes over plays nothing of what was cut meanwhile', async () => {
  const producer = await openWebrtc();
  const { sessionId } = producer;
  await using peer = new TestPeer();
  await watch(peer, sessionId);
  await until('play', () => (producer.playhead?.chunk ?? 0) >= 1);
  producer.producing = false;
  await bench.call(bench.stage, 'Close', { sessionId, reason: 'moved' });
  const cutFrom = producer.playhead?.chunk ?? 0;
  const [flush, from] = [{ type: 'flush', cause: 'interrupt' } as const, { cutFrom, fromChunk: cutFrom + 1 }];
  bench.score.bus.publishEvent({ ...flush, ...from, sessionId, epoch: 1, turn: 0 });
  await bench.score.bus.flush();
  const egress = { sink: 'SINK_WEBRTC', width: SIDE, height: SIDE, fps: 25 };
  await bench.call(bench.stage, 'Open', { sessionId, epoch: 0, egress, takeOver: true });
  const before = producer.playheads.length;
  producer.publish(cutFrom);
  producer.publish(cutFrom + 1, { epoch: 1 });
  await using again = new TestPeer();
  await watch(again, sessionId);
  await until('the chunk after the cut', () => producer.playhead?.chunk === cutFrom + 1);
  const moved = producer.playheads.slice(before).filter(({ chunk, frame, epoch }, i, all) => {
    const last = all[i - 1] ?? producer.playheads[before - 1];
    return last !== undefined && (chunk !== last.chunk || frame !== last.frame || epoch !== last.epoch);
  });
  assert.deepEqual([moved[0]?.epoch, moved[0]?.chunk, moved[0]?.frame], [1, cutFrom + 1, 0]);
  await close(sessionId);
});

test('a malformed offer is rejected and the service keeps working', async () => {
  const producer = await openWebrtc();
  await using peer = new TestPeer();
  const good = await peer.offer({ receive: ['audio', 'video'] });
  const pid = await bench.childPid();
  for (const bad of [
    '',
    'garbage',
    good.slice(0, 200),
    good.replace(/a=fingerprint.*/g, 'a=fingerprint:sha-256 zz'),
    'v=0\r\n'.repeat(50),
  ])
    await assert.rejects(offer(producer.sessionId, bad), refused('SDP_INVALID'), JSON.stringify(bad.slice(0, 40)));
  await assert.rejects(offer(newSessionId(), good), refused('SESSION_NOT_FOUND'));
  assert.equal(await bench.childPid(), pid, 'the child process stays alive');
  await peer.accept((await offer(producer.sessionId, good)).sdp);
  await peer.until((seen) => seen.frames > 10);
  await close(producer.sessionId);
});

test('a second viewer replaces the first', async () => {
  const producer = await openWebrtc();
  await using first = new TestPeer();
  await using second = new TestPeer();
  const old = await watch(first, producer.sessionId);
  await first.until((seen) => seen.frames > 5);
  await watch(second, producer.sessionId);
  await second.until((seen) => seen.frames > 30);
  await first.until((seen) => seen.state !== 'connected');
  await bench.call(bench.signalling, 'Hangup', { sessionId: producer.sessionId, resourceId: old });
  await second.until((seen) => seen.frames > 60);
  assert.equal(producer.eventsOf('viewer.gone').length, 0, 'the hangup of the replaced viewer is ignored');
  await close(producer.sessionId);
});

test('a viewer restarts ICE in the middle of the video; a closed connection takes no changes', async () => {
  const producer = await openWebrtc();
  await using peer = new TestPeer();
  const { sessionId } = producer;
  const answer = await offer(sessionId, await peer.offer({ receive: ['audio', 'video'] }));
  await peer.accept(answer.sdp);
  await peer.until(({ frames }) => frames > 10);
  const change = (ifMatch: string, fragment: string) => {
    const request = { sessionId, resourceId: answer.resourceId, ifMatch, fragment };
    return bench.call<{ fragment: string }>(bench.signalling, 'ChangeIce', request);
  };
  const { fragment } = await change('*', fragmentOf(await peer.restart()));
  await peer.accept(restartedOffer(answer.sdp, parseIceFragment(fragment)));
  const { frames } = await peer.report();
  await peer.until((seen) => seen.frames > frames + 50);
  await assert.rejects(change(iceTag(answer.sdp) ?? '', fragment), refused('ICE_SESSION_CHANGED'));
  await bench.call(bench.signalling, 'Hangup', { sessionId, resourceId: answer.resourceId });
  await assert.rejects(change('*', fragment), refused('NOT_FOUND'));
  await close(sessionId);
});

test('a player that is stopped and started again is answered, and its session continues', async () => {
  const producer = await openWebrtc();
  await using first = new TestPeer();
  await using second = new TestPeer();
  const resourceId = await watch(first, producer.sessionId);
  await first.until((seen) => seen.frames > 5);
  await bench.call(bench.signalling, 'Hangup', { sessionId: producer.sessionId, resourceId });
  const chunk = producer.playhead?.chunk ?? 0;
  await watch(second, producer.sessionId);
  await second.until((seen) => seen.frames > 30);
  await until('play', () => (producer.playhead?.chunk ?? 0) > chunk);
  await close(producer.sessionId);
});

test('the answer only sends, whatever the direction that is offered, in every codec of the offer', async () => {
  const answerTo = async (...media: OfferedMedia[]): Promise<string> => {
    const producer = await openWebrtc();
    const { sdp } = await offer(producer.sessionId, writeOffer(...media));
    await close(producer.sessionId);
    return sdp;
  };
  const directions = (sdp: string) => sdp.match(/^a=(sendrecv|sendonly|recvonly|inactive)/gm);
  const [video, audio] = [
    { kind: 'video', codecs: ['VP8'] },
    { kind: 'audio', codecs: ['opus'] },
  ] as const;
  const both = await answerTo({ ...video, direction: 'sendrecv' }, { ...audio, direction: 'sendrecv' });
  assert.deepEqual(directions(both), ['a=sendonly', 'a=sendonly']);
  const half = await answerTo({ ...video, direction: 'sendonly' }, { ...audio, direction: 'recvonly' });
  assert.deepEqual(directions(half), ['a=inactive', 'a=sendonly']);
  for (const codec of ['VP9', 'AV1'] as const) {
    const answer = await answerTo(
      { kind: 'video', codecs: ['H264', codec], direction: 'recvonly' },
      { ...audio, direction: 'recvonly' },
    );
    assert.ok(answer.includes(` ${codec}/90000`) && !answer.includes('H264'), answer);
  }
  const h264 = answerTo({ kind: 'video', codecs: ['H264'], direction: 'recvonly' });
  await assert.rejects(h264, refused('CODEC_UNSUPPORTED'));
});

test('a viewer that hangs up, closes or is killed is gone after a while', async () => {
  const [polite, closing, rude] = [await openWebrtc(), await openWebrtc(), await openWebrtc()];
  await using first = new TestPeer();
  await using second = new TestPeer();
  await using third = new TestPeer();
  const resourceId = await watch(first, polite.sessionId);
  await watch(second, closing.sessionId);
  await watch(third, rude.sessionId);
  for (const peer of [first, second, third]) await peer.until((seen) => seen.frames > 5);
  await bench.call(bench.signalling, 'Hangup', { sessionId: polite.sessionId, resourceId });
  await second.close();
  third.kill();
  const producers = [polite, closing, rude];
  for (const producer of producers) await until('viewer.gone', () => producer.eventsOf('viewer.gone').length === 1);
  const causes = producers.flatMap(({ events }) =>
    events.flatMap((event) => (event.type === 'viewer.gone' ? event.cause : [])),
  );
  assert.equal(causes[0], 'hangup');
  assert.equal(causes.length, 3, 'each is reported once');
  for (const cause of causes.slice(1))
    assert.match(cause, /^(disconnected|failed)$/, 'ICE may report either state first');
  for (const { sessionId } of producers) await close(sessionId);
});

test('when the WebRTC process is killed, the session continues and a new offer is answered', async () => {
  const producer = await openWebrtc();
  await using peer = new TestPeer();
  await watch(peer, producer.sessionId);
  await peer.until((seen) => seen.frames > 20);
  const pid = await bench.childPid();
  process.kill(pid, 'SIGKILL');
  await until('the error event', () => producer.eventsOf('error').length === 1);
  const chunk = producer.playhead?.chunk ?? 0;
  await until('a new child', async () => ![0, pid, Number.NaN].includes(await bench.childPid()));
  await using again = new TestPeer();
  const sdp = await again.offer({ receive: ['audio', 'video'] });
  await until('an answer', async () => {
    try {
      await again.accept((await offer(producer.sessionId, sdp)).sdp);
      return true;
    } catch (thrown) {
      assert.ok(refused('PEER_LOST')(thrown), String(thrown));
      return false;
    }
  });
  await again.until((seen) => seen.frames > 30);
  await until('play', () => (producer.playhead?.chunk ?? 0) > chunk);
  assert.equal(producer.eventsOf('viewer.connected').length, 2);
  assert.equal(producer.eventsOf('viewer.gone').length, 0);
  assert.equal(await bench.service.metric('talkmesh_child_restarts_total{child="webrtc-viewers"}'), 1);
  await close(producer.sessionId);
});

test('SIGTERM during a session closes the peer and exits with code 0, without a crash of native code', async () => {
  const producer = await openWebrtc();
  await using peer = new TestPeer();
  await watch(peer, producer.sessionId);
  await peer.until((seen) => seen.frames > 5);
  const before = bench.service.log.length;
  assert.equal(await bench.service.terminate(), 0);
  assert.doesNotMatch(bench.service.log.slice(before), /SIGSEGV|child process ended|"level":"error"/);
  await peer.until((seen) => seen.state !== 'connected');
});
