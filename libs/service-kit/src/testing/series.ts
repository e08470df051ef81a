import assert from 'node:assert/strict';
import type { Metrics } from '../metrics.js';

const FEW = 10;
const MANY = 1000;
/** A busy machine may bring an outcome for the first time after the first sessions, such as a late chunk. */
const MAY_COME_LATE = 8;

/** The time series of a registry: names with their labels, without values and exemplars. */
async function seriesOf(metrics: Metrics): Promise<Set<string>> {
  const lines = (await metrics.registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Set(lines.map((line) => (line.split(' # ')[0] ?? '').replace(/ [^ ]+$/, '')));
}

/**
 * Fails when a service has more time series after 1,000 sessions than after 10, or when a label holds a session's id.
 * @param session one session from its beginning to its end; returns its id @param parallel how many there are at the same time
 */
export async function assertSeriesStayConstant(
  metrics: Metrics,
  session: (index: number) => Promise<string>,
  parallel = 10,
): Promise<void> {
  const ids: string[] = [];
  const run = async (until: number): Promise<void> => {
    while (ids.length < until) {
      const count = Math.min(parallel, until - ids.length);
      ids.push(...(await Promise.all(Array.from({ length: count }, (_, i) => session(ids.length + i)))));
    }
  };
  await run(FEW);
  const few = await seriesOf(metrics);
  await run(MANY);
  const many = await seriesOf(metrics);
  assert.ok(few.size > 10, `${few.size} series: the sessions are measured`);
  const named = [...many].filter((one) => ids.some((id) => one.includes(id)));
  assert.deepEqual(named, [], 'no label holds the id of a session');
  const more = [...many].filter((one) => !few.has(one));
  // A histogram that comes late brings all of its buckets.
  const metricsThatCame = new Set(
    more.map((one) => one.replace(/,?le="[^"]*"/, '').replace(/_(bucket|sum|count)\b/, '')),
  );
  assert.ok(metricsThatCame.size <= MAY_COME_LATE, `new series:\n${more.join('\n')}`);
}
