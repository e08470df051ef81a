import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { MeshError, newSessionId, type SessionRecord } from '@talkmesh/contracts';
import { createLogger } from '../logging.js';
import { PlacementWatch } from './placement-watch.js';

const log = createLogger({ service: 'score-model', instanceId: 'a', level: 'silent', pretty: false });
const records = new Map<string, SessionRecord>();
const closed: string[] = [];
let held: string[] = [];
let away = false;
let watch: PlacementWatch;

beforeEach(() => {
  records.clear();
  closed.length = 0;
  held = [];
  away = false;
  watch = new PlacementWatch({
    bucket: {
      get: async <T>(key: string) => {
        if (away) throw new MeshError('NATS_UNAVAILABLE', 'away');
        const value = records.get(key) as T | undefined;
        return value === undefined ? undefined : { value, revision: 1 };
      },
    },
    service: 'score-model',
    instanceId: 'me',
    sessions: () => held,
    close: async (sessionId, reason) => {
      held = held.filter((id) => id !== sessionId);
      closed.push(`${sessionId} ${reason}`);
    },
    everyMs: 60_000,
    log,
  });
});
afterEach(() => watch.stop());

function session(instanceId: string | undefined, state: SessionRecord['state'] = 'open'): string {
  const id = newSessionId();
  const placement = instanceId === undefined ? {} : { 'score-model': { instanceId, grpcAddress: 'h:1' } };
  const what = { owner: 'shop', avatar: 'ada', provider: 'parrot', output: 'webrtc', seed: 1, createdAtMs: 1 } as const;
  records.set(id, { id, state, ...what, placement });
  held.push(id);
  return id;
}

test('only sessions that are placed elsewhere or ended are closed', async () => {
  session('me');
  session(undefined);
  const [moved, ended] = [session('other'), session('me', 'ended')];
  await watch.check();
  assert.deepEqual(closed, [`${moved} moved`, `${ended} ended`]);
  await watch.check();
  assert.equal(closed.length, 2);
});

test('a session stays open when its record was never seen or is missing for a short time', async () => {
  held.push(newSessionId());
  const known = session('me');
  await watch.check();
  records.delete(known);
  await watch.check();
  assert.deepEqual(closed, []);
});

test('a session is closed when its record stays missing', async (t) => {
  const known = session('me');
  let nowMs = 0;
  t.mock.method(performance, 'now', () => nowMs);
  await watch.check();
  records.delete(known);
  nowMs = 59_000;
  await watch.check();
  assert.deepEqual(closed, []);
  nowMs = 61_000;
  await watch.check();
  assert.deepEqual(closed, [`${known} ended`]);
});

test('no session is closed while NATS is unreachable', async () => {
  session('other');
  away = true;
  await watch.check();
  assert.deepEqual(closed, []);
});
