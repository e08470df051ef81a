import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { SERVICES, type ServiceName } from '@talkmesh/contracts';
import { startNatsServer } from '@talkmesh/service-kit/testing';
import { buildPackages } from '../../deploy/local/src/build.js';
import { type ProcessUse, processUse } from '../support/process-tree.js';
import { median } from '../support/statistics.js';
import type { Row } from './table.js';

const MIB = 1024 * 1024;
const ROUNDS = 5;
const READY_MS = 60_000;

/** How a service is started: from TypeScript, or from compiled JavaScript as in a mesh. */
const WAYS = {
  source: (service: ServiceName) => ['--import', 'tsx', '--conditions=source', `services/${service}/src/main.ts`],
  compiled: (service: ServiceName) => ['--enable-source-maps', `services/${service}/dist/main.js`],
} as const;
type Way = keyof typeof WAYS;

interface Start extends ProcessUse {
  readonly readyMs: number;
}

/** Starts each service alone, several times in turn, until its `ready` line: medians of time, processor time and memory of its processes. */
export async function measureStartup(modelFolder: string): Promise<readonly Row[]> {
  await buildPackages();
  await using nats = await startNatsServer();
  const env = {
    ...process.env,
    TALKMESH_NATS_URL: nats.url,
    TALKMESH_MODEL: modelFolder,
    TALKMESH_API_KEYS: randomBytes(24).toString('hex'),
    TALKMESH_TOKEN_SECRET: randomBytes(32).toString('hex'),
    TALKMESH_HTTP_PORT: '0',
    TALKMESH_DRAIN_DEADLINE_MS: '0',
  };
  const rows: Row[] = [];
  for (const service of SERVICES) {
    const starts: Record<Way, Start[]> = { source: [], compiled: [] };
    for (let round = 0; round < ROUNDS; round++)
      for (const way of Object.keys(WAYS) as Way[]) starts[way].push(await start(WAYS[way](service), env));
    rows.push(row(service, starts));
  }
  return [...rows, total(rows)];
}

async function start(args: readonly string[], env: NodeJS.ProcessEnv): Promise<Start> {
  const begin = performance.now();
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const timer = setTimeout(() => child.kill('SIGKILL'), READY_MS);
  const exited = once(child, 'exit');
  try {
    for await (const line of createInterface({ input: child.stdout }))
      if (line.includes('"msg":"ready"')) return { readyMs: performance.now() - begin, ...processUse(child.pid ?? 0) };
    throw new Error(`${args.at(-1)} ended before it was ready`);
  } finally {
    clearTimeout(timer);
    child.stdout.resume();
    child.kill('SIGTERM');
    await exited;
  }
}

function row(service: ServiceName, starts: Record<Way, readonly Start[]>): Row {
  const of = (way: Way, value: (start: Start) => number): number => Math.round(median(starts[way].map(value)));
  const both = (name: string, value: (start: Start) => number): Row => ({
    [`${name}, source`]: of('source', value),
    [`${name}, compiled`]: of('compiled', value),
  });
  return {
    service,
    ...both('CPU ms', (start) => start.cpuMs),
    ...both('RSS MiB', (start) => start.residentBytes / MIB),
    ...both('ready ms', (start) => start.readyMs),
  };
}

function total(rows: readonly Row[]): Row {
  const names = Object.keys(rows[0] ?? {}).filter((name) => name !== 'service');
  const sums = names.map((name) => [name, rows.reduce((sum, each) => sum + Number(each[name]), 0)]);
  return { service: 'all six', ...Object.fromEntries(sums) };
}
