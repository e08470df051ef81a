import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MeshError } from '@talkmesh/contracts';
import { GeminiTestServer, type GeminiTestServerOptions } from '../../testing/gemini-server.js';
import {
  type OpenedProvider,
  type OpenedProviderOptions,
  openWithServer,
  waitFor,
} from '../../testing/open-provider.js';
import { tone } from '../../testing/tone.js';

const KEY = 'AIzaNotARealKey-0123456789';
const question = tone(200, 600, 6000);
const speech = tone(300, 1000, 8000);
const ms = (pcm: Int16Array): number => pcm.length / 24;

async function talk(options: GeminiTestServerOptions, env: NodeJS.ProcessEnv = {}, opened: OpenedProviderOptions = {}) {
  const server = await GeminiTestServer.start(options);
  const settings = { TALKMESH_GEMINI_LIVE_URL: server.url, TALKMESH_PROVIDER_DEADLINE_MS: '2000', ...env };
  return openWithServer(server, 'gemini-live', settings, opened);
}

function ask(provider: OpenedProvider): void {
  provider.hear(question.slice(0, 4800));
  provider.session.push({ kind: 'user.started', preRollMs: 200 });
  provider.hear(question.slice(4800));
  provider.session.push({ kind: 'user.stopped' });
}

const refusal = (options: GeminiTestServerOptions, env: NodeJS.ProcessEnv = {}, opened?: OpenedProviderOptions) =>
  talk(options, env, opened).then(
    () => assert.fail('the session was opened'),
    (error: unknown) => MeshError.from(error),
  );

test('an utterance is sent with its pre-roll at 16 kHz, and the answer is spoken with the transcripts of both sides', async () => {
  await using call = await talk({
    transcripts: ['How are you?'],
    answer: () => ({ pcm: speech, text: 'I am fine. And you?' }),
  });
  const { server, provider } = call;
  ask(provider);
  await provider.until('end');
  assert.equal(ms(provider.speech()), 1000);
  await waitFor(
    () => provider.said.length === 2,
    () => `both transcripts: ${provider.said.join('; ')}`,
  );
  assert.deepEqual(provider.said, ['user: How are you?', 'avatar: I am fine. And you?']);
  assert.ok(
    Math.abs((server.connection.utterances[0] ?? 0) / 16 - 600) < 30,
    `${server.connection.utterances[0]} samples`,
  );
  assert.deepEqual(
    provider.of('timing').map(({ step }) => step),
    ['connect', 'response'],
  );
  assert.deepEqual(provider.failures, []);
});

test('the setup has instructions, voice, language and tools; the model and the key are those of the deployment', async () => {
  const tools = [{ name: 'weather', description: 'Weather of a city', parameters: { type: 'object', properties: {} } }];
  await using call = await talk(
    { key: KEY },
    {},
    {
      key: KEY,
      choices: { instructions: 'Be kind.', voice: 'Puck', language: 'de-DE', tools },
    },
  );
  const { setup } = call.server.connection;
  assert.equal(setup.model, 'models/gemini-live-2.5-flash-preview');
  assert.match(JSON.stringify(setup.systemInstruction), /Be kind\./);
  assert.match(JSON.stringify(setup), /"voiceName":"Puck"/);
  assert.match(JSON.stringify(setup), /"languageCode":"de-DE"/);
  assert.match(JSON.stringify(setup.tools), /"name":"weather"/);
  assert.equal(setup.realtimeInputConfig?.automaticActivityDetection?.disabled, true);
  assert.deepEqual(call.server.urls.length, 1);
});

test('the user interrupts: the answer ends, its rest is dropped, and the next question is answered', async () => {
  await using call = await talk({
    answer: (n) => ({
      pcm: n === 0 ? tone(300, 5000, 8000) : speech,
      text: 'One two three.',
      paceMs: n === 0 ? 30 : 0,
    }),
  });
  const { provider } = call;
  ask(provider);
  const { response } = await provider.until('speech', 3);
  provider.session.cancel({ response, playedMs: 150 });
  ask(provider);
  await provider.until('end', 2);
  const [first, second] = provider.of('end').map((end) => end.response);
  assert.equal(first, response);
  assert.ok(ms(provider.speech(response)) < 5000);
  assert.equal(ms(provider.speech(second)), 1000);
});

test('a tool call is answered with an object, and a cancelled one is told', async () => {
  const call_ = { id: 'c1', name: 'weather', args: { city: 'Oslo' } };
  await using call = await talk({ answer: (n) => (n === 0 ? { tools: [call_] } : { pcm: speech }) });
  const { server, provider } = call;
  ask(provider);
  const { call: called } = await provider.until('tool.call');
  assert.deepEqual(called, { id: 'c1', name: 'weather', arguments: '{"city":"Oslo"}' });
  provider.session.answerTool?.({ id: 'c1', output: 'cold' });
  await provider.until('end');
  const sent = server.connection.received.flatMap(({ toolResponse }) => toolResponse?.functionResponses ?? []);
  assert.deepEqual(sent, [{ id: 'c1', name: 'weather', response: { output: 'cold' } }]);
  server.send({ toolCall: { functionCalls: [{ ...call_, id: 'c2' }] } });
  await provider.until('tool.call', 2);
  server.send({ toolCallCancellation: { ids: ['c2'] } });
  assert.equal((await provider.until('tool.cancelled')).id, 'c2');
});

test('after goAway the session moves to a new connection by its handle, between two answers and without a word to the listener', async () => {
  await using call = await talk({ answer: () => ({ pcm: speech, text: 'Yes.' }) });
  const { server, provider } = call;
  ask(provider);
  await provider.until('end');
  await waitFor(
    () => provider.said.length > 0,
    () => 'the transcript',
  );
  server.send({ goAway: { timeLeft: '10s' } });
  await waitFor(
    () => server.connections.length === 2,
    () => 'the second connection',
  );
  assert.equal(server.connection.setup.sessionResumption?.handle, 'handle-1');
  await provider.until('timing', 3);
  ask(provider);
  await provider.until('end', 2);
  assert.deepEqual(server.connection.turns, [], 'what the server remembers is not replayed');
  assert.deepEqual(provider.failures, []);
});

test('a cut answer is told once; the conversation is replayed as it was heard, and the question is asked again', async () => {
  await using call = await talk(
    {
      transcripts: ['What is this?'],
      answer: (n) => ({ pcm: speech, text: 'It is a test.', ...(n === 0 && { cutAfterPieces: 2, paceMs: 20 }) }),
    },
    {},
    { history: [{ role: 'user', text: 'Hello.' }] },
  );
  const { server, provider } = call;
  await waitFor(
    () => server.connection.turns.length === 1,
    () => 'the history',
  );
  assert.deepEqual(server.connection.turns, [{ role: 'user', parts: [{ text: 'Hello.' }] }]);
  ask(provider);
  await provider.until('end');
  await waitFor(
    () => server.connections.length === 2,
    () => 'the second connection',
  );
  assert.equal(provider.failures.length, 1);
  assert.match(provider.failures[0] ?? '', /no connection to gemini-live/);
  await waitFor(
    () => server.connection.turns.length === 3,
    () => JSON.stringify(server.connection.turns),
  );
  assert.deepEqual(
    server.connection.turns.map(({ role }) => role),
    ['user', 'user', 'model'],
  );
});

test('malformed messages are skipped: neither the process nor the answer ends', async () => {
  for (const malformed of ['{"serverContent":', '[1]', 'null', '"text"']) {
    await using call = await talk({ answer: () => ({ pcm: speech, malformed }) });
    ask(call.provider);
    await call.provider.until('end');
    assert.equal(ms(call.provider.speech()), 1000, malformed);
    assert.ok(call.provider.of('opaque').some(({ type }) => type === 'malformed'));
  }
});

test('a wrong key, a full quota and an unknown model are explained in words, and no key is in any of them', async () => {
  const key = { TALKMESH_SESSION_CHOICES: 'key' };
  for (const [options, words] of [
    [{ key: 'another' }, /key was refused by gemini-live.*TALKMESH_GEMINI_LIVE_KEY_FILE/],
    [{ close: { code: 1011, reason: `You exceeded your current quota, key=${KEY}` } }, /has no quota left/],
    [
      { close: { code: 1008, reason: 'models/x is not found for API version v1beta, or does not exist' } },
      /TALKMESH_GEMINI_LIVE_MODEL/,
    ],
    [{ status: 429 }, /rate limit of gemini-live/],
    [{ status: 403 }, /key was refused/],
  ] as const) {
    const error = await refusal(options, key, { key: KEY });
    assert.equal(error.reason, 'PROVIDER_FAILED');
    assert.match(error.message, words);
    assert.ok(!error.message.includes(KEY), error.message);
  }
});

test('a server that says nothing, and one that is not there, are given up at the deadline', async () => {
  const silent = await refusal({ silent: true }, { TALKMESH_PROVIDER_DEADLINE_MS: '300' });
  assert.match(silent.message, /no connection to gemini-live \(no answer within 300 ms\)/);
  const absent = await refusal({}, { TALKMESH_GEMINI_LIVE_URL: 'http://127.0.0.1:1' });
  assert.match(absent.message, /ECONNREFUSED/);
});

test('no log line, output or error contains the key', async () => {
  await using call = await talk({ key: KEY, answer: () => ({ pcm: speech }) }, {}, { key: KEY });
  const { server, provider } = call;
  assert.ok(server.urls[0]?.includes(KEY), 'the protocol has the key in the address');
  ask(provider);
  await provider.until('end');
  server.cut();
  await waitFor(
    () => server.connections.length === 2,
    () => 'the second connection',
  );
  assert.ok(provider.logLines.length > 0);
  assert.ok(!JSON.stringify([provider.logLines, provider.outputs]).includes(KEY));
});
