import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MeshError, newSessionId, type SessionRecord, type WorkerName, type WorkerRecord } from '@talkmesh/contracts';
import { createMetrics, type Metrics } from '@talkmesh/service-kit';
import { HandOver, type HandOverOptions } from './handover.js';
import type { WorkerPlace } from './worker-monitor.js';

const placeOf = (service: WorkerName): WorkerPlace => ({
  service,
  instanceId: `${service}-1`,
  grpcAddress: '127.0.0.1:1',
});
const EGRESS = placeOf('webrtc-egress');
const BRIDGE = placeOf('audio-llm-bridge');

interface World {
  readonly handOver: HandOver;
  readonly metrics: Metrics;
  readonly id: string;
  /** Messages of warnings and errors, and those of sessions that ended. */
  readonly logged: string[];
  readonly ended: string[];
  readonly published: unknown[];
  /** Answers the reads of the record that wait, when `isHeld`. */
  readonly reads: (() => void)[];
}

interface WorldOptions {
  readonly place: WorkerPlace;
  readonly session?: Partial<SessionRecord>;
  /** An error: this gateway cannot move the session. */
  readonly candidates?: readonly Partial<WorkerRecord>[] | MeshError;
  readonly takeOver?: () => Promise<void>;
  readonly isHeld?: boolean;
  readonly handoverDeadlineMs?: number;
}

/** One session on one worker. */
function world({
  place,
  session,
  candidates = [],
  takeOver,
  isHeld = false,
  handoverDeadlineMs = 60_000,
}: WorldOptions): World {
  const id = newSessionId();
  const { service, instanceId, grpcAddress } = place;
  const placement = { [service]: { instanceId, grpcAddress } };
  const stored = {
    record: { id, state: 'open', output: 'webrtc', placement, ...session } as SessionRecord,
    revision: 1,
  };
  const [logged, ended, published, reads]: [string[], string[], unknown[], (() => void)[]] = [[], [], [], []];
  const write = (_: object, message: string): void => void logged.push(message);
  const log = { warn: write, error: write, info: () => undefined, child: () => log };
  const metrics = createMetrics({ defaults: false });
  const handOver = new HandOver({
    store: {
      find: async () => {
        if (isHeld) await new Promise<void>((resolve) => reads.push(resolve));
        return stored;
      },
      list: async () => [stored],
      update: async (_: object, change: Partial<SessionRecord>) =>
        Object.assign(stored, { record: { ...stored.record, ...change } }),
    },
    stages: {
      candidates: async () => {
        if (candidates instanceof MeshError) throw candidates;
        return candidates;
      },
      takeOver,
      closeMoved: async () => undefined,
      close: async () => ({}),
    },
    sessions: {
      end: async (_: string, { failure }: { failure: { message: string } }) => void ended.push(failure.message),
    },
    bus: { publishEvent: (event: unknown) => void published.push(event) },
    isBack: () => false,
    ...{ handoverDeadlineMs, handoverParallel: 1, closeDeadlineMs: 1000, log, metrics },
  } as unknown as HandOverOptions);
  return { handOver, metrics, id, logged, ended, published, reads };
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const hadOutcome = async ({ metrics }: World): Promise<string[]> =>
  [...(await metrics.registry.metrics()).matchAll(/talkmesh_handovers_total\{.*outcome="([a-z]+)".*\} [1-9]/g)].map(
    ([, outcome = '']) => outcome,
  );

test('a worker that is lost while a pass over its drained sessions runs does not keep them', async () => {
  const { handOver, id, ended, reads } = world({ place: EGRESS, session: { output: 'record' }, isHeld: true });
  const drained = handOver.move(id, EGRESS, 'drained');
  const [died, sweep] = [handOver.move(id, EGRESS, 'died'), handOver.move(id, EGRESS, 'died')];
  await settled();
  reads.shift()?.();
  assert.equal(await drained, 'stays');
  await settled();
  assert.equal(reads.length, 1, 'both calls share one move');
  reads.shift()?.();
  assert.deepEqual(await Promise.all([died, sweep]), ['ended', 'ended']);
  assert.equal(ended.length, 1);
});

test('a draining worker says once why it keeps sessions: they cannot move, or no worker is free', async () => {
  for (const [place, session, expected] of [
    [EGRESS, { output: 'record' }, /cannot move.*TALKMESH_DRAIN_DEADLINE_MS/],
    [BRIDGE, { ownKey: true }, /cannot move.*TALKMESH_DRAIN_DEADLINE_MS/],
    [EGRESS, { ownKey: true }, /no other worker is ready and has room; add workers/],
    [BRIDGE, { output: 'record' }, /no other worker is ready and has room; add workers/],
  ] as const) {
    const one = world({ place, session });
    await one.handOver.evacuate(place, 'drained');
    await one.handOver.evacuate(place, 'drained');
    assert.equal(one.logged.length, 1, one.logged.join());
    assert.match(one.logged[0] ?? '', expected);
    assert.deepEqual([one.ended, await hadOutcome(one)], [[], []]);
  }
});

test('a recorded session goes on when a webrtc-egress of an older version takes it over, and the caller is told', async () => {
  const recording = { sides: 'avatar', format: 'mp4', maxMs: 1, maxBytes: 1 } as const;
  const next = { ...EGRESS, instanceId: 'egress-2', sessions: 0, capacity: 8 };
  for (const [session, recordsCalls, told] of [
    [{ recording }, undefined, 1],
    [{ recording }, true, 0],
    [{}, undefined, 0],
  ] as const) {
    const takeOver = async (): Promise<void> => undefined;
    const candidates = [{ ...next, ...(recordsCalls && { recordsCalls }) }];
    const { handOver, id, published } = world({ place: EGRESS, session, candidates, takeOver });
    assert.equal(await handOver.move(id, EGRESS, 'died'), 'moved');
    assert.equal(JSON.stringify(published).match(/"recording.failed","part":0/g)?.length ?? 0, told);
  }
});

test('a gateway that cannot move a session leaves it to the others: where it drains, or until they are late', async () => {
  const candidates = new MeshError('ARGUMENT_INVALID', 'no key for that LiveKit server');
  const one = world({ place: EGRESS, candidates, handoverDeadlineMs: 150 });
  assert.equal(await one.handOver.move(one.id, EGRESS, 'drained'), 'failed');
  assert.deepEqual([one.ended, one.published], [[], []], 'the draining worker serves it');
  assert.equal(await one.handOver.move(one.id, EGRESS, 'died'), 'ended');
  assert.equal(one.ended.length, 1);
  assert.match(JSON.stringify(one.published), /stage.recovering/);
});

test('a session that cannot move says so when its worker is lost, and no operator is told to add workers', async () => {
  const candidates = [{ ...BRIDGE, instanceId: 'bridge-2', sessions: 0, capacity: 8 }];
  const refused = new MeshError('PROVIDER_FAILED', 'the key is lost');
  for (const [options, message, log] of [
    [
      { place: EGRESS, session: { output: 'record' } },
      /lost and a recording cannot move.*record again$/,
      /a recording cannot/,
    ],
    [
      { place: BRIDGE, session: { ownKey: true }, handoverDeadlineMs: 50 },
      /own key for its provider is lost/,
      /own key/,
    ],
    [
      { place: BRIDGE, session: { ownKey: true }, candidates, takeOver: () => Promise.reject(refused) },
      /^the key is lost$/,
      /own key/,
    ],
    [{ place: BRIDGE, candidates, takeOver: () => Promise.reject(refused) }, /^the key is lost$/, /the error says why/],
  ] as const) {
    const one = world(options);
    assert.equal(await one.handOver.move(one.id, options.place, 'died'), 'ended');
    assert.match(one.ended.join(), message);
    assert.match(one.logged.at(-1) ?? '', log);
    assert.doesNotMatch(one.logged.join(), /add workers/i);
    assert.deepEqual(await hadOutcome(one), ['ended']);
  }
});

test('without any worker the operator is told to add workers', async () => {
  const one = world({ place: EGRESS, handoverDeadlineMs: 50 });
  assert.equal(await one.handOver.move(one.id, EGRESS, 'died'), 'ended');
  assert.match(one.logged.at(-1) ?? '', /Add workers/);
  assert.match(one.ended.join(), /no other took it over; start a new call$/);
});
