import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { MeshError, type Reason } from '@talkmesh/contracts';
import { createTestContext } from '@talkmesh/service-kit/testing';
import { startNats } from './nats.js';
import { Scratch, until } from './testing.js';
import type { findProgram } from './tools.js';

const scratch = new Scratch();
after(() => scratch[Symbol.dispose]());

const { TALKMESH_NATS_URL: _url, ...env } = process.env;
const quiet = (): void => {};

/** The server's first line, or undefined when nobody listens. */
function greeting(url: string): Promise<string | undefined> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect({ host: hostname, port: Number(port) });
    socket.once('data', (data) => {
      socket.destroy();
      resolve(data.toString());
    });
    socket.once('error', () => resolve(undefined));
  });
}

async function untilGone(url: string): Promise<void> {
  let listens = true;
  const poll = setInterval(() => {
    void greeting(url).then((line) => {
      listens = line !== undefined;
    });
  }, 50);
  try {
    await until('the server is gone', () => !listens);
  } finally {
    clearInterval(poll);
  }
}

const refused =
  (reason: Reason, message: RegExp) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof MeshError);
    assert.equal(error.reason, reason, error.message);
    assert.match(error.message, message);
    return true;
  };

test('a server of its own: loopback, JetStream, a password in a file that nobody else reads; nothing stays', async () => {
  const nats = await startNats(env, quiet);
  try {
    const info = await greeting(nats.url);
    assert.match(info ?? '', /"auth_required":true/);
    assert.match(info ?? '', /"jetstream":true/);
    assert.equal(new URL(nats.url).hostname, '127.0.0.1');
    const passwordFile = nats.env['TALKMESH_NATS_PASSWORD_FILE'] ?? '';
    assert.equal(statSync(passwordFile).mode & 0o077, 0);
    assert.ok(readFileSync(passwordFile, 'utf8').length >= 32);
    const natsUser = nats.env['TALKMESH_NATS_USER'] ?? '';
    await using context = await createTestContext('gateway', { natsUser, natsPasswordFile: passwordFile }, nats.url);
    await context.bus.flush();
    const bucket = await context.bus.kv('talkmesh_sessions', { ttlMs: 60_000 });
    await bucket.put('a', 1);
  } finally {
    await nats.stop();
  }
  assert.equal(await greeting(nats.url), undefined);
  assert.equal(existsSync(dirname(nats.env['TALKMESH_NATS_PASSWORD_FILE'] ?? '')), false);
});

test('the server ends with its owner, even when that is killed', async () => {
  const owner = scratch.write(
    'owner.mts',
    `import { startNats } from ${JSON.stringify(fileURLToPath(new URL('./nats.ts', import.meta.url)))};
const nats = await startNats(process.env, () => {});
console.log(JSON.stringify(nats.env));
setInterval(() => {}, 1000);`,
  );
  const flags = process.execArgv.filter((flag) => !flag.startsWith('--test'));
  const child = spawn(process.execPath, [...flags, owner], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (part: Buffer) => {
    output += part.toString();
  });
  await until('the server runs', () => output.includes('\n'));
  const { TALKMESH_NATS_URL: url, TALKMESH_NATS_PASSWORD_FILE: file } = JSON.parse(output) as Record<string, string>;
  assert.ok(url !== undefined && file !== undefined && (await greeting(url)) !== undefined);
  child.kill('SIGKILL');
  await untilGone(url);
  await until('its folder is gone', () => !existsSync(dirname(file)));
});

test('a server that dies is noticed; one that was stopped is not missed', async () => {
  const nats = await startNats(env, quiet);
  process.kill(pidOf(nats.env), 'SIGKILL');
  assert.match(await nats.lost, /nats-server ended/);
  await nats.stop();
});

/** The server whose configuration lies beside the password. */
function pidOf(natsEnv: Readonly<Record<string, string>>): number {
  const folder = dirname(natsEnv['TALKMESH_NATS_PASSWORD_FILE'] ?? '');
  const ports = readdirSync(folder).find((name) => name.endsWith('.ports')) ?? '';
  return Number(/_(\d+)\.ports$/.exec(ports)?.[1]);
}

test('a given server is used as it is; one that does not answer is refused with what to do', async () => {
  const own = await startNats(env, quiet);
  try {
    const given = await startNats({ ...env, ...own.env }, quiet);
    assert.deepEqual(given.env, own.env);
    await given.stop();
    assert.notEqual(await greeting(own.url), undefined, 'it was not ours to stop');
  } finally {
    await own.stop();
  }
  const dead = { ...env, TALKMESH_NATS_URL: own.url };
  await assert.rejects(startNats(dead, quiet), refused('NATS_UNAVAILABLE', /TALKMESH_NATS_URL=nats:.*unset/));
  const nonsense = { ...env, TALKMESH_NATS_URL: 'what?' };
  await assert.rejects(startNats(nonsense, quiet), refused('NATS_UNAVAILABLE', /nats:\/\/host:port/));
});

test('without a server the message says how to get one', async () => {
  const nowhere = { ...env, TALKMESH_NATS_SERVER: '/no/such/program' };
  await assert.rejects(startNats(nowhere, quiet), refused('TOOL_MISSING', /TALKMESH_NATS_SERVER=\/no\/such\/program/));
  const foreign: typeof findProgram = () => undefined;
  await assert.rejects(
    startNats(env, quiet, foreign),
    refused('TOOL_MISSING', /TALKMESH_NATS_URL=.*https:\/\/nats\.io/),
  );
});

test('the package of the distribution is installed when there is no server; its failure is shown', async () => {
  const log = `${scratch.path}/apt.log`;
  scratch.program('apt-get', `echo "$DEBIAN_FRONTEND $@" >> ${log}; echo "E: Unable to locate package"; exit 100`);
  const said: string[] = [];
  const onlyApt: typeof findProgram = (name) => (name === 'apt-get' ? `${scratch.path}/apt-get` : undefined);
  const starting = startNats({ PATH: `${scratch.path}:/bin` }, (line) => said.push(line), onlyApt);
  if (process.getuid?.() === 0) {
    await assert.rejects(starting, refused('TOOL_MISSING', /Unable to locate package[\s\S]*apt-get install -y/));
    assert.deepEqual(scratch.lines('apt.log'), [
      'noninteractive update',
      'noninteractive install -y --no-install-recommends nats-server',
    ]);
    assert.match(said.join(), /installing/);
  } else await assert.rejects(starting, refused('TOOL_MISSING', /run: sudo apt-get install -y/));
});
