import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MeshError } from '@talkmesh/contracts';
import { fragmentOf, iceTag, matches, parseIceFragment, restartedOffer } from './ice-fragment.js';

const refused = (reason: string) => (error: unknown) => error instanceof MeshError && error.reason === reason;
const PASSWORD = 'p'.repeat(24);
const host = (port: number): string =>
  `candidate:1 1 udp 2122260223 192.0.2.1 ${port} typ host generation 0 ufrag EsAw`;
const FRAGMENT = [
  'a=ice-ufrag:EsAw',
  `a=ice-pwd:${PASSWORD}`,
  'a=ice-options:trickle',
  'm=audio 9 UDP/TLS/RTP/SAVPF 0',
  'a=mid:0',
  `a=${host(61_764)}`,
  `a=${host(61_765)}`,
  'a=end-of-candidates',
  '',
].join('\r\n');

test('a fragment has the credentials and the candidates of each media', () => {
  for (const text of [FRAGMENT, FRAGMENT.replaceAll('\r\n', '\n')]) {
    const { credentials, candidates } = parseIceFragment(text);
    assert.deepEqual(credentials, { ufrag: 'EsAw', pwd: PASSWORD });
    assert.deepEqual(
      candidates,
      [61_764, 61_765].map((port) => ({ mid: '0', candidate: host(port) })),
    );
  }
  assert.deepEqual(parseIceFragment(`a=${host(9)}`).candidates, [{ mid: undefined, candidate: host(9) }]);
  assert.deepEqual(parseIceFragment('a=end-of-candidates'), { credentials: undefined, candidates: [] });
});

test('what native code should not see is refused', () => {
  for (const text of [
    'nonsense',
    'a=candidate:1 1 udp 1 192.0.2.1',
    'a=candidate:1 1 udp 1 192.0.2.1 9 typ host \u0001',
    'a=candidate:1 1 udp 1 $(id) 9 typ host',
    'a=ice-ufrag:EsAw',
    `a=ice-ufrag:EsAw\r\na=ice-pwd:short`,
    `a=ice-ufrag:E s\r\na=ice-pwd:${PASSWORD}`,
    Array.from({ length: 101 }, (_, i) => `a=${host(i)}`).join('\n'),
  ])
    assert.throws(() => parseIceFragment(text), refused('SDP_INVALID'), text.slice(0, 80));
  assert.throws(() => parseIceFragment('a=x\n'.repeat(5000)), refused('BODY_TOO_LARGE'));
});

const OFFER = [
  'v=0',
  'o=- 1 7 IN IP4 127.0.0.1',
  's=-',
  't=0 0',
  'a=group:BUNDLE 0 1',
  ...['audio', 'video'].flatMap((kind, mid) => [
    `m=${kind} 9 UDP/TLS/RTP/SAVPF 96`,
    `a=mid:${mid}`,
    'a=ice-ufrag:old1',
    `a=ice-pwd:${'o'.repeat(24)}`,
    'a=fingerprint:sha-256 AB',
    'a=candidate:9 1 udp 1 192.0.2.9 9 typ host',
    'a=end-of-candidates',
  ]),
  '',
].join('\r\n');

test('a restarted offer differs from the old one in credentials, candidates and version', () => {
  const renewed = restartedOffer(OFFER, parseIceFragment(FRAGMENT));
  const wanted = OFFER.replace('- 1 7 IN', '- 1 8 IN')
    .replaceAll('old1', 'EsAw')
    .replaceAll('o'.repeat(24), PASSWORD)
    .replace(/a=candidate.*\r\na=end-of-candidates\r\n(?=m=)/, `a=${host(61_764)}\r\na=${host(61_765)}\r\n`)
    .replace(/a=candidate:9.*\r\na=end-of-candidates\r\n/, '');
  assert.equal(renewed, wanted);
});

test('the fragment of an answer can be read again, and its tag is that of the ICE session', () => {
  const fragment = fragmentOf(OFFER);
  assert.deepEqual(parseIceFragment(fragment), {
    credentials: { ufrag: 'old1', pwd: 'o'.repeat(24) },
    candidates: [{ mid: '0', candidate: 'candidate:9 1 udp 1 192.0.2.9 9 typ host' }],
  });
  assert.equal(iceTag(fragment), '"old1"');
  assert.equal(iceTag('v=0\r\n'), undefined);
});

test('If-Match names tags, or any with an asterisk', () => {
  for (const value of ['"a1"', ' "b" , "a1"', '*', ' * ']) assert.ok(matches(value, '"a1"'), value);
  for (const value of ['"A1"', 'a1', 'W/"a1"', '', '"a1']) assert.ok(!matches(value, '"a1"'), value);
});
