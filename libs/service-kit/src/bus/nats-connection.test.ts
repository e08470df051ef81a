import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { newSessionId } from '@talkmesh/contracts';
import { createTestContext, type NatsServer, startNatsServer, TestAuthority } from '../testing/index.js';
import { until } from '../testing/until.js';

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

test('a refused user fails at once, with a message without the password', async () => {
  await writeFile(`${natsPasswordFile}-wrong`, 'hunter2');
  const wrong = { natsUser: 'vae', natsPasswordFile: `${natsPasswordFile}-wrong` };
  await assert.rejects(createTestContext('vae-decode', wrong, nats.url), (error: Error) => {
    assert.match(error.message, /refuses user "vae": check TALKMESH_NATS_USER and TALKMESH_NATS_PASSWORD_FILE/);
    assert.doesNotMatch(error.message, /hunter2/);
    return true;
  });
  await assert.rejects(createTestContext('vae-decode', undefined, nats.url), /refuses a connection without user/);
});

test('a missing password file is CONFIG_INVALID', async () => {
  const missing = { natsUser: 'vae', natsPasswordFile: join(folder, 'nothing') };
  await assert.rejects(createTestContext('vae-decode', missing, nats.url), { reason: 'CONFIG_INVALID' });
});

test('a changed password file counts from the next connection on, without a restart', async () => {
  const rotated = `${natsPasswordFile}-rotated`;
  await writeFile(rotated, 'first');
  const config = (password: string): string => `authorization { user: vae, password: "${password}" }`;
  await using server = await startNatsServer({ config: config('first') });
  await using vae = await createTestContext('vae-decode', { natsUser: 'vae', natsPasswordFile: rotated }, server.url);
  await server.kill();
  await server.configure(config('second'));
  await writeFile(rotated, 'second');
  await server.start();
  await until('the next connection', () => vae.bus.connected && vae.bus.losses > 0);
  await vae.bus.flush();
});

test('with a CA file the connection is TLS with a client certificate; other authorities and plain servers are refused', async () => {
  await using authority = await TestAuthority.create();
  await using stranger = await TestAuthority.create();
  const server = await authority.issue('nats', ['localhost']);
  const client = await authority.issue('vae-decode');
  const foreign = await stranger.issue('vae-decode');
  const config = `tls { cert_file: "${server.certFile}", key_file: "${server.keyFile}", ca_file: "${server.caFile}", verify: true }`;
  await using encrypted = await startNatsServer({ config });
  const settings = { natsCaFile: client.caFile, natsCertFile: client.certFile, natsKeyFile: client.keyFile };
  await using vae = await createTestContext('vae-decode', settings, encrypted.url);
  await vae.bus.flush();
  const refused = async (files: typeof settings, url: string, message: RegExp) =>
    assert.rejects(createTestContext('vae-decode', files, url), (error: Error) => {
      assert.match(error.message, /^no NATS server at/);
      assert.match(error.message, message);
      return true;
    });
  await using plain = await startNatsServer();
  await Promise.all([
    refused({ ...settings, natsCaFile: foreign.caFile }, encrypted.url, /certificate|self-signed|self signed/i),
    refused({ ...settings, natsCertFile: '', natsKeyFile: '' }, encrypted.url, /./),
    refused(settings, plain.url, /does not support 'tls'/),
  ]);
});
