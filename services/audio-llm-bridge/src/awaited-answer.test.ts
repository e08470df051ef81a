import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type EventBody, MeshError, type MeshEvent, newSessionId } from '@talkmesh/contracts';
import { Conversation } from './conversation.js';
import type { ConversationOutput } from './conversation-messages.js';
import { CONVERSATION_OPTIONS } from './testing/conversation-options.js';

const sessionId = newSessionId();
const event = (body: EventBody): { kind: 'event'; event: MeshEvent } => ({
  kind: 'event',
  event: { v: 2, id: 'test.1', sessionId, epoch: 0, turn: 0, atMs: 0, ...body },
});
const started = event({ type: 'speech.started' });
const stopped = event({ type: 'speech.stopped', durationMs: 1000 });
const speech = (response: string, ms: number) =>
  ({ kind: 'output', output: { kind: 'speech', response, pcm: new Int16Array(ms * 24).fill(1000) } }) as const;
const end = (response: string) => ({ kind: 'output', output: { kind: 'end', response } }) as const;

function talk(input: 'voice-activity' | 'push-to-talk' = 'voice-activity'): Conversation {
  const provider = { name: 'parrot', vad: 'mesh', source: 'voice' } as const;
  return new Conversation({ ...CONVERSATION_OPTIONS, provider, input }, 0);
}

function summary(outputs: readonly ConversationOutput[]): string[] {
  return outputs.map((output) => {
    if (output.kind === 'event') return `${output.body.type} ${output.turn}`;
    if (output.kind === 'cancel') return `cancel ${output.cut.response} at ${output.cut.playedMs}`;
    return output.kind === 'speech' ? `speech ${output.turn}` : output.input.kind;
  });
}

const said = (response: string, text: string) =>
  ({ kind: 'output', output: { kind: 'transcript', role: 'avatar', text, final: false, response } }) as const;
const GIVEN_UP = ['turn.queued 1', 'interrupt 1', 'cancel unanswered-1 at 0', 'turn.cancelled 1'];

test('an interrupt while the provider thinks gives its answer up: nothing of it is heard or shown, the next one is', () => {
  const conversation = talk();
  conversation.handle(started, 0);
  assert.deepEqual(conversation.interrupt(500), [], 'the user still speaks');
  conversation.handle(stopped, 1000);
  assert.deepEqual(summary(conversation.interrupt(1500)), GIVEN_UP);
  assert.deepEqual(conversation.interrupt(1600), [], 'nothing is awaited any more');
  assert.deepEqual(conversation.handle(said('r', 'Hello'), 1900), []);
  assert.deepEqual(summary(conversation.handle(speech('r', 100), 2000)), ['cancel r at 0']);
  for (const late of [speech('r', 100), said('r', 'Hello there'), end('r')])
    assert.deepEqual(conversation.handle(late, 2100), []);
  conversation.handle(started, 3000);
  conversation.handle(stopped, 4000);
  assert.deepEqual(summary(conversation.handle(speech('s', 100), 4500)), ['turn.queued 2', 'speech 2']);
});

test('an answer that was given up takes no typed line with it, and what nothing awaits cannot be given up', () => {
  const typed = talk();
  typed.handle(started, 0);
  typed.handle(stopped, 1000);
  typed.interrupt(1500);
  typed.beginText('line');
  assert.deepEqual(summary(typed.handle(speech('line', 100), 1600)), ['speech 2']);
  assert.deepEqual(summary(typed.handle(speech('r', 100), 1700)), ['cancel r at 0']);
  const failed = talk();
  failed.handle(started, 0);
  failed.handle(stopped, 1000);
  failed.handle({ kind: 'output', output: { kind: 'failed', error: new MeshError('PROVIDER_FAILED', 'no') } }, 1100);
  assert.deepEqual(failed.interrupt(1200), []);
  const late = talk();
  late.handle(started, 0);
  late.handle(stopped, 1000);
  assert.deepEqual(late.interrupt(60_000), [], 'the provider has not answered for a minute');
  assert.deepEqual(summary(late.handle(speech('r', 100), 60_100)), ['turn.queued 1', 'speech 1']);
  const again = talk();
  again.handle(started, 0);
  again.handle(stopped, 1000);
  again.interrupt(1500);
  again.handle(started, 1600);
  again.handle(stopped, 2600);
  assert.deepEqual(summary(again.handle(speech('r', 100), 2700)), ['turn.queued 2', 'speech 2'], 'a new question');
});

test('with push-to-talk too', () => {
  const conversation = talk('push-to-talk');
  conversation.input('start', 0);
  conversation.handle({ kind: 'mic', pcm: new Int16Array(480 * 50), endOfTurn: false }, 900);
  conversation.input('commit', 1000);
  conversation.handle({ kind: 'time' }, 2000);
  assert.deepEqual(summary(conversation.interrupt(2500)), GIVEN_UP);
});
