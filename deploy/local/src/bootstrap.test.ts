/** Runs the launcher on a copy of the repository's skeleton, with a fake npm. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { until } from '@talkmesh/service-kit/testing';
import { Scratch } from './testing.js';

const scratch = new Scratch();
after(() => scratch[Symbol.dispose]());

const repository = join(scratch.path, 'repository');
const lockfile = (version: string): string =>
  JSON.stringify({
    packages: {
      '': {},
      'libs/a': { version: '1.0.0' },
      'node_modules/a': { link: true },
      'node_modules/thing': { version },
      'node_modules/thing-with-a-v': { version: '2.0.0' },
      'node_modules/thing-for-another-machine': { version, optional: true },
    },
  });

mkdirSync(join(repository, 'deploy/local'), { recursive: true });
mkdirSync(join(repository, 'test/bench'), { recursive: true });
cpSync(fileURLToPath(new URL('../bin', import.meta.url)), join(repository, 'deploy/local/bin'), { recursive: true });
writeFileSync(join(repository, 'package.json'), '{"type": "module"}');
writeFileSync(join(repository, 'package-lock.json'), lockfile('1.0.0'));
writeFileSync(
  join(repository, 'test/run.ts'),
  `const args: readonly string[] = process.argv.slice(2);
if (args[0] === 'wait') { process.on('SIGTERM', () => { console.log('terminated'); process.exit(8); }); process.on('SIGINT', () => { console.log('interrupted'); process.exit(7); }); setInterval(() => {}, 1000); }
else process.exitCode = Number(args[0] ?? 0);
console.log('ran', process.cwd() === ${JSON.stringify(scratch.path)}, ...args);`,
);
const tsx = dirname(fileURLToPath(import.meta.resolve('tsx/package.json')));
/** The fake npm logs its arguments and leaves node_modules as a real installation of the lockfile without the optional package does. */
const npm = scratch.write(
  'npm.js',
  `const fs = require('node:fs');
fs.appendFileSync(${JSON.stringify(join(scratch.path, 'npm.log'))}, process.cwd() + ' ' + process.argv.slice(2).join(' ') + '\\n');
if (process.env.NPM_FAILS) { console.error('npm error network'); process.exit(1); }
const lock = JSON.parse(fs.readFileSync('package-lock.json', 'utf8'));
lock.packages['node_modules/thing-with-a-v'].version = 'v2.0.0';
delete lock.packages['']; delete lock.packages['node_modules/thing-for-another-machine'];
fs.mkdirSync('node_modules', { recursive: true });
fs.writeFileSync('node_modules/.package-lock.json', JSON.stringify(lock));
if (!fs.existsSync('node_modules/tsx')) fs.symlinkSync(${JSON.stringify(tsx)}, 'node_modules/tsx');`,
);

interface Run {
  readonly code: number | null;
  readonly output: string;
}

function bootstrap(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  onStart?: (pid: number, said: () => string) => void,
) {
  const script = join(repository, 'deploy/local/bin/bootstrap.mjs');
  return new Promise<Run>((resolve, reject) => {
    const child = spawn(process.execPath, [script, ...args], {
      cwd: scratch.path,
      env: { ...process.env, npm_execpath: npm, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const pipe of [child.stdout, child.stderr])
      pipe.on('data', (part: Buffer) => {
        output += part.toString();
      });
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, output }));
    if (child.pid !== undefined) onStart?.(child.pid, () => output);
  });
}

const installs = (): number => scratch.lines('npm.log').length;

test('on a fresh clone the packages of the lockfile are installed once, without scripts, before the entry runs in the current folder', async () => {
  const first = await bootstrap(['test', '0', 'more']);
  assert.equal(first.code, 0, first.output);
  assert.match(first.output, /Installing packages \(node_modules is not there\)/);
  assert.match(first.output, /Packages are installed/);
  assert.match(first.output, /ran true 0 more/);
  assert.deepEqual(scratch.lines('npm.log'), [
    `${repository} ci --ignore-scripts --no-audit --no-fund --loglevel=error`,
  ]);
  const second = await bootstrap(['test']);
  assert.doesNotMatch(second.output, /Installing/);
  assert.equal(installs(), 1);
});

test('a changed lockfile is installed again, and a failed installation is reported', async () => {
  writeFileSync(join(repository, 'package-lock.json'), lockfile('2.0.0'));
  const failed = await bootstrap(['test'], { NPM_FAILS: '1' });
  assert.equal(failed.code, 1);
  assert.match(failed.output, /package-lock\.json changed[\s\S]*npm error network\s+npm ci failed \(code 1\)/);
  assert.doesNotMatch(failed.output, /ran/);
  assert.equal((await bootstrap(['test'])).code, 0);
  assert.equal(installs(), 3);
});

test('the exit code and Ctrl-C are passed through, and an unknown entry is refused', async () => {
  assert.equal((await bootstrap(['test', '5'])).code, 5);
  const interrupted = await bootstrap(['test', 'wait'], {}, (pid, said) => {
    void until('it runs', () => said().includes('ran')).then(() => process.kill(pid, 'SIGINT'));
  });
  assert.equal(interrupted.code, 7);
  assert.equal(interrupted.output.match(/interrupted/g)?.length, 1);
  const unknown = await bootstrap(['dance']);
  assert.equal(unknown.code, 1);
  assert.match(unknown.output, /demo \| build \| test \| long-tests \| bench/);
});

test('a program that npm started ends when the shell between them ends', async () => {
  const script = join(repository, 'deploy/local/bin/bootstrap.mjs');
  const shell = spawn('sh', ['-c', '"$0" "$@"; exit', process.execPath, script, 'test', 'wait'], {
    cwd: scratch.path,
    env: { ...process.env, npm_execpath: npm, npm_lifecycle_event: 'test' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  shell.stdout.on('data', (part: Buffer) => {
    output += part.toString();
  });
  await until('it runs', () => output.includes('ran'));
  shell.kill('SIGTERM');
  await until('it ends', () => output.includes('terminated'));
});

test('without npm the message names what is missing', async () => {
  rmSync(join(repository, 'node_modules'), { recursive: true });
  const { code, output } = await bootstrap(['test'], { npm_execpath: '', PATH: scratch.path });
  assert.equal(code, 1);
  assert.match(output, /npm cannot be started/);
});
