import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { SERVICES } from '@talkmesh/contracts';
import { createTestContext, until } from '@talkmesh/service-kit/testing';
import { startNats } from './nats.js';
import { Scratch } from './testing.js';
import type { findProgram } from './tools.js';

const scratch = new Scratch();
after(() => scratch[Symbol.dispose]());

const { TALKMESH_NATS_URL: _url, ...env } = process.env;
const quiet = (): void => {};

/** The server's first line, or undefined when no server listens. */
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

const settingsOf = (natsEnv: Readonly<Record<string, string>>) => ({
  natsUser: natsEnv['TALKMESH_NATS_USER'] ?? '',
  natsPasswordFile: natsEnv['TALKMESH_NATS_PASSWORD_FILE'] ?? '',
});

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

test('a started server listens on loopback with JetStream, has one user per service whose password file only its owner can read, and leaves nothing behind', async () => {
  const nats = await startNats(env, quiet);
  try {
    const info = await greeting(nats.url);
    assert.match(info ?? '', /"auth_required":true/);
    assert.match(info ?? '', /"jetstream":true/);
    assert.equal(new URL(nats.url).hostname, '127.0.0.1');
    assert.equal(new Set(SERVICES.map((service) => nats.envOf(service)['TALKMESH_NATS_USER'])).size, SERVICES.length);
    for (const service of SERVICES) {
      const passwordFile = nats.envOf(service)['TALKMESH_NATS_PASSWORD_FILE'] ?? '';
      assert.equal(statSync(passwordFile).mode & 0o077, 0);
      assert.ok(readFileSync(passwordFile, 'utf8').length >= 32);
      const natsUser = nats.envOf(service)['TALKMESH_NATS_USER'] ?? '';
      await using context = await createTestContext(service, { natsUser, natsPasswordFile: passwordFile }, nats.url);
      await context.bus.flush();
    }
    const { natsUser, natsPasswordFile } = settingsOf(nats.envOf('gateway'));
    await using context = await createTestContext('gateway', { natsUser, natsPasswordFile }, nats.url);
    const bucket = await context.bus.kv('talkmesh_sessions', { ttlMs: 60_000 });
    await bucket.put('a', 1);
  } finally {
    await nats.stop();
  }
  assert.equal(await greeting(nats.url), undefined);
  assert.equal(existsSync(dirname(settingsOf(nats.envOf('gateway')).natsPasswordFile)), false);
});

test('the server exits with its owner, even when the owner is killed', async () => {
  const owner = scratch.write(
    'owner.mts',
    `import { startNats } from ${JSON.stringify(fileURLToPath(new URL('./nats.ts', import.meta.url)))};
const nats = await startNats(process.env, () => {});
console.log(JSON.stringify(nats.envOf('gateway')));
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

test('a server that is killed is started again at its address; one that cannot be is reported', async () => {
  const said: string[] = [];
  const nats = await startNats(env, (line) => void said.push(line));
  const gateway = nats.envOf('gateway');
  const first = pidOf(gateway);
  const isNew = (): boolean => pidOf(gateway, first) > 0;
  await new Promise((resolve) => setTimeout(resolve, 1500));
  process.kill(first, 'SIGKILL');
  await until('it runs again', isNew);
  assert.match((await greeting(nats.url)) ?? '', /^INFO/);
  assert.match(said.join('\n'), /is started again/);
  rmSync(join(dirname(gateway['TALKMESH_NATS_PASSWORD_FILE'] ?? ''), 'nats.conf'));
  process.kill(pidOf(gateway, first), 'SIGKILL');
  assert.match(await nats.lost, /nats-server ended/);
  await nats.stop();
});

/** Pid of the server whose configuration lies beside the password file. */
function pidOf(natsEnv: Readonly<Record<string, string>>, otherThan = 0): number {
  const names = readdirSync(dirname(natsEnv['TALKMESH_NATS_PASSWORD_FILE'] ?? ''));
  const pids = names.map((name) => Number(/_(\d+)\.ports$/.exec(name)?.[1] ?? 0));
  return pids.find((pid) => pid !== 0 && pid !== otherThan) ?? 0;
}

test('an existing server is used and not stopped; one that does not answer is refused with what to do', async () => {
  const own = await startNats(env, quiet);
  try {
    const given = await startNats({ ...env, ...own.envOf('gateway') }, quiet);
    assert.deepEqual(given.envOf('gateway'), own.envOf('gateway'));
    await given.stop();
    assert.notEqual(await greeting(own.url), undefined, 'an existing server must not be stopped');
  } finally {
    await own.stop();
  }
  const dead = { ...env, TALKMESH_NATS_URL: own.url };
  await assert.rejects(startNats(dead, quiet), {
    reason: 'NATS_UNAVAILABLE',
    message: /TALKMESH_NATS_URL=nats:.*unset/,
  });
  const nonsense = { ...env, TALKMESH_NATS_URL: 'what?' };
  await assert.rejects(startNats(nonsense, quiet), { reason: 'NATS_UNAVAILABLE', message: /nats:\/\/host:port/ });
});

test('without a server the message says how to get one', async () => {
  const nowhere = { ...env, TALKMESH_NATS_SERVER: '/no/such/program' };
  await assert.rejects(startNats(nowhere, quiet), {
    reason: 'TOOL_MISSING',
    message: /TALKMESH_NATS_SERVER=\/no\/such\/program/,
  });
  const foreign: typeof findProgram = () => undefined;
  await assert.rejects(startNats(env, quiet, foreign), {
    reason: 'TOOL_MISSING',
    message: /TALKMESH_NATS_URL=.*https:\/\/nats\.io/,
  });
});

test('without a server the package of the distribution is installed, and a failure of that is shown', async () => {
  const log = `${scratch.path}/apt.log`;
  scratch.program('apt-get', `echo "$DEBIAN_FRONTEND $@" >> ${log}; echo "E: Unable to locate package"; exit 100`);
  const said: string[] = [];
  const onlyApt: typeof findProgram = (name) => (name === 'apt-get' ? `${scratch.path}/apt-get` : undefined);
  const starting = startNats({ PATH: `${scratch.path}:/bin` }, (line) => said.push(line), onlyApt);
  if (process.getuid?.() === 0) {
    await assert.rejects(starting, {
      reason: 'TOOL_MISSING',
      message: /Unable to locate package[\s\S]*apt-get install -y/,
    });
    assert.deepEqual(scratch.lines('apt.log'), [
      'noninteractive update',
      'noninteractive install -y --no-install-recommends nats-server',
    ]);
    assert.match(said.join(), /installing/);
  } else await assert.rejects(starting, { reason: 'TOOL_MISSING', message: /run: sudo apt-get install -y/ });
});
