import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import type { EventBody, MeshEvent } from '@talkmesh/contracts';
import { type OutEvent, ResponseWriter } from './response-writer.js';

let sent: OutEvent[] = [];
let writesAudio = true;
let writer: ResponseWriter;
beforeEach(() => {
  sent = [];
  writesAudio = true;
  writer = new ResponseWriter({ send: (event) => sent.push(event), writesAudio: () => writesAudio });
});

const tell = (turn: number, body: EventBody): void =>
  writer.onEvent({ v: 2, id: 'x', sessionId: 's', epoch: 0, turn, atMs: 0, ...body } as MeshEvent);
const speak = (turn: number, ms: number, endOfTurn = false): void =>
  writer.onSpeech({ turn, pcm: new Int16Array(ms * 24), endOfTurn });
const types = (): string[] => sent.map(({ type }) => type);
const of = <T extends OutEvent['type']>(type: T) =>
  sent.filter((event): event is Extract<OutEvent, { type: T }> => event.type === type);

test('a turn is a response: created, audio and words as they come, done when its speech is complete', () => {
  tell(1, { type: 'turn.queued', source: 'voice' });
  speak(1, 20);
  tell(1, { type: 'transcript', role: 'avatar', text: 'Hello', final: false });
  tell(1, { type: 'transcript', role: 'avatar', text: 'Hello there.', final: true });
  speak(1, 20, true);
  assert.deepEqual(types(), [
    ...['response.created', 'response.output_item.added', 'conversation.item.added', 'response.content_part.added'],
    ...[
      'response.output_audio.delta',
      'response.output_audio_transcript.delta',
      'response.output_audio_transcript.delta',
    ],
    ...['response.output_audio.delta', 'response.output_audio.done', 'response.output_audio_transcript.done'],
    ...['response.content_part.done', 'response.output_item.done', 'conversation.item.done', 'response.done'],
  ]);
  const words = of('response.output_audio_transcript.delta').map(({ delta }) => delta);
  assert.deepEqual(words, ['Hello', ' there.']);
  assert.equal(of('response.output_audio_transcript.done')[0]?.transcript, 'Hello there.');
  assert.equal(of('response.done')[0]?.response.status, 'completed');
  assert.equal(writer.isActive, true, 'it is still to be heard');
  tell(1, { type: 'turn.finished', interrupted: false, speechMs: 40, heardMs: 40 });
  assert.equal(types().at(-2), 'output_audio_buffer.stopped');
  assert.equal(writer.isActive, false);
});

test('a cut while speech still comes cancels the response; later speech of it is left out', () => {
  speak(1, 200);
  tell(1, { type: 'turn.started', source: 'voice' });
  tell(1, { type: 'turn.finished', interrupted: true, speechMs: 200, heardMs: 120 });
  speak(1, 200, true);
  const [done] = of('response.done');
  assert.equal(done?.response.status, 'cancelled');
  assert.equal(done?.response.status_details?.reason, 'turn_detected');
  assert.equal(of('conversation.item.truncated')[0]?.audio_end_ms, 120);
  assert.equal(of('response.output_audio.delta').length, 1);
  assert.deepEqual(
    types().filter((type) => /switch|buffer/.test(type)),
    [
      'output_audio_buffer.started',
      'session.avatar.switch_to_speaking',
      'output_audio_buffer.cleared',
      'session.avatar.switch_to_idle',
    ],
  );
});

test('a cut after all speech was written is a truncation, at most at the length that was written', () => {
  speak(1, 100, true);
  tell(1, { type: 'turn.finished', interrupted: true, speechMs: 100, heardMs: 480 });
  assert.equal(of('response.done')[0]?.response.status, 'completed');
  assert.equal(of('conversation.item.truncated')[0]?.audio_end_ms, 100);
});

test('what the client cancels is said to be cancelled by the client, once', () => {
  for (const turn of [1, 2]) {
    speak(turn, 100);
    if (turn === 1) writer.cancelling();
    tell(turn, { type: 'turn.cancelled' });
  }
  assert.deepEqual(
    of('response.done').map(({ response }) => response.status_details?.reason),
    ['client_cancelled', 'turn_detected'],
  );
  assert.deepEqual(
    of('conversation.item.truncated').map(({ audio_end_ms }) => audio_end_ms),
    [0, 0],
  );
});

test('while the audio comes by WebRTC only the words are written', () => {
  writesAudio = false;
  speak(1, 100, true);
  assert.equal(
    types().some((type) => type.startsWith('response.output_audio.')),
    false,
  );
  assert.equal(of('response.output_audio_transcript.done').length, 1);
  assert.equal(writer.sentMsOf(writer.find('item_1') as never), 100);
});

test('the user: activity, the item of the utterance, its words; items name the one before', () => {
  writer.speechStarted(100);
  writer.speechStopped(900);
  tell(1, { type: 'transcript', role: 'user', text: 'Hi.', final: true });
  speak(1, 20, true);
  assert.deepEqual(types().slice(0, 5), [
    ...['input_audio_buffer.speech_started', 'input_audio_buffer.speech_stopped', 'input_audio_buffer.committed'],
    ...['conversation.item.added', 'conversation.item.input_audio_transcription.completed'],
  ]);
  const ids = new Set(sent.slice(0, 5).flatMap((event) => ('item_id' in event ? [event.item_id] : [])));
  assert.equal(ids.size, 1);
  const items = of('conversation.item.added');
  assert.deepEqual(
    items.map(({ previous_item_id }) => previous_item_id),
    [null, [...ids][0]],
  );
});

test('a tool call is a response of its own, which ends with the call', () => {
  tell(0, { type: 'tool.call', callId: 'call-1', name: 'weather', arguments: '{"city":"Oslo"}', deadlineMs: 1000 });
  const [call] = of('response.function_call_arguments.done');
  assert.deepEqual([call?.call_id, call?.name, call?.arguments], ['call-1', 'weather', '{"city":"Oslo"}']);
  assert.equal(of('response.done')[0]?.response.output?.[0]?.type, 'function_call');
});

test('items are forgotten in time, however long the talk', () => {
  for (let turn = 1; turn <= 200; turn++) {
    speak(turn, 1, true);
    tell(turn, { type: 'turn.finished', interrupted: false, speechMs: 1, heardMs: 1 });
  }
  assert.equal(writer.find('item_1'), undefined);
  assert.equal(writer.find('item_200')?.state, 'over');
});
