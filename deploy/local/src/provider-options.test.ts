import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { test } from 'node:test';
import { providerEnv } from './provider-options.js';

test('the flags become settings of the gateway and of the bridge', () => {
  const flags = { 'provider-url': 'ws://127.0.0.1:8000/v1', 'provider-key-file': 'key.txt', 'provider-model': 'm' };
  assert.deepEqual(providerEnv({ provider: 'openai-realtime', ...flags }), {
    gateway: { TALKMESH_DEFAULT_PROVIDER: 'openai-realtime' },
    'audio-llm-bridge': {
      TALKMESH_OPENAI_REALTIME_URL: 'ws://127.0.0.1:8000/v1',
      TALKMESH_OPENAI_REALTIME_KEY_FILE: resolve('key.txt'),
      TALKMESH_OPENAI_REALTIME_MODEL: 'm',
    },
  });
  assert.deepEqual(providerEnv({}), {});
});

test('unknown providers and flags that do nothing are refused', () => {
  assert.throws(
    () => providerEnv({ provider: 'oracle' }),
    /--provider must be one of parrot, external, openai-realtime, gemini-live, cascade/,
  );
  assert.throws(() => providerEnv({ 'provider-url': 'ws://x' }), /--provider-url needs --provider/);
  assert.throws(() => providerEnv({ provider: 'parrot', 'provider-model': 'm' }), /not an option of parrot/);
});

test('a provider that would refuse the first call is refused before anything starts', () => {
  assert.throws(
    () => providerEnv({ provider: 'cascade', 'provider-model': 'm' }, {}),
    /cascade needs --provider-url; docs/,
  );
  for (const provider of ['openai-realtime', 'gemini-live'])
    assert.throws(() => providerEnv({ provider }, {}), /needs --provider-key-file or --provider-url/);
  assert.ok(providerEnv({ provider: 'cascade' }, { TALKMESH_CASCADE_CHAT_URL: 'http://127.0.0.1:11434/v1' }).gateway);
  assert.ok(providerEnv({ provider: 'gemini-live' }, { TALKMESH_GEMINI_LIVE_KEY_FILE: 'key.txt' }).gateway);
  assert.ok(providerEnv({ provider: 'openai-realtime' }, { TALKMESH_SESSION_CHOICES: 'voice,key' }).gateway);
  assert.ok(providerEnv({ provider: 'external' }, {}).gateway);
});
