import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';

/** Checks `condition` every 20 ms until it is true; after `limitMs` the test fails, and the message says what it waited for. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  limitMs = 20_000,
): Promise<void> {
  for (const end = performance.now() + limitMs; !(await condition()); await sleep(20))
    if (performance.now() > end) assert.fail(`not within ${limitMs} ms: ${what}`);
}
