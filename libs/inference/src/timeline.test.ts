import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { nowUs, openTimeline } from './timeline.js';

interface TraceEvent {
  readonly ph: string;
  readonly name: string;
  readonly pid: number;
  readonly tid: number;
  readonly ts?: number;
  readonly dur?: number;
  readonly args?: Readonly<Record<string, unknown>>;
}

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'talkmesh-timeline-'));
});
after(() => rm(folder, { recursive: true, force: true }));

/** Reads the array form as trace viewers do: the closing bracket may be missing. */
const parse = (text: string): TraceEvent[] => JSON.parse(`${text.trimEnd().replace(/,$/, '')}]`) as TraceEvent[];

test('spans and marks are written to named lanes', async () => {
  const path = join(folder, 'lanes.json');
  const timeline = openTimeline(path, 'score-model');
  const start = nowUs();
  timeline.span('rank 0', 'layer 1', start, start + 25, { chunk: 3 });
  timeline.mark('rank 1', 'rolled back', start + 5);
  timeline[Symbol.dispose]();
  timeline.span('rank 0', 'after the end', start, start);
  const events = parse(await readFile(path, 'utf8'));
  const lanes = events
    .filter((event) => event.name === 'thread_name')
    .map((event) => [event.tid, event.args?.['name']]);
  assert.deepEqual(lanes, [
    [1, 'rank 0'],
    [2, 'rank 1'],
  ]);
  const span = events.find((event) => event.ph === 'X');
  assert.deepEqual([span?.name, span?.tid, span?.ts, span?.args], ['layer 1', 1, start, { chunk: 3 }]);
  assert.ok(Math.abs((span?.dur ?? 0) - 25) < 1e-3);
  assert.equal(events.find((event) => event.ph === 'i')?.tid, 2);
  assert.equal(events.length, 5);
});

test('a file that several processes wrote, and that were killed, loads', async () => {
  const path = join(folder, 'shared.json');
  const module = new URL('./timeline.js', import.meta.url).href;
  const source = `import { nowUs, openTimeline } from ${JSON.stringify(module)};
    const timeline = openTimeline(${JSON.stringify(path)}, 'worker');
    setInterval(() => { for (let i = 0; i < 300; i++) timeline.span('stage', 'chunk', nowUs() - 10, nowUs()); }, 100);`;
  // At this rate a process writes for less than a thousandth of its time, so the kills do not cut a line.
  const start = (): ReturnType<typeof spawn> =>
    spawn(process.execPath, ['--import', 'tsx', '--conditions=source', '--input-type=module', '-e', source], {
      stdio: 'inherit',
    });
  const [first, second] = [start(), start()];
  const size = async (): Promise<number> => (await readFile(path, 'utf8').catch(() => '')).length;
  const pids = async (): Promise<number> =>
    new Set([...(await readFile(path, 'utf8').catch(() => '')).matchAll(/"pid":(\d+)/g)].map((match) => match[1])).size;
  while ((await size()) < 200_000 || (await pids()) < 2) await sleep(20);
  for (const child of [first, second]) child.kill('SIGKILL');
  await Promise.all([once(first, 'exit'), once(second, 'exit')]);
  const events = parse(await readFile(path, 'utf8'));
  assert.deepEqual(new Set(events.map((event) => event.pid)), new Set([first.pid, second.pid]));
  assert.ok(events.length > 1000);
});

test('without a path nothing is recorded or written', () => {
  const timeline = openTimeline('', 'score-model');
  assert.equal(timeline.enabled, false);
  timeline.span('a', 'b', 0, 1);
  timeline.mark('a', 'b', 0);
  timeline[Symbol.dispose]();
});
