import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { test } from 'node:test';
import { MeshError } from '@talkmesh/contracts';
import { createLogger, createMetrics } from '@talkmesh/service-kit';
import { z } from 'zod';
import { rtcConfigShape } from './config.js';
import { PeerHost, type PeerHostOptions, type PeerListener } from './peer-host.js';
import { TestPeer } from './testing/index.js';

type EchoHost = PeerHost<{ greeting: string }, string, string>;
const refused = (reason: string) => (error: unknown) => error instanceof MeshError && error.reason === reason;

function startHost(env: Record<string, string> = {}, ping?: PeerHostOptions['ping']): Promise<EchoHost> {
  return PeerHost.start({
    name: 'echo',
    module: new URL('./testing/echo-child', import.meta.url),
    config: z.object(rtcConfigShape).parse({ rtcAdvertise: '127.0.0.1', ...env }),
    log: createLogger({ service: 'test', instanceId: 'test', level: 'silent', pretty: false }),
    metrics: createMetrics({ defaults: false }),
    ...(ping !== undefined && { ping }),
  });
}

function listen() {
  const heard: string[] = [];
  const waiting: (() => void)[] = [];
  const note = (what: string): void => {
    heard.push(what);
    for (const wake of waiting.splice(0)) wake();
  };
  const listener: PeerListener<string> = {
    onState: (state) => note(state),
    onMessage: (message) => note(`message ${message}`),
    onLost: () => note('lost'),
  };
  const until = async (what: string): Promise<void> => {
    while (!heard.includes(what)) await new Promise<void>((resolve) => waiting.push(resolve));
  };
  return { heard, listener, until };
}

/** A UDP port that was free a moment ago. */
async function freePort(): Promise<number> {
  const socket = createSocket('udp4').bind(0);
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  return port;
}

test('an offer is answered on the given port and address; messages go both ways; a closed peer is silent', async () => {
  const port = String(await freePort());
  await using host = await startHost({ rtcPortMin: port, rtcPortMax: port });
  await using peer = new TestPeer();
  const { heard, listener, until } = listen();
  const answer = await host.open('a', await peer.offer({ receive: ['audio'] }), { greeting: 'hello' }, listener);
  const candidates = [...answer.matchAll(/a=candidate:.* udp \d+ (\S+) (\d+) typ (\S+)/g)].map((match) =>
    match.slice(1).join(' '),
  );
  assert.deepEqual(candidates, [`127.0.0.1 ${port} host`]);
  await peer.accept(answer);
  await until('connected');
  assert.equal(host.post('a', 'ping'), true);
  await until('message ping');
  await host.close('a');
  assert.equal(host.post('a', 'more'), false);
  assert.deepEqual(
    heard.filter((what) => what.startsWith('message')),
    ['message hello', 'message ping'],
  );
  await peer.until((seen) => seen.state !== 'connected');
});

test('no port is free: said at once, and the next offer after a farewell finds one', async () => {
  const port = String(await freePort());
  await using host = await startHost({ rtcPortMin: port, rtcPortMax: port });
  await using peer = new TestPeer();
  const sdp = await peer.offer({ receive: ['audio'] });
  const { listener } = listen();
  await host.open('a', sdp, { greeting: '' }, listener);
  await assert.rejects(host.open('b', sdp, { greeting: '' }, listener), refused('SESSION_LIMIT'));
  await host.close('a');
  await host.close('unknown');
  assert.match(await host.open('c', sdp, { greeting: '' }, listener), /^v=0/);
});

test('what native code refuses is SDP_INVALID, and the child goes on', async () => {
  await using host = await startHost();
  await using peer = new TestPeer();
  const sdp = await peer.offer({ receive: ['audio'] });
  const { listener } = listen();
  const { pid } = host;
  for (const bad of [
    'nonsense',
    sdp.replace(/m=audio/, 'm=application'),
    sdp.replace(/a=fingerprint:.*/g, 'a=fingerprint:sha-256 zz'),
  ])
    await assert.rejects(host.open('bad', bad, { greeting: '' }, listener), refused('SDP_INVALID'));
  assert.match(await host.open('good', sdp, { greeting: '' }, listener), /^v=0/);
  assert.equal(host.pid, pid);
});

test('a child that hangs is ended and started again', async () => {
  await using host = await startHost({}, { everyMs: 100, deadlineMs: 1500 });
  await using peer = new TestPeer();
  const sdp = await peer.offer({ receive: ['audio'] });
  const { listener, until } = listen();
  await host.open('a', sdp, { greeting: '' }, listener);
  const { pid } = host;
  host.post('a', 'hang');
  await until('lost');
  assert.equal(host.post('a', 'anybody?'), false);
  for (;;) {
    try {
      await host.open('b', sdp, { greeting: '' }, listener);
      break;
    } catch (thrown) {
      assert.ok(refused('PEER_LOST')(thrown), String(thrown));
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  assert.notEqual(host.pid, pid);
});

test('a child that cannot start says what to do', async () => {
  const started = PeerHost.start({
    name: 'missing',
    module: new URL('./testing/there-is-no-such-module', import.meta.url),
    config: z.object(rtcConfigShape).parse({}),
    log: createLogger({ service: 'test', instanceId: 'test', level: 'silent', pretty: false }),
    metrics: createMetrics({ defaults: false }),
    startMs: 1500,
  });
  await assert.rejects(started, refused('TOOL_MISSING'));
});

test('a password file that is not there is a mistake in the configuration', async () => {
  const env = { iceUrls: 'turn:127.0.0.1', iceUsername: 'user', iceCredentialFile: '/nowhere/password' };
  await assert.rejects(startHost(env), refused('CONFIG_INVALID'));
});
