import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EventBody, MeshEvent } from '@talkmesh/contracts';
import { EVENTS_TOPIC, type RoomText, RoomTexts, TRANSCRIPTION_TOPIC } from './room-texts.js';

let ids = 0;
const event = (turn: number, body: EventBody): MeshEvent => ({
  ...{ v: 2, id: `e${ids++}`, sessionId: '0'.repeat(20), epoch: 0, turn, atMs: 0 },
  ...body,
});
const caption = (turn: number, text: string) => event(turn, { type: 'caption', text, fromMs: 0 });
const finished = (turn: number, heardText?: string) =>
  event(turn, {
    ...{ type: 'turn.finished', interrupted: heardText !== undefined, speechMs: 0, heardMs: 0 },
    ...(heardText !== undefined && { heardText }),
  });
const words = (text: string, final: boolean) => event(3, { type: 'transcript', role: 'user', text, final });
const source = (participant: string, track: string) => event(0, { type: 'input.source', participant, track });

const run = (texts: RoomTexts, ...events: MeshEvent[]): RoomText[] => events.flatMap((item) => texts.after(item));
const said = (texts: readonly RoomText[]) =>
  texts
    .filter(({ topic }) => topic === TRANSCRIPTION_TOPIC)
    .map(({ text, attributes, speaker }) => [text, attributes['lk.transcription_final'], speaker]);
const segments = (texts: readonly RoomText[]) =>
  texts.flatMap(({ attributes }) => attributes['lk.segment_id'] ?? []).filter((id, i, all) => all.indexOf(id) === i);

test('a turn is one segment: each text has all words that were heard so far, the last one those of the end', () => {
  const texts = run(new RoomTexts(), caption(1, 'Good day.'), caption(1, 'How are you?'), finished(1));
  assert.deepEqual(said(texts), [
    ['Good day.', 'false', ''],
    ['Good day. How are you?', 'false', ''],
    ['Good day. How are you?', 'true', ''],
  ]);
  assert.equal(segments(texts).length, 1);
});

test('of a turn that was cut the last text has what was heard; one without words has none', () => {
  const texts = new RoomTexts();
  const cut = run(texts, caption(1, 'Good day. How'), finished(1, 'Good day.'));
  assert.deepEqual(said(cut).at(-1), ['Good day.', 'true', '']);
  assert.deepEqual(said(run(texts, finished(2), caption(3, 'Yes.'))), [['Yes.', 'false', '']]);
});

test("the caller's words go out under the caller's name while the caller is in the room", () => {
  const texts = new RoomTexts();
  assert.deepEqual(said(run(texts, words('not in the room', true))), []);
  const heard = run(
    texts,
    source('anna', 'TR_1'),
    words('what', false),
    words('what is it', true),
    words('and', false),
  );
  assert.deepEqual(said(heard), [
    ['what', 'false', 'anna'],
    ['what is it', 'true', 'anna'],
    ['and', 'false', 'anna'],
  ]);
  assert.equal(segments(heard).length, 2);
  assert.ok(
    heard.filter(({ speaker }) => speaker === 'anna').every((t) => t.attributes['lk.transcribed_track_id'] === 'TR_1'),
  );
  assert.deepEqual(said(run(texts, source('', ''), words('gone', true))), []);
});

test('a worker that takes over goes on with the segment that the one before began', () => {
  const before = [source('anna', 'TR_1'), caption(1, 'Good day.'), words('what', false)];
  const [first, second] = [new RoomTexts(), new RoomTexts()];
  const sent = run(first, ...before);
  run(second, ...before);
  const after = run(second, caption(1, 'Go on.'), words('what now', true));
  assert.deepEqual(said(after)[0], ['Good day. Go on.', 'false', '']);
  assert.deepEqual(segments([...sent, ...after]).length, 2);
});

test('events go out as they are, but not those of the mesh, calls of functions, errors and words before they are heard', () => {
  const shown = event(1, { type: 'turn.started', source: 'voice' });
  const hidden: EventBody[] = [
    { type: 'flush', fromChunk: 1, cause: 'speech' },
    { type: 'tool.call', callId: 'c', name: 'pay', arguments: '{"card":1}', deadlineMs: 1 },
    { type: 'error', service: 'x', reason: 'PEER_LOST', message: 'text' },
    { type: 'transcript', role: 'avatar', text: 'later', final: true },
  ];
  const texts = run(new RoomTexts(), shown, ...hidden.map((body) => event(1, body)));
  assert.deepEqual(
    texts.map(({ topic, text }) => [topic, JSON.parse(text)]),
    [[EVENTS_TOPIC, shown]],
  );
});
