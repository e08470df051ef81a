/** A pause by a command or while the user speaks, with real processes: idle chunks meanwhile, then speech continues with the very next sample. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MeshEvent } from '@talkmesh/contracts';
import { until } from '@talkmesh/service-kit/testing';
import { type Mesh, startMesh } from '../../deploy/local/src/mesh.js';
import { CallTap } from '../support/call-tap.js';
import { firstAvatar } from '../support/nano.js';
import { rest } from '../support/record-call.js';
import { ROOMY } from '../support/roomy.js';
import { firstDifferenceButPauses } from '../support/seams.js';
import { concatenate, talk } from '../support/speech.js';
import { watchCall } from '../support/watch-call.js';

const PATIENCE_MS = 60_000;
const SAMPLES_PER_MS = 24;
const PAUSED_MS = 3000;

let mesh: Mesh;
before(async () => {
  mesh = await startMesh({ quiet: true, env: ROOMY });
});
after(async () => {
  await mesh?.stop();
});

/**
 * What a turn's frames have of it when it was paused once: a flush that came late let the player begin a chunk whose frames those of the
 * pause replace, so that part is in no frame, and is not repeated either.
 */
function playedInFrames(speech: Int16Array, tap: CallTap, resumedAtMs: number): Int16Array {
  const flush = tap.events.find((event) => event.type === 'flush' && event.cause === 'pause');
  assert.ok(flush?.type === 'flush' && flush.cutFrom !== undefined, 'the pause cuts the chunk that is played');
  const to = Math.round(resumedAtMs * SAMPLES_PER_MS);
  const { cutFrom } = flush;
  const endOfCut = Math.max(
    ...[...tap.frames.values()].map(({ frame }) => (frame.chunk === cutFrom ? frame.turnSamples : 0)),
  );
  assert.ok(to < endOfCut + 480 * SAMPLES_PER_MS, `${to - endOfCut} samples were played after the flush`);
  return concatenate(speech.subarray(0, Math.min(to, endOfCut)), speech.subarray(to));
}

type EventOf<T extends MeshEvent['type']> = Extract<MeshEvent, { readonly type: T }>;

async function event<T extends MeshEvent['type']>(
  tap: CallTap,
  type: T,
  fits: (event: EventOf<T>) => boolean = () => true,
): Promise<EventOf<T>> {
  const find = () => tap.events.find((event): event is EventOf<T> => event.type === type && fits(event as EventOf<T>));
  await until(type, () => find() !== undefined, PATIENCE_MS);
  return find() as EventOf<T>;
}

test('paused in the middle of a word: silent until the resume, frames continue, and every sample is played once', {
  timeout: 300_000,
}, async () => {
  const speech = talk(6);
  await using call = await watchCall(mesh, firstAvatar.id);
  await using tap = await CallTap.open(mesh, call.sessionId);
  const ask = async (verb: 'pause' | 'resume' | 'interrupt'): Promise<object> =>
    (await rest<object>(mesh, 'POST', `/v1/sessions/${call.sessionId}/${verb}`)).body;
  const path = `/v1/sessions/${call.sessionId}/stats`;
  const isPaused = async () =>
    (await rest<{ stages: { 'score-model': { paused: boolean } } }>(mesh, 'GET', path)).body.stages['score-model']
      .paused;

  await until('the picture', () => (tap.playhead?.chunk ?? 0) >= 2, PATIENCE_MS);
  assert.deepEqual(await ask('resume'), { resumed: false });
  const sending = call.say(speech);
  await until('the voice', () => (tap.playhead?.turnPlayedMs ?? 0) > 700, PATIENCE_MS);
  assert.deepEqual(await ask('pause'), { paused: true });
  assert.deepEqual(await ask('pause'), { paused: false });
  const paused = await event(tap, 'turn.paused');
  assert.ok(paused.turn === 1 && paused.heardMs > 600 && paused.heardMs < 6000, `${paused.heardMs} ms`);
  assert.equal(await isPaused(), true);

  await until('silence', () => tap.playhead?.turn === 0, PATIENCE_MS);
  const silentFrom = tap.playheads.length;
  await sleep(PAUSED_MS);
  const inPause = tap.playheads.slice(silentFrom).map(({ playhead }) => playhead);
  assert.ok(
    inPause.every(({ turn, epoch }) => turn === 0 && epoch >= paused.epoch),
    'no sample of the turn is played',
  );
  const [first, last] = [inPause.at(0), inPause.at(-1)];
  assert.ok(first !== undefined && last !== undefined);
  assert.ok(last.mediaTimeUs - first.mediaTimeUs > (PAUSED_MS / 3) * 1000, 'frames continue');
  assert.equal(tap.events.filter(({ type }) => type === 'turn.finished').length, 0, 'the turn has not ended');

  assert.deepEqual(await ask('resume'), { resumed: true });
  const resumed = await event(tap, 'turn.resumed');
  assert.equal(resumed.cause, 'command');
  assert.equal(await isPaused(), false);
  await sending;
  const finished = await event(tap, 'turn.finished');
  assert.deepEqual([finished.turn, finished.interrupted], [1, false]);

  assert.ok(resumed.heardMs >= paused.heardMs, `paused at ${paused.heardMs}, resumed at ${resumed.heardMs} ms`);
  const expected = playedInFrames(speech, tap, resumed.heardMs);
  assert.equal(firstDifferenceButPauses(expected, tap.heard(1)), undefined);
  const idle = tap.inOrder().filter(({ frame }) => frame.turn === 0 && frame.chunk > last.chunk - 2);
  assert.ok(idle.length >= 12 && idle.every(({ frame }) => frame.pcm.every((sample) => sample === 0)));

  const again = call.say(speech);
  await until('the second turn', () => (tap.playhead?.turn ?? 0) === 2, PATIENCE_MS);
  await ask('pause');
  await event(tap, 'turn.paused', ({ turn }) => turn === 2);
  assert.deepEqual(await ask('interrupt'), { interrupted: true });
  await event(tap, 'turn.resumed', ({ cause }) => cause === 'interrupt');
  const cut = await event(tap, 'turn.finished', ({ turn }) => turn === 2);
  assert.ok(cut.interrupted && !(await isPaused()));
  await again;
});

test('the user speaks over the avatar: silent at once; after a cough the same turn continues, and real speech cuts it', {
  timeout: 300_000,
}, async (context) => {
  const line = 'The quick brown fox jumps over the lazy dog, and my mother bought some more blue bottles.';
  await using call = await watchCall(mesh, firstAvatar.id, { provider: 'parrot' });
  await using tap = await CallTap.open(mesh, call.sessionId);
  const ask = (verb: string, body?: object) => rest(mesh, 'POST', `/v1/sessions/${call.sessionId}/${verb}`, body);
  /** @returns how long speech was still played, milliseconds of media */
  const silenceAfter = async (stop: () => unknown): Promise<number> => {
    const turn = tap.playhead?.turn ?? 0;
    const from = tap.playhead?.mediaTimeUs ?? 0;
    await stop();
    await until('silence', () => tap.playhead?.turn !== turn, PATIENCE_MS);
    return ((tap.playhead?.mediaTimeUs ?? 0) - from) / 1000;
  };
  const heard = (turn: number) =>
    until(`turn ${turn}`, () => tap.playhead?.turn === turn && tap.playhead.turnPlayedMs > 700, PATIENCE_MS);

  await until('the picture', () => (tap.playhead?.chunk ?? 0) >= 2, PATIENCE_MS);
  await ask('say', { text: line });
  await heard(1);
  const alarmMs = await silenceAfter(() => tap.hear({ type: 'speech.started' }));
  const paused = await event(tap, 'turn.paused');
  assert.equal(paused.cause, 'user-speech');
  tap.hear({ type: 'speech.stopped', durationMs: 150 });
  const resumed = await event(tap, 'turn.resumed');
  assert.equal(resumed.cause, 'too-short');
  const finished = await event(tap, 'turn.finished');
  assert.deepEqual([finished.turn, finished.interrupted], [1, false]);
  assert.equal(finished.heardMs, finished.speechMs);

  await ask('say', { text: line });
  await event(tap, 'turn.finished', ({ turn, interrupted }) => turn === 2 && !interrupted);
  const padded = tap.heard(2);
  const whole = padded.subarray(0, padded.findLastIndex((sample) => sample !== 0) + 1);
  const expected = playedInFrames(whole, tap, resumed.heardMs);
  assert.equal(firstDifferenceButPauses(expected, tap.heard(1)), undefined, 'nothing lost, nothing twice');

  await ask('say', { text: line });
  await heard(3);
  const bargeInMs = await silenceAfter(() => tap.hear({ type: 'speech.started' }));
  const cut = await event(tap, 'turn.finished', ({ turn }) => turn === 3);
  assert.ok(cut.interrupted && cut.heardMs < cut.speechMs);

  tap.hear({ type: 'speech.stopped', durationMs: 2000 });
  await ask('say', { text: line });
  await heard(4);
  const commandMs = await silenceAfter(() => ask('interrupt'));
  context.diagnostic(`media until silence: false alarm ${alarmMs}, barge-in ${bargeInMs}, interrupt ${commandMs} ms`);
});
