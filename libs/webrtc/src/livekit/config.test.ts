import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { allowedServer, livekitConfigShape } from './config.js';

const { livekitUrls } = livekitConfigShape;

test('the servers are ws and wss URLs; none by default', () => {
  assert.deepEqual(livekitUrls.parse(undefined), []);
  assert.deepEqual(livekitUrls.parse('wss://a.example.com, ws://127.0.0.1:7880/'), [
    'wss://a.example.com',
    'ws://127.0.0.1:7880/',
  ]);
  for (const bad of [
    'https://a.example.com',
    'wss://user:pw@a.example.com',
    'a.example.com',
    'wss://a.example.com?x=1',
  ])
    assert.throws(() => livekitUrls.parse(bad), z.ZodError, bad);
});

test('only an allowed server is found, whatever the case of its host, its default port and a slash at its end', () => {
  const allowed = ['wss://a.example.com', 'ws://127.0.0.1:7880/'];
  assert.equal(allowedServer(allowed, 'wss://A.example.com:443/'), 'wss://a.example.com');
  assert.equal(allowedServer(allowed, 'ws://127.0.0.1:7880'), 'ws://127.0.0.1:7880/');
  for (const other of [
    'ws://a.example.com',
    'wss://a.example.com.evil.example',
    'wss://a.example.com@evil.example',
    'wss://evil.example#wss://a.example.com',
    'ws://127.0.0.1:7881',
    'ws://localhost:7880',
    'wss://a.example.com/other',
    'nonsense',
    '',
  ])
    assert.equal(allowedServer(allowed, other), undefined, other);
});
