import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import type { EventBody } from '@talkmesh/contracts';
import type { ToolResult } from './providers/provider.js';
import { ToolCalls } from './tool-calls.js';

function open() {
  const events: EventBody[] = [];
  const results: ToolResult[] = [];
  const calls = new ToolCalls({
    deadlineMs: 5000,
    tell: (body) => events.push(body),
    answer: (result) => results.push(result),
  });
  return { calls, events, results };
}
const call = (id: string, given = '{}') => ({ id, name: 'weather', arguments: given });

test('a call is an event, and its answer reaches the model once', () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  const { calls, events, results } = open();
  calls.begin(call('a', '{"city":"Oslo"}'));
  calls.answer({ id: 'a', output: 'cold' });
  assert.throws(() => calls.answer({ id: 'a', output: 'warm' }), /^MeshError: No tool call with this id waits/);
  mock.timers.tick(6000);
  assert.deepEqual(results, [{ id: 'a', output: 'cold' }]);
  assert.deepEqual(events, [
    { type: 'tool.call', callId: 'a', name: 'weather', arguments: '{"city":"Oslo"}', deadlineMs: 5000 },
    { type: 'tool.finished', callId: 'a', outcome: 'answered' },
  ]);
  mock.timers.reset();
});

test('at the deadline the model is told that there is no answer, and a late answer is refused', () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  const { calls, events, results } = open();
  calls.begin(call('a'));
  calls.begin(call('b'));
  calls.cancel('b');
  calls.cancel('unknown');
  mock.timers.tick(5000);
  assert.deepEqual(results, [{ id: 'a', output: '{"error":"The application did not answer within 5 s."}' }]);
  assert.throws(() => calls.answer({ id: 'a', output: 'late' }), /deadline has passed/);
  assert.deepEqual(
    events.flatMap((event) => (event.type === 'tool.finished' ? [`${event.callId} ${event.outcome}`] : [])),
    ['b cancelled', 'a expired'],
  );
  mock.timers.reset();
});

test('calls beyond the limits are answered with the reason, without an event', () => {
  const { calls, events, results } = open();
  calls.begin(call('long', 'x'.repeat(10_001)));
  for (let i = 0; i < 17; i++) calls.begin(call(`c${i}`));
  calls[Symbol.dispose]();
  assert.deepEqual(
    results.map(({ id, output }) => [id, Object.keys(JSON.parse(output) as object)]),
    [
      ['long', ['error']],
      ['c16', ['error']],
    ],
  );
  assert.equal(events.length, 16);
  assert.throws(() => calls.answer({ id: 'c1', output: 'x'.repeat(20_001) }), /at most 20000/);
});
