/** The real provider, with the official client, against the three HTTP endpoints on a real socket. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { CascadeTestServer, type CascadeTestServerOptions } from '../../testing/cascade-server.js';
import {
  type OpenedProvider,
  type OpenedProviderOptions,
  openWithServer,
  waitFor,
} from '../../testing/open-provider.js';
import { fundamentalHz, tone } from '../../testing/tone.js';

const ms = (pcm: Int16Array): number => pcm.length / 24;

async function talk(
  serverOptions: CascadeTestServerOptions,
  env: NodeJS.ProcessEnv = {},
  options: OpenedProviderOptions = {},
): Promise<{ server: CascadeTestServer; provider: OpenedProvider } & AsyncDisposable> {
  const server = await CascadeTestServer.start(serverOptions);
  const settings = {
    TALKMESH_CASCADE_URL: server.url,
    TALKMESH_CASCADE_CHAT_MODEL: 'llama',
    TALKMESH_CASCADE_SPEECH_MODEL: 'kokoro',
  };
  return openWithServer(server, 'cascade', { ...settings, ...env }, options);
}

function ask(provider: OpenedProvider): void {
  provider.session.push({ kind: 'user.started', preRollMs: 0 });
  provider.hear(tone(200, 600, 6000));
  provider.session.push({ kind: 'user.stopped' });
}

const FIRST = 'This is the first sentence.';
const SECOND = 'And here comes the second one.';

test('a question is written down, answered and spoken sentence by sentence while the text still streams', async () => {
  await using call = await talk({
    transcripts: ['How are you?'],
    chat: () => ({ text: `${FIRST} ${SECOND} ${'word '.repeat(40)}end.`, paceMs: 10 }),
  });
  const { provider, server } = call;
  ask(provider);
  await provider.until('speech');
  assert.equal(server.requests.filter(({ step }) => step === 'completions').length, 1);
  assert.equal(provider.of('end').length, 0, 'the first sound comes before the end of the text');
  const { response } = await provider.until('end');
  assert.deepEqual(server.spoken.slice(0, 2), [FIRST, SECOND]);
  assert.equal(
    ms(provider.speech(response)),
    server.spoken.reduce((sum, text) => sum + text.length * 50, 0),
  );
  assert.equal(provider.said[0], 'user: How are you?');
  assert.match(provider.said[1] ?? '', /^avatar: This is the first sentence\. And here .* end\.$/);
  assert.deepEqual(
    provider.of('timing').map(({ step }) => step),
    ['transcription', 'first-text', 'response'],
  );
  const file = server.requests[0]?.body ?? '';
  assert.match(file, /filename="speech\.wav"/);
  assert.deepEqual(server.chats[0]?.messages, [{ role: 'user', content: 'How are you?' }]);
  assert.deepEqual(provider.failures, []);
});

test('a cut stops model and speech, and the model later learns only what was heard', async () => {
  await using call = await talk({
    transcripts: ['Tell me', 'And now?'],
    chat: () => ({ text: `${FIRST} ${SECOND} ${'word '.repeat(200)}`, paceMs: 5 }),
    speechPaceMs: 20,
  });
  const { provider, server } = call;
  ask(provider);
  await waitFor(
    () => ms(provider.speech()) > FIRST.length * 50 + 600,
    () => 'the second sentence',
  );
  const { response } = provider.of('speech')[0] ?? { response: '' };
  provider.session.cancel({ response, playedMs: FIRST.length * 50 + 500 });
  await waitFor(
    () => server.aborted.includes('completions'),
    () => 'the end of the chat request',
  );
  const length = provider.speech().length;
  ask(provider);
  await waitFor(
    () => server.chats.length === 2,
    () => 'the next question',
  );
  assert.equal(provider.speech(response).length, length, 'no more speech after the cut');
  assert.deepEqual(server.chats[1]?.messages, [
    { role: 'user', content: 'Tell me' },
    { role: 'assistant', content: `${FIRST} And here comes` },
    { role: 'user', content: 'And now?' },
  ]);
});

test('an answer that was cut after it was complete is shortened as well', async () => {
  await using call = await talk({ chat: () => ({ text: `${FIRST} ${SECOND}` }) });
  ask(call.provider);
  const { response } = await call.provider.until('end');
  call.provider.session.cancel({ response, playedMs: 0 });
  ask(call.provider);
  await call.provider.until('end', 2);
  assert.deepEqual(
    call.server.chats[1]?.messages.map(({ role }) => role),
    ['user', 'user'],
    'nothing of it was heard',
  );
});

test('a user who goes on before the first sound is answered once, to both parts', async () => {
  await using call = await talk({
    transcripts: ['What is', 'the time?'],
    chat: (n) => ({ text: n === 0 ? 'word '.repeat(100) : FIRST, paceMs: n === 0 ? 30 : 0 }),
  });
  const { provider, server } = call;
  ask(provider);
  await waitFor(
    () => server.chats.length === 1,
    () => 'the first request',
  );
  ask(provider);
  await provider.until('end');
  assert.deepEqual(server.chats[1]?.messages, [
    { role: 'user', content: 'What is' },
    { role: 'user', content: 'the time?' },
  ]);
  assert.equal(new Set(provider.of('speech').map(({ response }) => response)).size, 1);
  assert.ok(server.aborted.includes('completions'));
});

test('tools are called with all of their arguments, and their results reach the model in the order it needs', async () => {
  const tool = { name: 'weather', description: 'd', parameters: { type: 'object' } };
  const script = {
    tools: [
      { id: 'a', name: 'weather', arguments: '{"city":"Oslo"}' },
      { name: 'weather', arguments: '{"city":"Rome"}' },
    ],
  };
  await using call = await talk(
    { chat: (n) => (n === 0 ? script : { text: FIRST }) },
    {},
    { choices: { tools: [tool] } },
  );
  const { provider, server } = call;
  ask(provider);
  await provider.until('tool.call', 2);
  const calls = provider.of('tool.call').map(({ call: made }) => made);
  assert.deepEqual(
    calls.map(({ arguments: given }) => given),
    ['{"city":"Oslo"}', '{"city":"Rome"}'],
  );
  for (const { id } of [...calls].reverse()) provider.session.answerTool?.({ id, output: `result of ${id}` });
  await provider.until('end');
  const [, assistant, ...results] = server.chats[1]?.messages ?? [];
  assert.ok(assistant?.role === 'assistant' && assistant.tool_calls?.length === 2);
  assert.deepEqual(
    results.map((message) => message.role === 'tool' && [message.tool_call_id, message.content]),
    calls.map(({ id }) => [id, `result of ${id}`]),
  );
  assert.deepEqual(server.chats[0]?.tools, [{ type: 'function', function: tool }]);
});

test('speech of another rate or as WAV is heard at the right pitch', async () => {
  const expected = fundamentalHz(tone(200, 1500, 6000));
  for (const env of [
    { TALKMESH_CASCADE_SPEECH_RATE_HZ: '16000' },
    { TALKMESH_CASCADE_SPEECH_FORMAT: 'wav' },
  ] as NodeJS.ProcessEnv[]) {
    const format = env['TALKMESH_CASCADE_SPEECH_FORMAT'] === 'wav' ? 'wav' : 'pcm';
    await using call = await talk({ chat: () => ({ text: FIRST }), rateHz: 16_000, format }, env);
    ask(call.provider);
    await call.provider.until('end');
    assert.equal(ms(call.provider.speech()), FIRST.length * 50);
    assert.equal(fundamentalHz(call.provider.speech()), expected, format);
  }
});

test('without a speech service espeak-ng speaks', async () => {
  await using call = await talk({ chat: () => ({ text: FIRST }) }, { TALKMESH_CASCADE_SPEECH_MODEL: '' });
  ask(call.provider);
  await call.provider.until('end');
  assert.ok(ms(call.provider.speech()) > 800 && call.server.spoken.length === 0);
});

test('each service is told apart in the explanations, once until it works again', async () => {
  const own = { key: 'of-the-planted-kind' };
  await using call = await talk({ chat: () => ({ text: FIRST }) }, {}, own);
  const { provider, server } = call;
  const quota = { status: 429, body: { error: { code: 'insufficient_quota', message: 'no quota' } } };
  const limit = { status: 429, body: { error: { code: 'rate_limit_exceeded', message: 'slow down' } } };
  const wrong = {
    status: 401,
    body: { error: { code: 'invalid_api_key', message: 'Incorrect key of-the-planted-kind' } },
  };
  server.refusals.transcriptions = [wrong, wrong];
  server.refusals.completions = [quota];
  server.refusals.speech = [limit];
  ask(provider);
  await provider.until('failed');
  ask(provider);
  await waitFor(
    () => server.requests.length === 2 && server.refusals.transcriptions?.length === 0,
    () => 'a refusal',
  );
  await sleep(100);
  ask(provider);
  await provider.until('failed', 2);
  ask(provider);
  await provider.until('failed', 3);
  ask(provider);
  await provider.until('end');
  assert.equal(provider.failures.length, 3);
  assert.match(
    provider.failures[0] ?? '',
    /^The key was refused by cascade \(transcription\)\. .*TALKMESH_CASCADE_KEY_FILE/,
  );
  assert.match(provider.failures[1] ?? '', /^The account of cascade \(chat\) has no quota left/);
  assert.match(provider.failures[2] ?? '', /^The rate limit of cascade \(speech\) is reached/);
  assert.ok(!provider.failures.join().includes('planted'));
});

test('a model that is cut off, stops or sends nonsense is explained; what was spoken stays a whole turn', async () => {
  const text = `${FIRST} ${SECOND} and more words that never come`;
  for (const fault of [{ cutAfter: 14 }, { stallAfter: 14 }, { malformed: 'data: {"broken\n\n' }]) {
    await using call = await talk({ chat: () => ({ text, ...fault }) }, { TALKMESH_CASCADE_DEADLINE_MS: '400' });
    ask(call.provider);
    await call.provider.until('failed');
    assert.match(
      call.provider.failures[0] ?? '',
      /^The answer of cascade \(chat\) could not be read to its end \(.+\)\. Speak again; .*TALKMESH_CASCADE_CHAT_URL/,
      JSON.stringify(fault),
    );
    if (!('malformed' in fault)) await call.provider.until('end');
  }
});

test('an answer without words is explained: from a model that writes none, and from a server that is no model', async () => {
  await using call = await talk({ chat: (n) => ({ text: n === 0 ? '' : '👍' }) });
  const { provider, server } = call;
  ask(provider);
  await provider.until('failed');
  assert.match(
    provider.failures[0] ?? '',
    /^The answer of cascade \(chat\) has no words\. Speak again; if it lasts, check TALKMESH_CASCADE_CHAT_URL and TALKMESH_CASCADE_CHAT_MODEL/,
  );
  await using page = await talk({ chat: () => ({ text: FIRST }) });
  page.server.refusals.completions = [{ status: 200, body: { title: 'Please log in' } }];
  ask(page.provider);
  await page.provider.until('failed');
  assert.match(page.provider.failures[0] ?? '', /has no words/);
  ask(page.provider);
  await page.provider.until('end');
  assert.deepEqual(page.server.spoken, [FIRST]);
  assert.deepEqual(server.spoken, []);
});

test('Markdown is not spoken, and a sentence of signs alone is left out', async () => {
  await using call = await talk({
    chat: () => ({ text: '**This is** the `first` sentence.\n--------------------\nAnd the second one.' }),
  });
  ask(call.provider);
  await call.provider.until('end');
  assert.deepEqual(call.server.spoken, ['This is the first sentence.', 'And the second one.']);
});

test('a cough is no question', async () => {
  await using call = await talk({ chat: () => ({ text: FIRST }) });
  call.provider.session.push({ kind: 'user.started', preRollMs: 0 });
  call.provider.hear(tone(200, 40, 6000));
  call.provider.session.push({ kind: 'user.stopped' });
  ask(call.provider);
  await call.provider.until('end');
  assert.equal(call.server.requests.filter(({ step }) => step === 'transcriptions').length, 1);
});

test('what the user says over the avatar is written down first, and answered only when it is accepted', async () => {
  await using call = await talk({
    transcripts: ['Tell me', 'Mhm.', 'Stop that'],
    chat: () => ({ text: `${FIRST} ${SECOND}`, paceMs: 5 }),
  });
  const { provider, server } = call;
  ask(provider);
  await provider.until('speech');
  provider.hear(tone(200, 600, 6000));
  provider.session.push({ kind: 'user.spoke', preRollMs: 600 });
  assert.equal((await provider.until('heard')).text, 'Mhm.');
  provider.session.push({ kind: 'user.withdrawn' });
  await provider.until('end');
  assert.equal(server.chats.length, 1, 'the answer that is heard goes on');
  provider.hear(tone(200, 600, 6000));
  provider.session.push({ kind: 'user.spoke', preRollMs: 600 });
  assert.equal((await provider.until('heard', 2)).text, 'Stop that');
  const { response } = provider.of('speech')[0] ?? { response: '' };
  provider.session.cancel({ response, playedMs: FIRST.length * 50 });
  provider.session.push({ kind: 'user.accepted' });
  await provider.until('end', 2);
  assert.deepEqual(
    server.chats[1]?.messages.map(({ content }) => content),
    ['Tell me', FIRST, 'Stop that'],
  );
  assert.deepEqual(
    provider.said.filter((line) => line.startsWith('user')),
    ['user: Tell me', 'user: Stop that'],
  );
});

test('a sound over the avatar without words is told at once, and a service that fails tells no words', async () => {
  await using call = await talk({ chat: () => ({ text: FIRST }) });
  const { provider, server } = call;
  provider.hear(new Int16Array(24 * 600));
  provider.session.push({ kind: 'user.spoke', preRollMs: 600 });
  assert.equal((await provider.until('heard')).text, '');
  server.refusals.transcriptions = [{ status: 500, body: {} }];
  provider.hear(tone(200, 600, 6000));
  provider.session.push({ kind: 'user.spoke', preRollMs: 600 });
  await provider.until('heard', 2);
  assert.equal(server.chats.length, 0);
});
