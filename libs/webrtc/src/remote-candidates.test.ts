import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RemoteCandidates } from './remote-candidates.js';

const candidate = (address: string, transport = 'udp', rest = ''): string =>
  `a=candidate:1 1 ${transport} 2122260223 ${address} 4444 typ host${rest}`;
const keeps = (policy: RemoteCandidates, line: string): boolean => policy.filter(`${line}\r\n`) !== '';

test('by default only public UDP addresses are probed', () => {
  const policy = new RemoteCandidates([]);
  for (const address of ['93.184.215.14', '2606:2800:21f:cb07:6820:80da:af6b:8b2c'])
    assert.ok(keeps(policy, candidate(address)), address);
  for (const address of [
    ...['127.0.0.1', '10.0.0.1', '172.31.0.1', '192.168.1.1', '100.64.0.1', '169.254.169.254', '0.0.0.0'],
    ...['224.0.0.251', '239.1.1.1', '255.255.255.255', '::1', '::', 'fe80::1', 'fd00::1', 'ff02::fb'],
    ...['::ffff:127.0.0.1', '::ffff:10.0.0.1', '::ffff:a9fe:a9fe', '64:ff9b::7f00:1', '2002:7f00:1::1'],
    ...['metadata.internal', '0b3d5e2a-1111-4222-8333-123456789abc.local', '127.1', '0x7f000001', '2130706433', ''],
  ])
    assert.ok(!keeps(policy, candidate(address)), address);
});

test('TCP candidates are never used', () => {
  const policy = new RemoteCandidates(['loopback', 'private', '0.0.0.0/0']);
  for (const transport of ['tcp', 'TCP', 'ssltcp'])
    assert.ok(!keeps(policy, candidate('93.184.215.14', transport, ' tcptype passive')), transport);
  assert.ok(keeps(policy, candidate('93.184.215.14', 'UDP')));
});

test('networks can be allowed; link-local, multicast and the rest never', () => {
  const policy = new RemoteCandidates(['loopback', '10.1.0.0/16', 'fd00:1::/32']);
  for (const address of ['127.0.0.1', '::1', '10.1.2.3', 'fd00:1::2'])
    assert.ok(keeps(policy, candidate(address)), address);
  for (const address of ['10.2.0.1', '192.168.0.1', 'fd00:2::1', '169.254.0.1', '224.0.0.1'])
    assert.ok(!keeps(policy, candidate(address)), address);
  assert.ok(keeps(new RemoteCandidates(['private']), candidate('192.168.0.1')));
  assert.ok(!keeps(new RemoteCandidates(['169.254.0.0/16', '224.0.0.0/4']), candidate('169.254.0.1')));
});

test('everything else of a description stays as it is, with either line ending', () => {
  const policy = new RemoteCandidates([]);
  const sdp = ['v=0', candidate('10.0.0.1'), 'a=mid:0', candidate('93.184.215.14'), 'a=end-of-candidates', ''];
  const wanted = sdp.filter((_, index) => index !== 1);
  for (const end of ['\r\n', '\n']) assert.equal(policy.filter(sdp.join(end)), wanted.join(end));
  assert.equal(policy.filter(`a=mid:0\r\n${candidate('10.0.0.1')}`), 'a=mid:0\r\n');
  assert.equal(policy.filter('A=CANDIDATE:1 1 udp 1 127.0.0.1 1 typ host\r\n'), '');
});
