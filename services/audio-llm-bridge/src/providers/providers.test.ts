import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MeshError } from '@talkmesh/contracts';
import { createLogger } from '@talkmesh/service-kit';
import { parseConfig } from '../config.js';
import { joinPcm } from '../pcm.js';
import { fundamentalHz, tone } from '../testing/tone.js';
import { external } from './external.js';
import { parrot } from './parrot.js';
import type { Provider, ProviderOutput, ProviderSession } from './provider.js';
import { ProviderRegistry } from './registry.js';

async function open(provider: Provider): Promise<{ session: ProviderSession; outputs: ProviderOutput[] }> {
  const outputs: ProviderOutput[] = [];
  const options = {
    ...{ sessionId: 's', key: '', isTakeover: false, history: [], signal: new AbortController().signal },
    choices: { instructions: '', voice: '', language: '', input: 'voice-activity' as const, tools: [] },
    log: createLogger({ service: 'audio-llm-bridge', instanceId: 'b', level: 'silent', pretty: false }),
  };
  return { session: await provider.open(options, (output) => outputs.push(output)), outputs };
}

function say(session: ProviderSession, pcm: Int16Array): void {
  for (let at = 0; at < pcm.length; at += 480)
    session.push({ kind: 'audio', pcm: pcm.slice(at, at + 480), endOfTurn: false, atMs: at / 24 });
}

async function until(outputs: readonly ProviderOutput[], kind: ProviderOutput['kind']): Promise<void> {
  for (let i = 0; i < 500 && !outputs.some((output) => output.kind === kind); i++) await sleep(10);
  assert.ok(
    outputs.some((output) => output.kind === kind),
    `no ${kind}`,
  );
}

const speechOf = (outputs: readonly ProviderOutput[]): Int16Array[] =>
  outputs.flatMap((output) => (output.kind === 'speech' ? [output.pcm] : []));

test('the parrot repeats the user at a higher pitch and a normalised loudness, in short messages', async () => {
  const { session, outputs } = await open(parrot({ semitones: 4 }));
  say(session, new Int16Array(24_000));
  session.push({ kind: 'user.started', preRollMs: 300 });
  say(session, tone(200, 3000, 2000));
  say(session, new Int16Array(12_000));
  session.push({ kind: 'user.stopped' });
  await until(outputs, 'end');
  const pieces = speechOf(outputs);
  const answer = joinPcm(pieces);
  assert.ok(pieces.every((pcm) => pcm.length <= 2400));
  assert.ok(Math.abs(answer.length / 24 - 3000) < 250, `${answer.length / 24} ms`);
  const pitch = fundamentalHz(answer);
  assert.ok(Math.abs(pitch / 200 - 2 ** (4 / 12)) < 0.03, `${pitch} Hz`);
  const level = Math.sqrt(answer.reduce((sum, v) => sum + v * v, 0) / answer.length) / 32_768;
  assert.ok(level > 0.07 && level < 0.13, `level ${level}`);
});

test('the parrot includes the pre-roll, ignores silence and coughs, and repeats at most 30 s', async () => {
  const { session, outputs } = await open(parrot({ semitones: 0 }));
  say(session, tone(200, 1000, 8000));
  session.push({ kind: 'user.started', preRollMs: 300 });
  session.push({ kind: 'user.stopped' });
  await until(outputs, 'end');
  assert.ok(Math.abs(joinPcm(speechOf(outputs)).length / 24 - 300) <= 20);

  for (const noise of [new Int16Array(24_000), tone(200, 20, 8000)]) {
    outputs.length = 0;
    say(session, new Int16Array(24_000));
    session.push({ kind: 'user.started', preRollMs: 0 });
    say(session, noise);
    session.push({ kind: 'user.stopped' });
    await sleep(50);
    assert.deepEqual(outputs, []);
  }

  session.push({ kind: 'user.started', preRollMs: 0 });
  say(session, tone(200, 40_000, 8000));
  session.push({ kind: 'user.stopped' });
  await until(outputs, 'end');
  assert.ok(Math.abs(joinPcm(speechOf(outputs)).length / 24 - 30_000) < 50);
});

test('cancelling an answer stops its generation', async () => {
  const { session, outputs } = await open(parrot({ semitones: 4 }));
  session.push({ kind: 'user.started', preRollMs: 0 });
  say(session, tone(200, 20_000, 8000));
  session.push({ kind: 'user.stopped' });
  await until(outputs, 'speech');
  session.cancel({ response: 'parrot-1', playedMs: 0 });
  await sleep(20);
  const after = outputs.length;
  await sleep(200);
  assert.equal(outputs.length, after);
  assert.ok(joinPcm(speechOf(outputs)).length < 20_000 * 24);
  assert.ok(!outputs.some((output) => output.kind === 'end'));
});

test('external audio is passed on unchanged, one response per stream', async () => {
  const { session, outputs } = await open(external);
  const [a, b] = [tone(300, 20, 5000), tone(500, 20, 5000)];
  session.push({ kind: 'audio', pcm: a, endOfTurn: false, atMs: 0 });
  session.push({ kind: 'audio', pcm: b, endOfTurn: true, atMs: 20 });
  session.push({ kind: 'audio', pcm: a, endOfTurn: false, atMs: 40 });
  assert.deepEqual(outputs, [
    { kind: 'speech', response: 'external-1', pcm: a },
    { kind: 'speech', response: 'external-1', pcm: b },
    { kind: 'end', response: 'external-1' },
    { kind: 'speech', response: 'external-2', pcm: a },
  ]);
});

test('after a cut, the rest of the stream keeps its response; a new stream or a gap begins another response', async () => {
  const { session, outputs } = await open(external);
  const pcm = tone(300, 20, 5000);
  session.push({ kind: 'audio', pcm, endOfTurn: false, atMs: 0 });
  session.cancel({ response: 'external-1', playedMs: 10 });
  session.push({ kind: 'audio', pcm, endOfTurn: false, atMs: 900 });
  session.push({ kind: 'audio', pcm, endOfTurn: false, atMs: 2000 });
  session.push({ kind: 'audio', pcm, endOfTurn: false, atMs: 9000 });
  assert.deepEqual(
    outputs.map((output) => 'response' in output && output.response),
    ['external-1', 'external-1', 'external-2', 'external-2'],
  );
});

test('an unknown provider is refused with the names of those that are configured', async () => {
  const registry = await ProviderRegistry.load(parseConfig({}));
  assert.throws(
    () => registry.find('oracle'),
    (error) => {
      assert.ok(error instanceof MeshError);
      assert.equal(error.reason, 'PROVIDER_UNKNOWN');
      assert.match(error.message, /"oracle".*one of: parrot, external\./);
      return true;
    },
  );
});

test('the deployment decides which providers there are', async () => {
  const names = async (env: NodeJS.ProcessEnv) => (await ProviderRegistry.load(parseConfig(env))).names;
  const server = { TALKMESH_OPENAI_REALTIME_URL: 'ws://127.0.0.1:1/v1' };
  assert.deepEqual(await names(server), ['parrot', 'external', 'openai-realtime']);
  assert.deepEqual(await names({ ...server, TALKMESH_PROVIDERS: 'openai-realtime' }), ['openai-realtime']);
  await assert.rejects(
    () => names({ TALKMESH_PROVIDERS: 'openai-realtime' }),
    /openai-realtime needs TALKMESH_OPENAI_REALTIME_KEY/,
  );
  const cascade = { TALKMESH_CASCADE_URL: 'http://127.0.0.1:1/v1', TALKMESH_CASCADE_CHAT_MODEL: 'm' };
  assert.deepEqual(await names(cascade), ['parrot', 'external', 'cascade']);
  await assert.rejects(
    () => names({ TALKMESH_CASCADE_CHAT_URL: 'http://x' }),
    /CASCADE_TRANSCRIPTION_URL.*\n.*CHAT_MODEL must/,
  );
  await assert.rejects(() => names({ TALKMESH_VOICES: 'marin' }), /TALKMESH_VOICES.*openai-realtime\/marin/);
  await assert.rejects(() => names({ TALKMESH_PROVIDERS: 'oracle' }), /there is no provider "oracle"/);
  await assert.rejects(
    () => names({ ...server, TALKMESH_BARGE_IN: 'false' }),
    /BARGE_IN=false needs .*TURN_DETECTION=mesh/,
  );
  await assert.rejects(() => names({ TALKMESH_OPENAI_REALTIME_URL: 'https://user:pw@host/v1' }), /without a key/);
});
