import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { type RtcConfig, rtcConfigRule, rtcConfigShape } from './config.js';

const schema = z.object(rtcConfigShape);
const problems = (values: Partial<Record<keyof RtcConfig, string>>) => rtcConfigRule(schema.parse(values));

test('everything has a default', () => {
  assert.deepEqual(problems({}), []);
  assert.deepEqual(schema.parse({}).iceUrls, []);
});

test('a port range is two ports in order', () => {
  assert.deepEqual(problems({ rtcPortMin: '41000', rtcPortMax: '41010' }), []);
  assert.match(problems({ rtcPortMin: '41000' })[0] ?? '', /RTC_PORT_MIN/);
  assert.match(problems({ rtcPortMin: '9', rtcPortMax: '8' })[0] ?? '', /RTC_PORT_MIN/);
});

test('addresses and ICE URLs are checked', () => {
  assert.deepEqual(schema.parse({ rtcAdvertise: '10.0.0.1, ::1' }).rtcAdvertise, ['10.0.0.1', '::1']);
  assert.equal(schema.safeParse({ rtcAdvertise: 'example.org' }).success, false);
  assert.equal(schema.safeParse({ iceUrls: 'http://example.org' }).success, false);
});

test('TURN needs credentials, and gathering must end before the answer is due', () => {
  assert.match(problems({ iceUrls: 'turn:turn.example.org' })[0] ?? '', /CREDENTIAL_FILE/);
  assert.deepEqual(problems({ iceUrls: 'stun:stun.example.org' }), []);
  assert.match(problems({ rtcGatherMs: '6000' })[0] ?? '', /GATHER/);
});
