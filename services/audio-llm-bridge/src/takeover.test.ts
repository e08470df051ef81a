import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type AudioMessage,
  type EventBody,
  type MeshEvent,
  newSessionId,
  type PlayheadMessage,
} from '@talkmesh/contracts';
import { Conversation } from './conversation.js';
import type { ConversationInput } from './conversation-messages.js';
import { stateOfConversation } from './takeover.js';
import { CONVERSATION_OPTIONS } from './testing/conversation-options.js';

const sessionId = newSessionId();
const head = { sessionId, epoch: 2, turn: 0, chunk: 0, mediaTimeUs: 0, deadlineUs: 0 };

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
const event = (turn: number, body: EventBody): MeshEvent => ({
  ...{ v: 2, id: 'test.1', sessionId, epoch: 1, turn, atMs: 1 },
  ...body,
});
const queued = (turn: number): MeshEvent => event(turn, { type: 'turn.queued', source: 'text' });
const started = (turn: number): MeshEvent => event(turn, { type: 'turn.started', source: 'text' });
const finished = (turn: number): MeshEvent =>
  event(turn, { type: 'turn.finished', interrupted: false, speechMs: 1, heardMs: 1 });
const playhead = (turn: number, turnPlayedMs: number, mediaTimeUs = 0): PlayheadMessage => ({
  ...{ ...head, turn, turnPlayedMs, mediaTimeUs },
  ...{ frame: 0, creditChunks: 2, heldFrames: 0 },
});
const options = { ...CONVERSATION_OPTIONS, aheadMs: 30_000 };
const heard = (turn: number, ms: number, us = 0): ConversationInput => ({
  kind: 'playhead',
  playhead: playhead(turn, ms, us),
});

test('the retained messages give the newest turn, the unfinished turns, and how far each was sent and heard', () => {
  const state = stateOfConversation(
    [speech(3, 0, 480), speech(4, 0, 480), speech(4, 480, 480, true), speech(5, 0, 240)],
    [queued(3), started(3), finished(3), queued(4), started(4), queued(5), queued(6)],
    playhead(4, 30),
  );
  assert.deepEqual(state, {
    epoch: 2,
    turns: 6,
    sequence: 46,
    sentSamples: 240,
    pause: undefined,
    history: [],
    unfinished: [
      { number: 4, source: 'text', sentMs: 40, playedMs: 30, ended: true, started: true, text: '', lastCaption: '' },
      { number: 5, source: 'text', sentMs: 10, playedMs: 0, ended: false, started: false, text: '', lastCaption: '' },
    ],
    unspoken: [6],
  });
  assert.deepEqual(stateOfConversation([], [], undefined).unfinished, []);
  assert.equal(stateOfConversation([], [finished(9)], undefined).turns, 9, 'events are retained longer than speech');
});

test('what both sides said is known after a takeover, without partial transcripts', () => {
  const said = (role: 'user' | 'avatar', text: string, final: boolean): MeshEvent =>
    event(1, { type: 'transcript', role, text, final });
  const events = [said('user', 'Hello', true), said('avatar', 'Hi', false), said('avatar', 'Hi there.', true)];
  assert.deepEqual(stateOfConversation([], events, undefined).history, [
    { role: 'user', text: 'Hello' },
    { role: 'avatar', text: 'Hi there.' },
  ]);
});

test('an interrupted republication of speech does not reduce how far its turn counts as sent', () => {
  const all = [speech(4, 0, 480), speech(4, 480, 480), speech(4, 960, 0, true)];
  const state = stateOfConversation([...all, speech(4, 0, 480)], [started(4)], undefined);
  assert.deepEqual(
    state.unfinished.map(({ sentMs, ended }) => [sentMs, ended]),
    [[40, true]],
  );
  assert.equal(state.sentSamples, 960);
});

test('the next bridge knows a pause and how far the paused turn was heard', () => {
  const events = [
    started(4),
    event(0, { type: 'pause', cause: 'command' }),
    event(4, { type: 'turn.paused', heardMs: 15, cause: 'command' }),
    event(0, { type: 'speech.started' }),
  ];
  const state = stateOfConversation([speech(4, 0, 480, true)], events, playhead(0, 0, 9e6));
  assert.deepEqual([state.pause, state.unfinished[0]?.playedMs], ['command', 15]);
  const conversation = new Conversation(options, 0);
  conversation.takeOver(state);
  assert.equal(conversation.paused, true);
  for (const us of [10e6, 20e6, 40e6]) assert.deepEqual(conversation.handle(heard(0, 0, us), 0), []);
  assert.deepEqual(
    conversation.repeatPauseOrResume().map((output) => (output.kind === 'event' ? output.body.type : output.kind)),
    ['pause'],
  );
  for (const type of ['resume', 'interrupt'] as const) {
    const body: EventBody = { type, cause: 'command' };
    assert.equal(stateOfConversation([], [...events, event(4, body)], undefined).pause, 'over');
  }
});

test('speech that waited for the lost bridge to judge what the user said continues at the takeover', () => {
  const events = [started(4), event(0, { type: 'speech.started' }), event(0, { type: 'pause', cause: 'user-speech' })];
  const state = stateOfConversation([speech(4, 0, 480, true)], events, playhead(0, 0, 9e6));
  const conversation = new Conversation(options, 0);
  const [resume] = conversation.takeOver(state);
  assert.ok(resume?.kind === 'event' && resume.body.type === 'resume' && resume.body.cause === 'no-words');
  assert.equal(conversation.silent, false);
});

test('a turn the lost bridge did not end is ended where its speech stops and finished when heard; turn numbers continue', () => {
  const conversation = new Conversation(options, 0);
  const state = stateOfConversation([speech(5, 0, 24_000)], [started(5)], playhead(5, 200));
  const ended = conversation.takeOver(state);
  assert.deepEqual(
    ended.map((output) =>
      output.kind === 'speech'
        ? [output.turn, output.fromSample, output.pcm.length, output.endOfTurn]
        : output.kind === 'event' && output.body,
    ),
    [{ type: 'turn.truncated', speechMs: 1000 }, [5, 24_000, 0, true]],
  );
  assert.deepEqual(conversation.handle(heard(5, 600), 0), []);
  const outputs = conversation.handle(heard(5, 1000), 0);
  assert.deepEqual(
    outputs.map((output) => (output.kind === 'event' ? [output.turn, output.epoch, output.body] : output.kind)),
    [[5, 2, { type: 'turn.finished', interrupted: true, speechMs: 1000, heardMs: 1000 }]],
  );
  assert.equal(conversation.beginText('next').turn, 6);
});

test('a turn sent to its end is not ended twice; a turn heard to its end in the meantime is finished shortly afterwards', () => {
  const conversation = new Conversation(options, 0);
  assert.deepEqual(conversation.takeOver(stateOfConversation([speech(2, 0, 480, true)], [started(2)], undefined)), []);
  conversation.handle(heard(0, 0, 1e6), 0);
  const outputs = conversation.handle(heard(0, 0, 5e6), 0);
  assert.deepEqual(
    outputs.map((output) => (output.kind === 'event' ? output.body.type : output.kind)),
    ['turn.finished'],
  );
});

test('a bridge that releases a session sends all waiting speech and leaves an unfinished turn open for the next bridge', () => {
  const conversation = new Conversation({ ...options, aheadMs: 20 }, 0);
  const say = (pcm: Int16Array): ConversationInput => ({
    kind: 'output',
    output: { kind: 'speech', response: 'r', pcm },
  });
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
