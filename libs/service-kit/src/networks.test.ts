import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isNetwork, Networks } from './networks.js';

test('settings name networks by word, address or prefix', () => {
  for (const item of ['loopback', 'private', '10.0.0.0/8', '10.1.2.3', 'fd00::/8', '::1', '::/0'])
    assert.ok(isNetwork(item), item);
  for (const item of ['', 'lan', '10.0.0.0/33', 'fd00::/129', 'constructor', '10.0.0/8', '10.0.0.0/8/8', 'localhost'])
    assert.ok(!isNetwork(item), item);
});

test('a set of networks has the addresses in it, in either family', () => {
  const networks = new Networks(['loopback', '10.1.0.0/16', '192.168.7.1', 'fd00:1::/32']);
  for (const address of ['127.9.9.9', '::1', '10.1.255.255', '::ffff:10.1.0.1', '192.168.7.1', 'fd00:1::9'])
    assert.ok(networks.has(address), address);
  for (const address of ['10.2.0.1', '192.168.7.2', 'fd00:2::9', '::ffff:10.2.0.1', '', 'localhost', '127.1'])
    assert.ok(!networks.has(address), address);
});
