import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { MeshError } from '@talkmesh/contracts';
import { createLogger, createMetrics } from '@talkmesh/service-kit';
import { z } from 'zod';
import { rtcConfigShape } from './config.js';
import { IceServers } from './ice-servers.js';
import { PeerHost } from './peer-host.js';
import { TestPeer } from './testing/index.js';

const folder = mkdtempSync(join(tmpdir(), 'talkmesh-relay-'));
const secret = randomBytes(16).toString('hex');
const secretFile = join(folder, 'secret');
let turn: ChildProcess;
let url: string;

before(async () => {
  writeFileSync(secretFile, secret, { mode: 0o600 });
  const port = await freePort();
  url = `turn:127.0.0.1:${port}?transport=udp`;
  const addresses = ['--listening-ip=127.0.0.1', '--relay-ip=127.0.0.1', '-p', String(port), '--allow-loopback-peers'];
  const ports = ['--min-port=42000', '--max-port=42099'];
  const access = ['--use-auth-secret', `--static-auth-secret=${secret}`, '--realm=talkmesh', '--fingerprint'];
  const quiet = [
    '-n',
    '--no-cli',
    '--no-tls',
    '--no-dtls',
    '--pidfile=',
    `--userdb=${join(folder, 'users')}`,
    '-l',
    'stdout',
  ];
  turn = spawn('turnserver', [...addresses, ...ports, ...access, ...quiet], { stdio: 'ignore' });
  const failed = once(turn, 'error').then(([error]) => assert.fail(`install the Debian package coturn: ${error}`));
  await Promise.race([failed, answers(port)]);
});
after(() => {
  turn.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

const settings = (own: Record<string, string>) =>
  z.object(rtcConfigShape).parse({ iceUrls: url, rtcRemoteNetworks: 'loopback', ...own });

function startHost(own: Record<string, string>): Promise<PeerHost<{ greeting: string }, string, string>> {
  return PeerHost.start({
    name: 'echo',
    module: new URL('./testing/echo-child', import.meta.url),
    config: settings({ iceRelayOnly: 'true', rtcAnswerMs: '20000', ...own }),
    log: createLogger({ service: 'test', instanceId: 'test', level: 'silent', pretty: false }),
    metrics: createMetrics({ defaults: false }),
  });
}

test('both sides connect through a TURN server alone, each with credentials of its own', {
  timeout: 90_000,
}, async () => {
  await using host = await startHost({ iceSecretFile: secretFile });
  await using peer = new TestPeer();
  const caller = IceServers.load(settings({ iceSecretFile: secretFile })).own('caller')[0];
  assert.ok(caller !== undefined);
  const sdp = await peer.offer({ receive: ['audio'], relay: caller });
  let connected = () => {};
  const isConnected = new Promise<void>((resolve) => {
    connected = resolve;
  });
  const answer = await host.open(
    'a',
    sdp,
    { greeting: '' },
    {
      onState: (state) => {
        if (state === 'connected') connected();
      },
      onMessage: () => undefined,
      onLost: () => undefined,
    },
  );
  for (const description of [sdp, answer]) {
    const kinds = [...description.matchAll(/^a=candidate:.* typ (\w+)/gm)].map(([, kind]) => kind);
    assert.deepEqual([...new Set(kinds)], ['relay']);
  }
  await peer.accept(answer);
  await isConnected;
  await peer.until((seen) => seen.state === 'connected');
});

test('with a secret that the TURN server does not have the offer is refused with the reason', {
  timeout: 90_000,
}, async () => {
  const wrong = join(folder, 'wrong');
  writeFileSync(wrong, randomBytes(16).toString('hex'), { mode: 0o600 });
  await using host = await startHost({ iceSecretFile: wrong });
  await using peer = new TestPeer();
  const ignored = { onState: () => undefined, onMessage: () => undefined, onLost: () => undefined };
  await assert.rejects(
    host.open('a', await peer.offer({ receive: ['audio'] }), { greeting: '' }, ignored),
    (error) => error instanceof MeshError && /TURN server gave no relay/.test(error.message),
  );
});

async function freePort(): Promise<number> {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  return port;
}

/** Resolves when the server answers a STUN binding request (RFC 8489, 5). */
async function answers(port: number): Promise<void> {
  const socket = createSocket('udp4');
  const request = Buffer.concat([Buffer.from('000100002112a442', 'hex'), randomBytes(12)]);
  const ask = setInterval(() => socket.send(request, port, '127.0.0.1'), 100);
  await once(socket, 'message', { signal: AbortSignal.timeout(30_000) });
  clearInterval(ask);
  socket.close();
}
