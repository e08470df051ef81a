import assert from 'node:assert/strict';
import { createHmac, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { MeshError } from '@talkmesh/contracts';
import { z } from 'zod';
import { iceConfigShape } from './config.js';
import { IceServers } from './ice-servers.js';

const folder = mkdtempSync(join(tmpdir(), 'talkmesh-ice-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const secret = randomBytes(16).toString('hex');
const file = join(folder, 'secret');
writeFileSync(file, `${secret}\n`, { mode: 0o600 });

const load = (settings: Record<string, string>) => IceServers.load(z.object(iceConfigShape).parse(settings));
const iceUrls = 'stun:stun.example.org, turn:turn.example.org:3478?transport=udp';

test('credentials of a shared secret are those that a TURN server computes, and end', () => {
  const servers = load({ iceUrls, iceSecretFile: file, iceCredentialMs: '60000' });
  const [stun, turn] = servers.own('call-1', 1_000_000);
  assert.deepEqual(stun, { urls: ['stun:stun.example.org'] });
  assert.equal(turn?.username, '1060:call-1');
  assert.equal(turn?.credential, createHmac('sha1', secret).update('1060:call-1').digest('base64'));
  assert.notEqual(servers.own('call-2', 1_000_000)[1]?.credential, turn?.credential);
});

test('the Link header names the servers; a password that never ends stays in the mesh', () => {
  const shared = load({ iceUrls, iceSecretFile: file });
  assert.match(
    shared.link('call-1') ?? '',
    /^<stun:stun\.example\.org>; rel="ice-server", <turn:turn\.example\.org:3478\?transport=udp>; rel="ice-server"; username="\d+:call-1"; credential="[\w+/=]+"; credential-type="password"$/,
  );
  const fixed = load({ iceUrls, iceUsername: 'mesh', iceCredentialFile: file });
  assert.equal(fixed.own('x')[1]?.credential, secret);
  assert.equal(fixed.link('x'), '<stun:stun.example.org>; rel="ice-server"');
  assert.equal(load({}).link('x'), undefined);
});

test('a file that cannot be read, or that every user can read, is CONFIG_INVALID with the name of the setting', () => {
  const open = join(folder, 'open');
  writeFileSync(open, `${secret}\n`, { mode: 0o644 });
  for (const iceSecretFile of [join(folder, 'missing'), open])
    assert.throws(
      () => load({ iceUrls, iceSecretFile }),
      (error) =>
        error instanceof MeshError && error.reason === 'CONFIG_INVALID' && /ICE_SECRET_FILE/.test(error.message),
    );
});
