import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type AudioMessage,
  type EventBody,
  type MeshEvent,
  newSessionId,
  type PlayheadMessage,
} from '@talkmesh/contracts';
import { conversationSoFar } from './resume.js';
import { Conversation, type StageInput } from './stage.js';

const sid = newSessionId();
const head = { sessionId: sid, epoch: 2, turn: 0, chunk: 0, mediaTimeUs: 0, deadlineUs: 0 };

function speech(turn: number, fromSample: number, samples: number, endOfTurn = false): AudioMessage {
  const mediaTimeUs = (fromSample * 1e6) / 24_000;
  return {
    ...head,
    turn,
    mediaTimeUs,
    sequence: 40 + turn,
    sampleRateHz: 24_000,
    pcm: new Int16Array(samples),
    fromSample,
    endOfTurn,
  };
}
const event = (turn: number, body: EventBody): MeshEvent => ({ v: 1, sid, epoch: 1, turn, atMs: 1, ...body });
const started = (turn: number): MeshEvent => event(turn, { type: 'turn.started', source: 'text' });
const finished = (turn: number): MeshEvent => event(turn, { type: 'turn.finished', interrupted: false, speechMs: 1 });
const playhead = (turn: number, turnPlayedMs: number, mediaTimeUs = 0): PlayheadMessage => ({
  ...{ ...head, turn, turnPlayedMs, mediaTimeUs },
  ...{ frame: 0, creditChunks: 2, heldFrames: 0 },
});
const options = {
  provider: { name: 'external', vad: 'none', source: 'external' },
  ...{ bargeIn: true, bargeInGuardMs: 300, aheadMs: 30_000, maxTurnMs: 60_000 },
} as const;
const heard = (turn: number, ms: number, us = 0): StageInput => ({
  kind: 'playhead',
  playhead: playhead(turn, ms, us),
});

test('what is retained tells the newest turn, what is unfinished, and how far each was sent and heard', () => {
  const so = conversationSoFar(
    [speech(3, 0, 480), speech(4, 0, 480), speech(4, 480, 480, true), speech(5, 0, 240)],
    [started(3), finished(3), started(4), started(5)],
    playhead(4, 30),
  );
  assert.deepEqual(so, {
    epoch: 2,
    turns: 5,
    sequence: 46,
    sentSamples: 240,
    paused: undefined,
    unfinished: [
      { number: 4, source: 'text', sentMs: 40, playedMs: 30, ended: true },
      { number: 5, source: 'text', sentMs: 10, playedMs: 0, ended: false },
    ],
  });
  assert.deepEqual(conversationSoFar([], [], undefined).unfinished, []);
  assert.equal(conversationSoFar([], [finished(9)], undefined).turns, 9, 'old speech is gone, the events are not');
});

test('speech that was being sent again when its bridge was lost was sent as far as it ever was', () => {
  const all = [speech(4, 0, 480), speech(4, 480, 480), speech(4, 960, 0, true)];
  const so = conversationSoFar([...all, speech(4, 0, 480)], [started(4)], undefined);
  assert.deepEqual(
    so.unfinished.map(({ sentMs, ended }) => [sentMs, ended]),
    [[40, true]],
  );
  assert.equal(so.sentSamples, 960);
});

test('a pause is known to the next bridge, and how far its turn was heard', () => {
  const events = [
    started(4),
    event(0, { type: 'pause' }),
    event(4, { type: 'turn.paused', heardMs: 15 }),
    event(0, { type: 'speech.started' }),
  ];
  const so = conversationSoFar([speech(4, 0, 480, true)], events, playhead(0, 0, 9e6));
  assert.deepEqual([so.paused, so.unfinished[0]?.playedMs], [true, 15]);
  const conversation = new Conversation(options, 0);
  conversation.resume(so);
  assert.equal(conversation.paused, true);
  for (const us of [10e6, 20e6, 40e6]) assert.deepEqual(conversation.handle(heard(0, 0, us), 0), []);
  assert.deepEqual(
    conversation.pauseAgain().map((output) => (output.kind === 'event' ? output.body.type : output.kind)),
    ['pause'],
  );
  for (const type of ['resume', 'interrupt'] as const) {
    const body: EventBody = type === 'resume' ? { type } : { type, cause: 'command' };
    assert.equal(conversationSoFar([], [...events, event(4, body)], undefined).paused, false);
  }
});

test('a turn that was cut short is ended where its speech stops, told as finished when heard, and numbers go on', () => {
  const conversation = new Conversation(options, 0);
  const so = conversationSoFar([speech(5, 0, 24_000)], [started(5)], playhead(5, 200));
  const ended = conversation.resume(so);
  assert.deepEqual(
    ended.map((output) =>
      output.kind === 'speech' ? [output.turn, output.fromSample, output.pcm.length, output.endOfTurn] : output.kind,
    ),
    [[5, 24_000, 0, true]],
  );
  assert.deepEqual(conversation.handle(heard(5, 600), 0), []);
  const over = conversation.handle(heard(5, 1000), 0);
  assert.deepEqual(
    over.map((output) => (output.kind === 'event' ? [output.turn, output.epoch, output.body] : output.kind)),
    [[5, 2, { type: 'turn.finished', interrupted: false, speechMs: 1000 }]],
  );
  assert.equal(conversation.beginText('next'), 6);
});

test('a turn that was sent to its end is not ended twice; one heard to its end meanwhile is told soon', () => {
  const conversation = new Conversation(options, 0);
  assert.deepEqual(conversation.resume(conversationSoFar([speech(2, 0, 480, true)], [started(2)], undefined)), []);
  conversation.handle(heard(0, 0, 1e6), 0);
  const over = conversation.handle(heard(0, 0, 5e6), 0);
  assert.deepEqual(
    over.map((output) => (output.kind === 'event' ? output.body.type : output.kind)),
    ['turn.finished'],
  );
});

test('a bridge that lets go sends everything that waits, the unfinished turn stays open for nobody', () => {
  const conversation = new Conversation({ ...options, aheadMs: 20 }, 0);
  const say = (pcm: Int16Array): StageInput => ({ kind: 'output', output: { kind: 'speech', response: 'r', pcm } });
  const first = [1, 2, 3].flatMap(() => conversation.handle(say(new Int16Array(480)), 0));
  assert.equal(first.filter(({ kind }) => kind === 'speech').length, 1, 'the rest waits for the listener');
  const rest = conversation.release();
  assert.deepEqual(
    rest.map((output) => (output.kind === 'speech' ? [output.fromSample, output.endOfTurn] : output.kind)),
    [
      [480, false],
      [960, false],
    ],
  );
});
