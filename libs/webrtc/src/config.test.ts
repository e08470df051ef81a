import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { type RtcConfig, rtcConfigRule, rtcConfigShape } from './config.js';

const schema = z.object(rtcConfigShape);
const problems = (values: Partial<Record<keyof RtcConfig, string>>) => rtcConfigRule(schema.parse(values));

test('every setting has a default', () => {
  assert.deepEqual(problems({}), []);
  assert.deepEqual(schema.parse({}).iceUrls, []);
});

test('a port range needs two ports in ascending order', () => {
  assert.deepEqual(problems({ rtcPortMin: '41000', rtcPortMax: '41010' }), []);
  assert.match(problems({ rtcPortMin: '41000' })[0] ?? '', /RTC_PORT_MIN/);
  assert.match(problems({ rtcPortMin: '9', rtcPortMax: '8' })[0] ?? '', /RTC_PORT_MIN/);
});

test('addresses and ICE URLs are validated', () => {
  assert.deepEqual(schema.parse({ rtcAdvertise: '10.0.0.1, ::1' }).rtcAdvertise, ['10.0.0.1', '::1']);
  assert.equal(schema.safeParse({ rtcAdvertise: 'example.org' }).success, false);
  assert.equal(schema.safeParse({ iceUrls: 'http://example.org' }).success, false);
});

test('TURN needs credentials, and the gathering deadline must be below the answer deadline', () => {
  assert.match(problems({ iceUrls: 'turn:turn.example.org' })[0] ?? '', /CREDENTIAL_FILE/);
  assert.deepEqual(problems({ iceUrls: 'stun:stun.example.org' }), []);
  assert.deepEqual(problems({ iceUrls: 'turn:turn.example.org', iceSecretFile: '/run/secret' }), []);
  const both = { iceUsername: 'u', iceCredentialFile: '/run/password', iceSecretFile: '/run/secret' };
  assert.match(problems({ iceUrls: 'turn:turn.example.org', ...both })[0] ?? '', /keep one/);
  assert.match(problems({ rtcGatherMs: '6000' })[0] ?? '', /GATHER/);
});
