import { readFileSync } from 'node:fs';

const TICKS_PER_SECOND = 100;

/** Processor time of this process and of its children that have ended, from proc_pid_stat(5); of orphans nothing is known. */
function cpuSeconds() {
  const stat = readFileSync('/proc/self/stat', 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / TICKS_PER_SECOND;
}

/** Reporter of node:test: counts as one line of JSON. JavaScript, because compiled tests run without a TypeScript loader. */
// biome-ignore lint/style/noDefaultExport: node:test takes a reporter from the default export
export default async function* tally(events) {
  let [passed, failed] = [0, 0];
  for await (const { type, data } of events) {
    if (type === 'test:fail') failed += 1;
    else if (type !== 'test:pass') continue;
    else if (data.skip !== undefined || data.todo !== undefined) failed += 1;
    else if (data.details.type !== 'suite') passed += 1;
  }
  yield `${JSON.stringify({ passed, failed, cpuSeconds: cpuSeconds() })}\n`;
}
