import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { MeshError } from '@talkmesh/contracts';
import { until } from '@talkmesh/service-kit/testing';
import type { ServiceSpec } from './managed-service.js';
import { Supervisor, type SupervisorOptions } from './supervisor.js';
import { isRunning, Scratch } from './testing.js';

const scratch = new Scratch();
after(() => scratch[Symbol.dispose]());

/**
 * A fake service: it prints a `ready` line and exits on SIGTERM. It appends its starts and ends to JOURNAL, starts a child process, and
 * misbehaves as FAULT demands.
 */
const fake = scratch.write(
  'fake.mjs',
  `import { appendFileSync, existsSync, writeFileSync } from 'node:fs';
import { spawn } from 'node:child_process';
const { NAME, FAULT, JOURNAL, TALKMESH_PARENT_PID, TALKMESH_GRPC_PORT = '0' } = process.env;
const journal = (what) => appendFileSync(JOURNAL, what + ' ' + NAME + '\\n');
journal('start');
appendFileSync(JOURNAL + '.pids', process.pid + '\\n');
if (FAULT === 'bad-config') { console.error('TALKMESH_X=1: is not valid'); process.exit(78); }
if (FAULT === 'broken') { console.log(JSON.stringify({ level: 'fatal', msg: 'no model', err: { message: 'no such file' } })); process.exit(1); }
const child = spawn('sleep', ['600'], { stdio: 'ignore' });
appendFileSync(JOURNAL + '.pids', child.pid + '\\n');
const again = existsSync(JOURNAL + '.' + NAME);
writeFileSync(JOURNAL + '.' + NAME, '');
if (FAULT !== 'stubborn') process.on('SIGTERM', () => { journal('end'); process.exit(0); });
else process.on('SIGTERM', () => {});
setInterval(() => { try { process.kill(Number(TALKMESH_PARENT_PID), 0); } catch { child.kill(); process.exit(1); } }, 100);
if (FAULT === 'never-ready') await new Promise(() => {});
console.log(JSON.stringify({ level: 'info', msg: 'ready', grpcAddress: '127.0.0.1:4' + (again ? TALKMESH_GRPC_PORT : '321'), instanceId: NAME }));
if (FAULT === 'crash-once' && !again) setTimeout(() => process.kill(process.pid, 'SIGSEGV'), 100);
if (FAULT === 'warns') console.log(JSON.stringify({ level: 'warn', msg: 'it is warm' }));
`,
);

let journals = 0;
function setUp(faults: Record<string, string>, options: Partial<SupervisorOptions> = {}) {
  const journal = `journal-${++journals}`;
  const said: string[] = [];
  const failures: MeshError[] = [];
  const specs = Object.entries(faults).map(
    ([name, fault]): ServiceSpec => ({
      name,
      entry: fake,
      env: {
        PATH: process.env['PATH'],
        NAME: name,
        FAULT: fault,
        JOURNAL: join(scratch.path, journal),
        TALKMESH_PARENT_PID: String(process.pid),
      },
      logFile: join(scratch.path, `${name}-${journals}.log`),
    }),
  );
  const supervisor = new Supervisor(specs, {
    say: (line) => said.push(line),
    onFailed: (error) => failures.push(error),
    parallel: 1,
    backoffMs: [50],
    ...options,
  });
  const pids = () => scratch.lines(`${journal}.pids`).map(Number);
  return { supervisor, said, failures, pids, journal: () => scratch.lines(journal) };
}

test('services start in order and stop in reverse order, the last one first, with their child processes', async () => {
  const { supervisor, said, journal, pids } = setUp({ a: '', b: 'warns', c: '' });
  await supervisor.start();
  assert.deepEqual(journal(), ['start a', 'start b', 'start c']);
  assert.deepEqual(
    said.filter((line) => line.includes('ready')).map((line) => line.trim().split(/\s+/).slice(0, 2)),
    ['a', 'b', 'c'].map((name) => [name, 'ready']),
  );
  await until('the warning', () => said.some((line) => /b\s+warn it is warm/.test(line)));
  assert.equal(pids().filter(isRunning).length, 6);
  await supervisor.stop();
  assert.equal(journal()[3], 'end c');
  assert.deepEqual(journal().slice(4).sort(), ['end a', 'end b']);
  await until('every process gone', () => !pids().some(isRunning));
});

test('a crashed service is restarted on the same port without a failure of the mesh', async () => {
  const { supervisor, said, failures, journal, pids } = setUp({ a: 'crash-once' });
  await supervisor.start();
  await until('ready again', () => said.some((line) => line.includes('is ready again')));
  assert.ok(said.some((line) => /ended by SIGSEGV; starting it again in 0\.05 s/.test(line)));
  assert.deepEqual(journal(), ['start a', 'start a']);
  assert.equal(supervisor.services[0]?.facts?.grpcAddress, '127.0.0.1:44321', 'the restarted service got its old port');
  assert.deepEqual(failures, []);
  assert.equal(pids().filter(isRunning).length, 2, 'no process of the crashed service is left');
  await supervisor.stop();
});

test('when a service cannot start, the others are stopped and the error contains its last output', async () => {
  for (const [fault, reason, message] of [
    ['bad-config', 'CONFIG_INVALID', /b ended with code 78; its last output:\n {2}TALKMESH_X=1: is not valid/],
    ['broken', 'INTERNAL', /b ended with code 1; its last output:\n {2}no model: no such file/],
  ] as const) {
    const { supervisor, pids } = setUp({ a: '', b: fault });
    await assert.rejects(supervisor.start(), (error) => {
      assert.ok(error instanceof MeshError);
      assert.equal(error.reason, reason);
      assert.match(error.message, message);
      return true;
    });
    await until('every process gone', () => !pids().some(isRunning));
  }
});

test('a service that is never ready fails at its deadline, and a stop during the start does not wait for it', async () => {
  const slow = setUp({ a: 'never-ready' }, { readyDeadlineMs: 1500 });
  await assert.rejects(slow.supervisor.start(), /a is not ready after 1\.5 s/);
  await until('it is gone', () => !slow.pids().some(isRunning));

  const stopped = setUp({ a: '', b: 'never-ready' });
  const starting = stopped.supervisor.start();
  await until('b runs', () => stopped.journal().includes('start b'));
  await Promise.all([assert.rejects(starting, /stopped while it started/), stopped.supervisor.stop()]);
  await until('all are gone', () => !stopped.pids().some(isRunning));
});

test('kill ends even a service that ignores SIGTERM, with its child processes', async () => {
  const { supervisor, pids } = setUp({ a: 'stubborn', b: '' });
  await supervisor.start();
  supervisor.kill();
  await until('every process gone', () => !pids().some(isRunning));
});

test('a supervisor that is killed leaves no process behind', async () => {
  const journal = join(scratch.path, 'killed');
  const main = scratch.write(
    'main.mts',
    `import { Supervisor } from ${JSON.stringify(fileURLToPath(new URL('./supervisor.ts', import.meta.url)))};
const env = { PATH: process.env.PATH, NAME: 'a', FAULT: '', JOURNAL: ${JSON.stringify(journal)}, TALKMESH_PARENT_PID: String(process.pid) };
const spec = { name: 'a', entry: ${JSON.stringify(fake)}, env, logFile: ${JSON.stringify(`${journal}.log`)} };
await new Supervisor([spec], { say: () => {}, onFailed: () => {}, parallel: 1 }).start();
console.log('up');`,
  );
  const supervisor = spawn(process.execPath, [...process.execArgv.filter((flag) => !flag.startsWith('--test')), main]);
  let output = '';
  for (const pipe of [supervisor.stdout, supervisor.stderr])
    pipe.on('data', (part: Buffer) => (output += part.toString()));
  await until(`it is up: ${output}`, () => output.includes('up'));
  const pids = scratch.lines('killed.pids').map(Number);
  assert.equal(pids.filter(isRunning).length, 2);
  supervisor.kill('SIGKILL');
  await until('every process gone', () => !pids.some(isRunning));
});
