import assert from 'node:assert/strict';
import { test } from 'node:test';
import { agentReportOf } from './agent-messages.js';

test('reports are the calls that LiveKit Agents knows', () => {
  const started = agentReportOf({ type: 'started', stream: 'a' }, 1_700_000_000_500);
  assert.deepEqual([started?.method, started?.payload], ['lk.playback_started', '{"created_at":1700000000.5}']);
  const finished = agentReportOf({ type: 'finished', stream: 'a', seconds: 1.44, interrupted: true }, 0);
  assert.equal(finished?.method, 'lk.playback_finished');
  assert.deepEqual(JSON.parse(finished?.payload ?? ''), {
    playback_position: 1.44,
    interrupted: true,
    synchronized_transcript: null,
  });
  assert.equal(agentReportOf({ type: 'cleared' }, 0), undefined);
});
