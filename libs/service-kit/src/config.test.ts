import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MeshError } from '@talkmesh/contracts';
import { z } from 'zod';
import { defineConfig, envName } from './config.js';
import { completeConfig } from './process/context.js';

const parse = defineConfig({
  model: z.string(),
  maxSteps: z.coerce.number().int().min(1).default(2),
  tokenSecret: z.string().min(32),
  turbo: z.stringbool().default(false),
});
const SECRET = 'x'.repeat(32);

function problemsOf(env: NodeJS.ProcessEnv): string {
  try {
    parse(env);
  } catch (thrown) {
    assert.ok(thrown instanceof MeshError);
    assert.equal(thrown.reason, 'CONFIG_INVALID');
    return thrown.message;
  }
  throw new Error('the configuration was taken');
}

test('the names of the variables follow from the keys', () => {
  assert.equal(envName('grpcPort'), 'TALKMESH_GRPC_PORT');
  assert.equal(envName('registryTtlMs'), 'TALKMESH_REGISTRY_TTL_MS');
});

test('values are converted to their types and defaults are filled in', () => {
  const config = parse({
    TALKMESH_MODEL: '/m',
    TALKMESH_TOKEN_SECRET: SECRET,
    TALKMESH_TURBO: 'true',
    TALKMESH_GRPC_PORT: '7001',
  });
  assert.equal(config.model, '/m');
  assert.equal(config.turbo, true);
  assert.equal(config.grpcPort, 7001);
  assert.equal(config.maxSteps, 2);
  assert.equal(config.drainDeadlineMs, 20_000);
  assert.equal(config.heartbeatMs, 2000);
});

test('all problems are reported at once, without the values of secrets', () => {
  const text = problemsOf({
    TALKMESH_GRPC_PORT: 'many',
    TALKMESH_LOG_LEVEL: 'loud',
    TALKMESH_NATS_URL: 'http://x',
    TALKMESH_TOKEN_SECRET: 'hunter2',
    TALKMESH_MAX_STEPS: '0',
  });
  for (const name of [
    'GRPC_PORT="many"',
    'LOG_LEVEL="loud"',
    'NATS_URL="http://x"',
    'TOKEN_SECRET=(hidden)',
    'MAX_STEPS="0"',
  ])
    assert.ok(text.includes(`TALKMESH_${name}`), `${name} in\n${text}`);
  assert.match(text, /TALKMESH_MODEL is not set and has no default/);
  assert.doesNotMatch(text, /hunter2/);
});

test('an empty variable counts as not set', () => {
  assert.match(problemsOf({ TALKMESH_MODEL: '', TALKMESH_TOKEN_SECRET: SECRET }), /TALKMESH_MODEL is not set/);
  assert.equal(parse({ TALKMESH_MODEL: 'm', TALKMESH_TOKEN_SECRET: SECRET, TALKMESH_GRPC_PORT: '' }).grpcPort, 0);
});

test('settings are checked against each other', () => {
  const env = { TALKMESH_MODEL: 'm', TALKMESH_TOKEN_SECRET: SECRET };
  assert.match(problemsOf({ ...env, TALKMESH_HEARTBEAT_MS: '6000' }), /REGISTRY_TTL_MS must be at least twice/);
  const odd = defineConfig({ ranks: z.coerce.number() }, ({ ranks }) =>
    ranks % 2 === 0 ? [] : ['TALKMESH_RANKS is odd'],
  );
  assert.throws(() => odd({ TALKMESH_RANKS: '3' }), /TALKMESH_RANKS is odd/);
  assert.equal(odd({ TALKMESH_RANKS: '4' }).ranks, 4);
});

test('a shape may override a base setting', () => {
  const many = defineConfig({ capacity: z.coerce.number().default(99) });
  assert.equal(many({}).capacity, 99);
});

test('defaults of instance id and advertised host are filled in', () => {
  const base = defineConfig({})({});
  const complete = completeConfig('gateway', base);
  assert.match(complete.instanceId, /^gateway-[0-9a-f]{8}$/);
  assert.equal(complete.advertiseHost, '127.0.0.1');
  assert.notEqual(completeConfig('gateway', { ...base, grpcHost: '0.0.0.0' }).advertiseHost, '0.0.0.0');
  assert.equal(completeConfig('gateway', { ...base, instanceId: 'pod-7' }).instanceId, 'pod-7');
});
