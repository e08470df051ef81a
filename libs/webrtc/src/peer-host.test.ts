import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { test } from 'node:test';
import { MeshError } from '@talkmesh/contracts';
import { createLogger, createMetrics } from '@talkmesh/service-kit';
import { until as eventually } from '@talkmesh/service-kit/testing';
import { z } from 'zod';
import { rtcConfigShape } from './config.js';
import { fragmentOf, iceTag, parseIceFragment, restartedOffer } from './ice-fragment.js';
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

const withoutCandidates = (sdp: string): string => sdp.replace(/^a=(candidate|end-of-candidates).*\r\n/gm, '');

test('a peer connects by candidates that come after its offer, and only for the ICE session that they name', async () => {
  await using host = await startHost({ rtcRemoteNetworks: 'loopback' });
  await using peer = new TestPeer();
  const { received, listener, until } = listen();
  const offer = await peer.offer({ receive: ['audio'] });
  const answer = await host.open('a', withoutCandidates(offer), { greeting: '' }, listener);
  // The peer learns no address of the host, so it cannot begin: the host must use what is trickled.
  await peer.accept(withoutCandidates(answer));
  await assert.rejects(host.ice('a', '"other"', fragmentOf(offer)), refused('ICE_SESSION_CHANGED'));
  await assert.rejects(host.ice('a', '*', 'a=candidate:nonsense'), refused('SDP_INVALID'));
  await assert.rejects(host.ice('b', '*', fragmentOf(offer)), refused('NOT_FOUND'));
  assert.ok(!received.includes('connected'));
  assert.equal(await host.ice('a', iceTag(answer) ?? '', fragmentOf(offer)), '');
  await until('connected');
});

test('an ICE restart has new credentials and a new tag, and the connection goes on', async () => {
  await using host = await startHost({ rtcRemoteNetworks: 'loopback' });
  await using peer = new TestPeer();
  const { received, listener, until } = listen();
  const answer = await host.open('a', await peer.offer({ receive: ['audio'] }), { greeting: '' }, listener);
  await peer.accept(answer);
  await until('connected');
  const oldTag = iceTag(answer) ?? '';
  const changed = await host.ice('a', '*', fragmentOf(await peer.restart()));
  assert.notEqual(iceTag(changed), oldTag);
  const { credentials, candidates } = parseIceFragment(changed);
  assert.ok(credentials !== undefined && candidates.length > 0, changed);
  await peer.accept(restartedOffer(answer, { credentials, candidates }));
  await assert.rejects(host.ice('a', oldTag, 'a=end-of-candidates'), refused('ICE_SESSION_CHANGED'));
  assert.equal(await host.ice('a', iceTag(changed) ?? '', 'a=end-of-candidates'), '');
  await peer.until(({ state }) => state === 'connected');
  assert.equal(host.post('a', 'after the restart'), true);
  await until('message after the restart');
  assert.ok(!received.includes('failed') && !received.includes('closed'), received.join(', '));
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
