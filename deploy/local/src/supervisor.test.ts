import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { MeshError } from '@talkmesh/contracts';
import type { ServiceSpec } from './managed-service.js';
import { Supervisor, type SupervisorOptions } from './supervisor.js';
import { isRunning, Scratch, until } from './testing.js';

const scratch = new Scratch();
after(() => scratch[Symbol.dispose]());

/**
 * A service as the supervisor sees one: a `ready` line, an end on SIGTERM. It writes what happens to it into `journal`, has a child
 * process of its own, and does what its MOOD says.
 */
const fake = scratch.write(
  'fake.mjs',
  `import { appendFileSync, existsSync, writeFileSync } from 'node:fs';
import { spawn } from 'node:child_process';
const { NAME, MOOD, JOURNAL, TALKMESH_PARENT_PID, TALKMESH_GRPC_PORT = '0' } = process.env;
const journal = (what) => appendFileSync(JOURNAL, what + ' ' + NAME + '\\n');
journal('start');
appendFileSync(JOURNAL + '.pids', process.pid + '\\n');
if (MOOD === 'bad-config') { console.error('TALKMESH_X=1: is not so'); process.exit(78); }
if (MOOD === 'broken') { console.log(JSON.stringify({ level: 'fatal', msg: 'no model', err: { message: 'no such file' } })); process.exit(1); }
const child = spawn('sleep', ['600'], { stdio: 'ignore' });
appendFileSync(JOURNAL + '.pids', child.pid + '\\n');
const again = existsSync(JOURNAL + '.' + NAME);
writeFileSync(JOURNAL + '.' + NAME, '');
if (MOOD !== 'stubborn') process.on('SIGTERM', () => { journal('end'); process.exit(0); });
else process.on('SIGTERM', () => {});
setInterval(() => { try { process.kill(Number(TALKMESH_PARENT_PID), 0); } catch { child.kill(); process.exit(1); } }, 100);
if (MOOD === 'never-ready') await new Promise(() => {});
console.log(JSON.stringify({ level: 'info', msg: 'ready', grpcAddress: '127.0.0.1:4' + (again ? TALKMESH_GRPC_PORT : '321'), instanceId: NAME }));
if (MOOD === 'crash-once' && !again) setTimeout(() => process.kill(process.pid, 'SIGSEGV'), 100);
if (MOOD === 'warns') console.log(JSON.stringify({ level: 'warn', msg: 'it is warm' }));
`,
);

let journals = 0;
function setUp(moods: Record<string, string>, options: Partial<SupervisorOptions> = {}) {
  const journal = `journal-${++journals}`;
  const said: string[] = [];
  const failures: MeshError[] = [];
  const specs = Object.entries(moods).map(
    ([name, mood]): ServiceSpec => ({
      name,
      entry: fake,
      env: {
        PATH: process.env['PATH'],
        NAME: name,
        MOOD: mood,
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

test('services start in order and end in reverse, the edge first; their children end with them', async () => {
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

test('a service that crashes is started again, on the same port; the mesh goes on', async () => {
  const { supervisor, said, failures, journal, pids } = setUp({ a: 'crash-once' });
  await supervisor.start();
  await until('ready again', () => said.some((line) => line.includes('is ready again')));
  assert.ok(said.some((line) => /ended by SIGSEGV; starting it again in 0\.05 s/.test(line)));
  assert.deepEqual(journal(), ['start a', 'start a']);
  assert.equal(supervisor.services[0]?.facts?.grpcAddress, '127.0.0.1:44321', 'it was told the port it had');
  assert.deepEqual(failures, []);
  assert.equal(pids().filter(isRunning).length, 2, 'the first one left nothing');
  await supervisor.stop();
});

test('a service that cannot start ends the others and says what it said', async () => {
  for (const [mood, reason, message] of [
    ['bad-config', 'CONFIG_INVALID', /b ended with code 78; the last it said:\n {2}TALKMESH_X=1: is not so/],
    ['broken', 'INTERNAL', /b ended with code 1; the last it said:\n {2}no model: no such file/],
  ] as const) {
    const { supervisor, pids } = setUp({ a: '', b: mood });
    await assert.rejects(supervisor.start(), (error) => {
      assert.ok(error instanceof MeshError);
      assert.equal(error.reason, reason);
      assert.match(error.message, message);
      return true;
    });
    await until('every process gone', () => !pids().some(isRunning));
  }
});

test('a service that is never ready is given up; stopping while it starts waits for nothing', async () => {
  const slow = setUp({ a: 'never-ready' }, { readyDeadlineMs: 1500 });
  await assert.rejects(slow.supervisor.start(), /a is not ready after 1\.5 s/);
  await until('it is gone', () => !slow.pids().some(isRunning));

  const stopped = setUp({ a: '', b: 'never-ready' });
  const starting = stopped.supervisor.start();
  await until('b runs', () => stopped.journal().includes('start b'));
  await Promise.all([assert.rejects(starting, /stopped while it started/), stopped.supervisor.stop()]);
  await until('all are gone', () => !stopped.pids().some(isRunning));
});

test('kill ends even a service that does not listen, with its children', async () => {
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
const env = { PATH: process.env.PATH, NAME: 'a', MOOD: '', JOURNAL: ${JSON.stringify(journal)}, TALKMESH_PARENT_PID: String(process.pid) };
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
