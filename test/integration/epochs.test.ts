/** No frame of an old epoch is shown after its flush, and speech begins as soon as its first chunk is made. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Shown, VirtualCall } from '../support/virtual-call.js';

function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

const CALLS = 20;
const LOUD = 500;
const FRAME_MS = 40;
/** A chunk that is being made, the chunk itself, its decoding, four messages, the margin of a flush, and the frame that is shown. */
const SOONEST_MS = 60 + 60 + 40 + 4 * 10 + 80 + FRAME_MS;

async function startCall(seed: number, hopMs = 10): Promise<{ call: VirtualCall; next: () => number }> {
  const next = random(seed);
  const call = new VirtualCall({ random: next, scoreMs: 60, decodeMs: 40, hopMs });
  await call.connect();
  await call.advance(1200 + Math.floor(next() * 480));
  return { call, next };
}

const chunkAt = (shown: readonly Shown[], atMs: number): number =>
  shown.filter((picture) => picture.atMs <= atMs).at(-1)?.chunk ?? -1;

test('speech that begins while idle chunks wait is played as soon as its chunk is made, in the middle of an idle one', async () => {
  let flushes = 0;
  for (let seed = 1; seed <= CALLS; seed++) {
    const { call, next } = await startCall(seed);
    await call.advance(Math.floor(next() * 480));
    const saidAtMs = call.nowMs;
    call.speak(1, 2);
    await call.advance(2500);
    const playing = chunkAt(call.shown, saidAtMs);
    const first = call.shown.find(({ atMs, heard }) => atMs >= saidAtMs && heard > LOUD);
    assert.ok(first, `seed ${seed}: no speech was played`);
    const { flush } = call.flushed[0] ?? {};
    flushes += flush === undefined ? 0 : 1;
    // Without a flush no idle chunk waited: the next chunk contains speech.
    if (flush !== undefined) assert.deepEqual([flush.cause, flush.fromChunk], ['speech', first.chunk], `seed ${seed}`);
    // The chunk that was about to begin is not regenerated.
    assert.ok(
      first.chunk - playing <= 2 && first.chunk - playing >= 1,
      `seed ${seed}: ${playing}, then ${first.chunk}`,
    );
    assert.ok(first.atMs - saidAtMs <= SOONEST_MS, `seed ${seed}: after ${first.atMs - saidAtMs} ms`);
    assert.equal(
      first.rollbacks,
      flush === undefined ? 0 : 1,
      'the chunk was generated after the flush, so no idle frames play under speech',
    );
    await call.close();
  }
  assert.ok(flushes > CALLS / 2, `${flushes} flushes`);
});

/** No flushed chunk is shown after the player has received the flush. */
function assertForgotten(call: VirtualCall, seed: number): void {
  for (const { atMs, flush, rollbacks } of call.flushed) {
    const late = call.shown.filter(
      (picture) =>
        !picture.isHeld &&
        picture.atMs > atMs &&
        picture.chunk >= (flush.cutFrom ?? flush.fromChunk) &&
        picture.rollbacks < rollbacks,
    );
    assert.deepEqual(late, [], `seed ${seed}: epoch ${flush.epoch} from chunk ${flush.fromChunk}`);
  }
}

const samplesOf = (blocks: readonly Int16Array[]): number[] =>
  blocks.flatMap((block) => [...block.filter((sample) => sample !== 0)]);

// With 60 ms a hop a flush reaches the player later than the margin allows, so part of the flushed speech was played.
for (const hopMs of [10, 60])
  test(`paused in the middle of a word and resumed, messages up to ${hopMs} ms: idle chunks meanwhile, and no speech twice or lost`, async () => {
    let taken = 0;
    for (let seed = 1; seed <= CALLS / 2; seed++) {
      const { call, next } = await startCall(seed, hopMs);
      for (let turn = 1; turn <= 2; turn++) {
        call.speak(turn, 1 + 2 * next());
        await call.advance(500 + Math.floor(next() * 1000));
        call.pause(true);
        const askedAtMs = call.nowMs;
        await call.advance(480 + 80 + 4 * hopMs + FRAME_MS);
        const { heldFrames } = call;
        await call.advance(500 + Math.floor(next() * 1000));
        const silent = call.shown.filter(({ atMs }) => atMs > askedAtMs + 4 * hopMs + FRAME_MS);
        assert.ok(silent.length >= 12 && silent.every(({ heard }) => heard === 0), `seed ${seed}: silent`);
        if (hopMs === 10) assert.equal(call.heldFrames, heldFrames, `seed ${seed}: frames continue`);
        call.pause(false);
        await call.advance(4000);
      }
      if (hopMs === 10) assertForgotten(call, seed);
      taken += call.flushed.filter(({ flush }) => flush.cause === 'pause').length;
      assert.deepEqual(
        samplesOf(call.sound),
        samplesOf(call.said),
        `seed ${seed}: the speech played equals the speech sent`,
      );
      await call.close();
    }
    assert.ok(taken > CALLS / 2, `${taken} pauses took speech back`);
  });

test('the pause that begins when the user speaks silences the avatar as soon as an interrupt', async () => {
  const silentAfterMs = async (seed: number, stop: (call: VirtualCall) => void): Promise<number> => {
    const { call, next } = await startCall(seed);
    call.speak(1, 6);
    await call.advance(800 + Math.floor(next() * 1000));
    const askedAtMs = call.nowMs;
    stop(call);
    await call.advance(1500);
    await call.close();
    return (call.shown.findLast(({ heard }) => heard > 0)?.atMs ?? 0) - askedAtMs;
  };
  const pauses: number[] = [];
  for (let seed = 1; seed <= CALLS / 2; seed++) {
    pauses.push(await silentAfterMs(seed, (call) => call.pause(true)));
    const interrupted = await silentAfterMs(seed, (call) => call.interrupt(1));
    assert.equal(pauses.at(-1), interrupted, `seed ${seed}`);
  }
  // Three messages: to the score model, to the egress, to the player, which then ends its frame. Not the rest of the chunk.
  assert.ok(Math.max(...pauses) <= 3 * 10 + FRAME_MS, `${pauses.join(', ')} ms`);
});

test('repeated barge-in: no frame of an old epoch after its flush, no frame twice, and the audio stops', async () => {
  let cut = 0;
  for (let seed = 1; seed <= CALLS; seed++) {
    const { call, next } = await startCall(seed);
    for (let turn = 1; turn <= 4; turn++) {
      call.speak(turn, 1 + 4 * next());
      await call.advance(Math.floor(next() * 2500));
      call.interrupt(turn);
      await call.advance(Math.floor(next() * 1500));
    }
    await call.advance(1000);
    assertForgotten(call, seed);
    for (const { flush } of call.flushed) {
      if (flush.cause === 'interrupt') cut += 1;
    }
    for (const [i, picture] of call.shown.entries()) {
      const before = call.shown[i - 1];
      assert.ok(before === undefined || picture.chunk >= before.chunk, `seed ${seed}: back to chunk ${picture.chunk}`);
    }
    assert.ok((call.shown.at(-1)?.heard ?? LOUD) < LOUD, `seed ${seed}: silence at the end`);
    assert.ok(
      !call.shown.some(({ isHeld }) => isHeld),
      `seed ${seed}: the mouth closes, also when little time was left`,
    );
    await call.close();
  }
  assert.equal(cut, 4 * CALLS);
});
