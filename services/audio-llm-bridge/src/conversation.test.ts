import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type EventBody, MeshError, type MeshEvent, newSessionId, type PlayheadMessage } from '@talkmesh/contracts';
import { Conversation, MAX_RUNNING_TURNS } from './conversation.js';
import type { ConversationOptions, ConversationOutput } from './conversation-messages.js';
import type { Provider } from './providers/provider.js';
import { CONVERSATION_OPTIONS } from './testing/conversation-options.js';

const sessionId = newSessionId();
const pcm = (ms: number): Int16Array => new Int16Array(ms * 24).fill(1000);
const event = (body: EventBody, epoch = 0): { kind: 'event'; event: MeshEvent } => ({
  kind: 'event',
  event: { v: 2, id: 'test.1', sessionId, epoch, turn: 0, atMs: 0, ...body },
});
const started = event({ type: 'speech.started' });
const stopped = event({ type: 'speech.stopped', durationMs: 1000 });
const cough = event({ type: 'speech.stopped', durationMs: 200 });
const playhead = (
  turn: number,
  turnPlayedMs: number,
  mediaMs = 0,
): { kind: 'playhead'; playhead: PlayheadMessage } => ({
  kind: 'playhead',
  playhead: {
    sessionId,
    epoch: 0,
    turn,
    chunk: 0,
    frame: 0,
    mediaTimeUs: mediaMs * 1000,
    deadlineUs: 0,
    creditChunks: 2,
    heldFrames: 0,
    turnPlayedMs,
  },
});
const speech = (response: string, ms: number) =>
  ({ kind: 'output', output: { kind: 'speech', response, pcm: pcm(ms) } }) as const;
const end = (response: string) => ({ kind: 'output', output: { kind: 'end', response } }) as const;
const parrot: Pick<Provider, 'name' | 'vad' | 'source'> = { name: 'parrot', vad: 'mesh', source: 'voice' };

function talk(options: Partial<ConversationOptions> = {}): Conversation {
  return new Conversation({ ...CONVERSATION_OPTIONS, provider: parrot, ...options }, 0);
}

/** Outputs as short texts, so that tests can compare their order. */
function summary(outputs: readonly ConversationOutput[]): string[] {
  return outputs.map((output) => {
    if (output.kind === 'speech') return `speech ${output.turn}${output.endOfTurn ? ' end' : ''}`;
    if (output.kind === 'event') return `${output.body.type} ${output.turn}`;
    if (output.kind === 'cancel') return `cancel ${output.cut.response} at ${output.cut.playedMs}`;
    return output.input.kind === 'user.started' ? `user.started ${output.input.preRollMs}` : output.input.kind;
  });
}

test('a reply is queued with its first speech, starts when it is heard and is finished when all of it was played', () => {
  const conversation = talk();
  assert.deepEqual(summary(conversation.handle(started, 0)), ['user.started 300']);
  assert.deepEqual(summary(conversation.handle({ kind: 'mic', pcm: pcm(20), endOfTurn: false }, 20)), ['audio']);
  assert.deepEqual(summary(conversation.handle(stopped, 1000)), ['user.stopped']);
  assert.deepEqual(summary(conversation.handle(speech('r', 1000), 1010)), ['turn.queued 1', 'speech 1']);
  assert.deepEqual(summary(conversation.handle(end('r'), 1020)), ['speech 1 end']);
  assert.deepEqual(summary(conversation.handle(playhead(1, 40), 1100)), ['turn.started 1']);
  assert.deepEqual(summary(conversation.handle(playhead(1, 960), 2000)), []);
  const [finished] = conversation.handle(playhead(1, 1000), 2100);
  assert.deepEqual(finished, {
    kind: 'event',
    epoch: 0,
    turn: 1,
    body: { type: 'turn.finished', interrupted: false, speechMs: 1000, heardMs: 1000 },
  });
});

test('speech stops at once when the user speaks; barge-in cuts the turn at the position the listener heard, and later speech of that turn is dropped', () => {
  const conversation = talk();
  conversation.handle(speech('r', 5000), 0);
  conversation.handle(playhead(1, 1240), 1500);
  assert.deepEqual(summary(conversation.handle(started, 1600)), ['pause 0']);
  conversation.handle(playhead(1, 1280), 1700);
  assert.deepEqual(summary(conversation.handle(stopped, 2700)), [
    'interrupt 1',
    'cancel r at 1280',
    'turn.finished 1',
    'user.started 1400',
    'user.stopped',
  ]);
  assert.deepEqual(summary(conversation.handle(speech('r', 100), 2710)), []);
  assert.deepEqual(summary(conversation.handle(end('r'), 2720)), []);
  assert.deepEqual(summary(conversation.handle(speech('next', 100), 2800)), ['turn.queued 2', 'speech 2']);
});

test('a false alarm: speech stops and continues, the provider hears nothing of it, and the turn ends as any other', () => {
  const conversation = talk();
  conversation.handle(speech('r', 1000), 0);
  conversation.handle(end('r'), 0);
  conversation.handle(playhead(1, 480), 500);
  assert.deepEqual(summary(conversation.handle(started, 500)), ['pause 0']);
  assert.deepEqual([conversation.silent, conversation.paused], [true, false]);
  for (let ms = 520; ms < 1200; ms += 20)
    assert.deepEqual(summary(conversation.handle(playhead(0, 0, ms), ms)), [], `after ${ms} ms`);
  const [resume, ...rest] = conversation.handle(cough, 1200);
  assert.ok(resume?.kind === 'event' && resume.body.type === 'resume' && resume.body.cause === 'too-short');
  assert.deepEqual(rest, []);
  assert.deepEqual(summary(conversation.handle(playhead(1, 1000), 2000)), ['turn.finished 1']);
});

test('user speech that goes on cuts the turn after the hold, even when nothing else happens', () => {
  const conversation = talk();
  conversation.handle(speech('r', 5000), 0);
  conversation.handle(playhead(1, 1240), 1500);
  conversation.handle(started, 1600);
  assert.equal(conversation.decidesAtMs, 3100);
  assert.deepEqual(summary(conversation.handle({ kind: 'time' }, 3099)), []);
  assert.deepEqual(summary(conversation.handle({ kind: 'time' }, 3100)).slice(0, 1), ['interrupt 1']);
  assert.equal(conversation.decidesAtMs, undefined);
});

test('a false alarm in a pause does not end it; a pause that is requested meanwhile outlasts the false alarm', () => {
  const conversation = talk();
  conversation.handle(speech('r', 5000), 0);
  conversation.handle(playhead(1, 1000), 1000);
  conversation.pause(true);
  assert.deepEqual(summary(conversation.handle(started, 1100)), []);
  assert.deepEqual(summary(conversation.handle(cough, 1900)), []);
  assert.deepEqual([conversation.paused, conversation.running.length], [true, 1]);

  const other = talk();
  other.handle(speech('r', 5000), 0);
  other.handle(playhead(1, 1000), 1000);
  other.handle(started, 1100);
  assert.deepEqual(summary(other.pause(true)), ['pause 0']);
  assert.deepEqual(summary(other.handle(cough, 1900)), []);
  assert.equal(other.paused, true);
});

test('an interrupt command while the user speaks cuts the turn, and the provider hears the user from the start', () => {
  const conversation = talk();
  conversation.handle(speech('r', 5000), 0);
  conversation.handle(playhead(1, 1000), 1000);
  conversation.handle(started, 1100);
  assert.ok(summary(conversation.interrupt(0)).includes('turn.finished 1'));
  assert.deepEqual(summary(conversation.handle(playhead(0, 0, 1200), 1200)), ['user.started 400']);
  assert.deepEqual(summary(conversation.handle(cough, 1900)), ['user.stopped']);
});

test('a provider that transcribes first is asked for the words; "mhm" lets the turn continue, others cut it', () => {
  const heard = (text: string) => ({ kind: 'output', output: { kind: 'heard', text } }) as const;
  const conversation = talk({ provider: { ...parrot, transcribesFirst: true } });
  conversation.handle(speech('r', 5000), 0);
  conversation.handle(playhead(1, 1000), 1000);
  assert.deepEqual(summary(conversation.handle(started, 1100)), ['pause 0']);
  assert.deepEqual(summary(conversation.handle(stopped, 2200)), ['user.spoke']);
  assert.deepEqual(summary(conversation.handle(heard('Mhm.'), 2500)), ['user.withdrawn', 'resume 0']);
  conversation.handle(started, 3100);
  conversation.handle(stopped, 4200);
  const cut = ['interrupt 1', 'cancel r at 1000', 'turn.finished 1', 'user.accepted'];
  assert.deepEqual(summary(conversation.handle(heard('Wait.'), 4500)), cut);
  assert.equal(conversation.silent, false);
});

test('push-to-talk: the command interrupts, what was said is answered or dropped, and voice activity is ignored', () => {
  const conversation = talk({ input: 'push-to-talk' });
  conversation.handle(speech('r', 5000), 0);
  conversation.handle(playhead(1, 1000), 1000);
  assert.deepEqual(summary(conversation.handle(started, 1100)), []);
  const begun = conversation.input('start', 1200);
  const cut = ['interrupt 1', 'cancel r at 1000', 'turn.finished 1'];
  assert.deepEqual([begun.done, summary(begun.outputs)], [true, ['speech.started 0', ...cut, 'user.started 100']]);
  assert.equal(conversation.input('start', 1300).done, false);
  assert.deepEqual(summary(conversation.input('commit', 2200).outputs), ['speech.stopped 0']);
  assert.deepEqual(summary(conversation.handle({ kind: 'time' }, 2400)), ['user.stopped']);
  assert.deepEqual(conversation.input('commit', 2500), { done: false, outputs: [] });
  conversation.input('start', 3000);
  const dropped = conversation.input('cancel', 4000);
  assert.deepEqual([dropped.done, summary(dropped.outputs)], [true, ['speech.stopped 0', 'user.withdrawn']]);
  assert.throws(() => talk().input('start', 0), { reason: 'ARGUMENT_INVALID', message: /push-to-talk/ });
});

test('a provider that detects speech itself cuts the turn at once', () => {
  const conversation = talk({ provider: { ...parrot, vad: 'provider' } });
  conversation.handle(speech('r', 5000), 0);
  conversation.handle(playhead(1, 1000), 1000);
  const user = { kind: 'output', output: { kind: 'user', activity: 'started' } } as const;
  assert.ok(summary(conversation.handle(user, 1100)).includes('interrupt 1'));
});

test('an answer of which nothing was heard yet is cut without waiting for the echo guard', () => {
  const conversation = talk();
  conversation.handle(speech('r', 5000), 0);
  assert.deepEqual(summary(conversation.handle(started, 100)), ['pause 0']);
  assert.ok(summary(conversation.handle(stopped, 1700)).includes('interrupt 1'));
});

test('user speech at the beginning of a turn is treated as echo unless it outlasts the guard', () => {
  const conversation = talk();
  conversation.handle(speech('r', 5000), 0);
  conversation.handle(playhead(1, 200), 200);
  assert.deepEqual(summary(conversation.handle(started, 210)), []);
  assert.deepEqual(summary(conversation.handle(playhead(1, 900), 900)), []);
  assert.deepEqual(summary(conversation.handle(stopped, 950)), [], 'the provider never receives the echo');
  assert.deepEqual(summary(conversation.handle(playhead(1, 1200), 1200)), []);

  const other = talk();
  other.handle(speech('r', 5000), 0);
  other.handle(playhead(1, 200), 200);
  other.handle(started, 210);
  assert.deepEqual(summary(other.handle(playhead(1, 1000), 1010)), [
    'interrupt 1',
    'cancel r at 1000',
    'turn.finished 1',
    'user.started 1100',
  ]);
});

test('without barge-in, user speech reaches the provider when the turn is over', () => {
  const conversation = talk({ bargeIn: false });
  conversation.handle(speech('r', 1000), 0);
  conversation.handle(end('r'), 0);
  conversation.handle(playhead(1, 800), 800);
  assert.deepEqual(summary(conversation.handle(started, 810)), []);
  assert.deepEqual(summary(conversation.handle(playhead(1, 1000), 1000)), ['turn.finished 1', 'user.started 300']);
  assert.deepEqual(summary(conversation.handle(stopped, 1500)), ['user.stopped']);
});

test('an interrupt command cuts every running and waiting turn, and does nothing without turns', () => {
  const conversation = talk();
  assert.deepEqual(conversation.interrupt(0), []);
  const { turn } = conversation.beginText('text-1');
  conversation.handle(speech('text-1', 1000), 0);
  conversation.handle(speech('r', 1000), 0);
  conversation.handle(playhead(1, 400), 400);
  const outputs = conversation.interrupt(0);
  assert.equal(turn, 1);
  assert.deepEqual(summary(outputs), [
    'interrupt 2',
    'cancel text-1 at 400',
    'turn.finished 1',
    'cancel r at 0',
    'turn.cancelled 2',
  ]);
  assert.deepEqual(
    outputs.flatMap((output) => (output.kind === 'cancel' ? [output.source] : [])),
    ['text', 'voice'],
  );
});

test('a pause of any length does not end a turn; the turn is finished when all of it was heard', () => {
  const conversation = talk();
  conversation.handle(speech('r', 1000), 0);
  conversation.handle(end('r'), 0);
  conversation.beginText('waiting');
  conversation.handle(speech('waiting', 500), 0);
  conversation.handle(playhead(1, 480, 480), 480);
  assert.deepEqual(summary(conversation.pause(true)), ['pause 0']);
  assert.equal(conversation.paused, true);
  for (let ms = 500; ms < 60_000; ms += 100)
    assert.deepEqual(summary(conversation.handle(playhead(0, 0, ms), ms)), [], `after ${ms} ms`);
  assert.deepEqual(summary(conversation.pause(false)), ['resume 0']);
  assert.deepEqual(summary(conversation.handle(playhead(0, 0, 60_000), 60_000)), [], 'playback has not resumed yet');
  assert.deepEqual(summary(conversation.handle(playhead(1, 960, 61_000), 61_000)), []);
  assert.deepEqual(summary(conversation.handle(playhead(1, 1000, 61_100), 61_100)), ['turn.finished 1']);
});

test('speech that arrives in a pause waits; no more is sent ahead than usual', () => {
  const conversation = talk({ aheadMs: 1000 });
  conversation.handle(speech('r', 800), 0);
  conversation.handle(playhead(1, 300, 300), 300);
  conversation.pause(true);
  let sentMs = 0;
  for (let ms = 400; ms < 5400; ms += 100) {
    const outputs = [...conversation.handle(speech('r', 100), ms), ...conversation.handle(playhead(0, 0, ms), ms)];
    for (const output of outputs) if (output.kind === 'speech') sentMs += output.pcm.length / 24;
  }
  assert.equal(sentMs, 500);
  conversation.pause(false);
  const [next] = conversation.handle(playhead(1, 400, 6000), 6000);
  assert.ok(next?.kind === 'speech' && next.fromSample === 1300 * 24);
});

test('an interrupt ends a pause with and without a turn to cut; a typed line waits during a pause', () => {
  const conversation = talk();
  conversation.pause(true);
  assert.deepEqual(summary(conversation.interrupt(0)), ['resume 0']);
  assert.equal(conversation.paused, false);
  conversation.pause(true);
  conversation.beginText('line');
  assert.deepEqual(summary(conversation.handle(speech('line', 100), 0)), ['speech 1']);
  assert.equal(conversation.paused, true);
  assert.deepEqual(summary(conversation.interrupt(0)), ['interrupt 1', 'cancel line at 0', 'turn.cancelled 1']);
  assert.equal(conversation.paused, false);
});

test('user speech in a pause is never treated as echo, because a silent avatar makes none', () => {
  const conversation = talk();
  conversation.handle(speech('r', 5000), 0);
  conversation.handle(playhead(1, 200, 200), 200);
  conversation.pause(true);
  conversation.handle(started, 900);
  assert.ok(summary(conversation.handle(stopped, 2500)).includes('interrupt 1'));
  assert.equal(conversation.paused, false);

  const other = talk();
  other.handle(speech('r', 5000), 0);
  other.handle(playhead(1, 200, 200), 200);
  other.handle(started, 210);
  other.pause(true);
  assert.deepEqual(summary(other.handle(playhead(0, 0, 700), 700)), [], 'it may still be the echo');
  assert.ok(summary(other.handle(playhead(0, 0, 920), 920)).includes('interrupt 1'));
});

test('external audio is passed on sample for sample, and its voice activity is ignored', () => {
  const conversation = talk({ provider: { name: 'external', vad: 'none', source: 'external' } });
  const [first, piece] = conversation.handle(speech('external-1', 20), 0);
  assert.deepEqual(summary([first as ConversationOutput]), ['turn.queued 1']);
  assert.ok(piece?.kind === 'speech');
  assert.deepEqual(piece.pcm, pcm(20));
  assert.deepEqual(summary(conversation.handle(started, 10)), []);
});

test('sequence and media time continue across turns, and the epoch follows the flushes', () => {
  const conversation = talk();
  conversation.handle(speech('a', 100), 0);
  conversation.handle(end('a'), 0);
  conversation.handle(event({ type: 'flush', fromChunk: 3, cause: 'speech' }, 4), 10);
  const piece = conversation.handle(speech('b', 20), 20)[1];
  assert.ok(piece?.kind === 'speech');
  assert.deepEqual([piece.sequence, piece.mediaTimeUs, piece.epoch, piece.turn], [2, 100_000, 4, 2]);
});

test('a turn longer than the limit ends at the limit with an error, and its response is cancelled', () => {
  const conversation = talk({ maxTurnMs: 1000 });
  conversation.handle(speech('r', 900), 0);
  const outputs = conversation.handle(speech('r', 200), 10);
  assert.deepEqual(summary(outputs), ['error 1', 'cancel r at 0', 'speech 1 end']);
  const [error] = outputs;
  assert.ok(error?.kind === 'event' && error.body.type === 'error');
  assert.equal(error.body.reason, 'AUDIO_TOO_LONG');
  assert.match(error.body.message, /ended after 1 s, the limit of TALKMESH_MAX_TURN_SECONDS/);
});

test('one turn too many is refused once, not once per message', () => {
  const conversation = talk();
  for (let i = 0; i < MAX_RUNNING_TURNS; i++) conversation.beginText(`text-${i}`);
  assert.equal(conversation.beginText('one more').turn, undefined);
  assert.deepEqual(summary(conversation.handle(speech('r', 20), 0)), ['error 0']);
  assert.deepEqual(summary(conversation.handle(speech('r', 20), 0)), []);
});

test('speech that is never played is reported as lost', () => {
  const conversation = talk();
  conversation.handle(speech('r', 100), 0);
  conversation.handle(end('r'), 0);
  conversation.handle(playhead(0, 0, 0), 0);
  assert.deepEqual(summary(conversation.handle(playhead(0, 0, 20_000), 20_000)), ['error 1', 'turn.cancelled 1']);
});

test('transcripts name their turn; a failure of the provider keeps its reason', () => {
  const conversation = talk();
  conversation.handle(speech('r', 100), 0);
  const transcript = { kind: 'transcript', role: 'avatar', text: 'Hi', final: true, response: 'r' } as const;
  assert.deepEqual(summary(conversation.handle({ kind: 'output', output: transcript }, 0)), ['transcript 1']);
  const error = new MeshError('DEADLINE_EXCEEDED', 'too slow');
  const [failure] = conversation.handle({ kind: 'output', output: { kind: 'failed', error } }, 0);
  assert.ok(failure?.kind === 'event' && failure.body.type === 'error');
  assert.deepEqual([failure.body.reason, failure.body.message], ['DEADLINE_EXCEEDED', 'too slow']);
});

test('a clear cuts the turns of the sender, and what follows the end of its stream is a turn of its own', () => {
  const conversation = talk({ provider: { name: 'external', vad: 'none', source: 'external' } });
  assert.deepEqual(summary(conversation.handle(event({ type: 'clear' }), 0)), []);
  conversation.handle(speech('external-1', 1000), 0);
  conversation.handle(playhead(1, 400), 400);
  assert.deepEqual(summary(conversation.handle(event({ type: 'clear' }), 500)), [
    'interrupt 1',
    'cancel external-1 at 400',
    'turn.finished 1',
  ]);
  assert.deepEqual(summary(conversation.handle(end('external-1'), 510)), []);
  assert.deepEqual(summary(conversation.handle(speech('external-2', 20), 520)), ['turn.queued 2', 'speech 2']);
});
