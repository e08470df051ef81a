import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { newSessionId } from '@talkmesh/contracts';
import { createTestContext, type NatsServer, startNatsServer } from './testing/index.js';

const CONFIG =
  'authorization { users: [{ user: vae, password: "s3cret", permissions: { publish: ["tm.v1.*.frame"], subscribe: [">"] } }] }';
let nats: NatsServer;
let folder: string;
let natsPasswordFile: string;

before(async () => {
  nats = await startNatsServer({ config: CONFIG });
  folder = await mkdtemp(join(tmpdir(), 'talkmesh-password-'));
  natsPasswordFile = join(folder, 'password');
  await writeFile(natsPasswordFile, 's3cret\n');
});
after(async () => {
  await nats[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

test('user and password from a file open the connection', async () => {
  await using vae = await createTestContext('vae-decode', { natsUser: 'vae', natsPasswordFile }, nats.url);
  vae.bus.publish('frame', newSessionId(), new Uint8Array(1));
  await vae.bus.flush();
  assert.equal(vae.bus.connected, true);
});

test('a refused user is told at once, without the password', async () => {
  await writeFile(`${natsPasswordFile}-wrong`, 'hunter2');
  const wrong = { natsUser: 'vae', natsPasswordFile: `${natsPasswordFile}-wrong` };
  await assert.rejects(createTestContext('vae-decode', wrong, nats.url), (error: Error) => {
    assert.match(error.message, /refuses user "vae": check TALKMESH_NATS_USER and TALKMESH_NATS_PASSWORD_FILE/);
    assert.doesNotMatch(error.message, /hunter2/);
    return true;
  });
  await assert.rejects(createTestContext('vae-decode', undefined, nats.url), /refuses a connection without user/);
});

test('a password file that is not there is a config error', async () => {
  const missing = { natsUser: 'vae', natsPasswordFile: join(folder, 'nothing') };
  await assert.rejects(createTestContext('vae-decode', missing, nats.url), { reason: 'CONFIG_INVALID' });
});
