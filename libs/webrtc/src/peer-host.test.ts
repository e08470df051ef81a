import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { test } from 'node:test';
import { MeshError } from '@talkmesh/contracts';
import { createLogger, createMetrics } from '@talkmesh/service-kit';
import { until as eventually } from '@talkmesh/service-kit/testing';
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
  const received: string[] = [];
  const waiting: (() => void)[] = [];
  const note = (what: string): void => {
    received.push(what);
    for (const wake of waiting.splice(0)) wake();
  };
  const listener: PeerListener<string> = {
    onState: (state) => note(state),
    onMessage: (message) => note(`message ${message}`),
    onLost: () => note('lost'),
  };
  const until = async (what: string): Promise<void> => {
    const timer = setTimeout(() => assert.fail(`${what} did not come; received: ${received.join(', ')}`), 20_000);
    while (!received.includes(what)) await new Promise<void>((resolve) => waiting.push(resolve));
    clearTimeout(timer);
  };
  return { received, listener, until };
}

/** Finds a UDP port that is currently free. */
async function freePort(): Promise<number> {
  const socket = createSocket('udp4').bind(0);
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  return port;
}

test('an offer is answered with the given port and address, messages pass in both directions, and a closed peer sends none', async () => {
  const port = String(await freePort());
  await using host = await startHost({ rtcPortMin: port, rtcPortMax: port });
  await using peer = new TestPeer();
  const { received, listener, until } = listen();
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
    received.filter((what) => what.startsWith('message')),
    ['message hello', 'message ping'],
  );
  await peer.until((seen) => seen.state !== 'connected');
});

test('an offer is refused at once when no port is free, and the next one after a close is answered', async () => {
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

test('an offer that native code rejects is SDP_INVALID, and the child stays alive', async () => {
  await using host = await startHost();
  await using peer = new TestPeer();
  const sdp = await peer.offer({ receive: ['audio'] });
  const { listener } = listen();
  const { pid } = host;
  for (const bad of [
    'nonsense',
    sdp.replace(/m=audio/, 'm=application'),
    sdp.replace(/a=fingerprint:.*/g, 'a=fingerprint:sha-256 zz'),
    sdp.replace(/a=rtcp-mux\r\n/g, ''),
    sdp.replace('BUNDLE 0', 'BUNDLE 0 7'),
  ])
    await assert.rejects(host.open('bad', bad, { greeting: '' }, listener), (error) => {
      assert.ok(refused('SDP_INVALID')(error), String(error));
      assert.match((error as MeshError).message, /^the offer contradicts itself or lacks what WebRTC needs/);
      return true;
    });
  assert.match(await host.open('good', sdp, { greeting: '' }, listener), /^v=0/);
  assert.equal(host.pid, pid);
});

test('a child that hangs is killed and restarted', async () => {
  await using host = await startHost({}, { everyMs: 100, deadlineMs: 3000 });
  await using peer = new TestPeer();
  const sdp = await peer.offer({ receive: ['audio'] });
  const { listener, until } = listen();
  await host.open('a', sdp, { greeting: '' }, listener);
  const { pid } = host;
  host.post('a', 'hang');
  await until('lost');
  assert.equal(host.post('a', 'ping'), false);
  let attempts = 0;
  const opened = async (): Promise<boolean> => {
    await using other = new TestPeer();
    const again = await other.offer({ receive: ['audio'] });
    return host.open(`b${attempts++}`, again, { greeting: '' }, listener).then(
      () => true,
      (thrown) => {
        assert.ok(refused('PEER_LOST')(thrown) || refused('SDP_TIMEOUT')(thrown), String(thrown));
        return false;
      },
    );
  };
  await eventually('the next child answers', opened, 60_000);
  assert.notEqual(host.pid, pid);
});

test('a child that cannot start is TOOL_MISSING', async () => {
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

test('a missing password file is CONFIG_INVALID', async () => {
  const env = { iceUrls: 'turn:127.0.0.1', iceUsername: 'user', iceCredentialFile: '/nowhere/password' };
  await assert.rejects(startHost(env), refused('CONFIG_INVALID'));
});
