/** How the provider behaves when connection, key, account or server fail. */
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MeshError } from '@talkmesh/contracts';
import { OpenedProvider, waitFor } from '../../testing/open-provider.js';
import { ask, ms, talk } from '../../testing/realtime-call.js';
import { RealtimeTestServer } from '../../testing/realtime-server.js';
import { tone } from '../../testing/tone.js';

const folder = mkdtempSync(join(tmpdir(), 'talkmesh-keys-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function keyFile(key: string): string {
  const path = join(folder, `key-${Math.random().toString(36).slice(2)}`);
  writeFileSync(path, `${key}\n`);
  chmodSync(path, 0o600);
  return path;
}

test('a malformed event and events without fields are skipped', async () => {
  for (const malformed of [
    '{"type":"response.output_audio',
    '[]',
    '7',
    '"x"',
    '{"type":5}',
    '{"type":"response.done"}',
  ]) {
    await using call = await talk({ answer: () => ({ pcm: tone(300, 500, 6000), malformed, text: 'Hi there.' }) });
    ask(call.provider);
    await call.provider.until('end');
    if (!malformed.includes('done')) assert.equal(ms(call.provider.speech()), 500, malformed);
    assert.deepEqual(call.provider.failures, []);
  }
});

test('a connection that is lost in the middle of an answer comes back with the conversation', async () => {
  await using call = await talk({
    transcripts: ['Tell me a story', 'And then?'],
    answer: (n) =>
      n === 0
        ? {
            pcm: tone(300, 3000, 6000),
            text: 'Once there was a fox who lived in the wood. He was hungry.',
            cutAfterMs: 1500,
          }
        : { pcm: tone(400, 500, 6000), text: 'The end.' },
  });
  const { provider, server } = call;
  ask(provider);
  await provider.until('end');
  assert.ok(ms(provider.speech()) >= 1500 && ms(provider.speech()) < 3000);
  assert.equal(provider.failures.length, 1);
  assert.match(provider.failures[0] ?? '', /^There is no connection to openai-realtime.*tried again/);
  await waitFor(
    () => server.sessions.length === 2 && server.session.items.length === 2,
    () => 'the replay',
  );
  const [user, avatar] = server.session.known;
  assert.equal(user, 'user: Tell me a story');
  assert.match(avatar ?? '', /^assistant: Once there was a fox/);
  ask(provider);
  await provider.until('end', 2);
  assert.deepEqual(server.session.known.slice(-2), ['user: And then?', 'assistant: The end.']);
  assert.equal(provider.failures.length, 1, 'the loss is told once');
});

test('a question that was not answered when the connection was lost is asked again', async () => {
  for (const detection of ['server_vad', 'mesh']) {
    await using call = await talk(
      { answer: () => ({ pcm: tone(300, 500, 6000), delayMs: 200 }) },
      { TALKMESH_OPENAI_REALTIME_TURN_DETECTION: detection },
    );
    const { provider, server } = call;
    provider.session.push({ kind: 'user.started', preRollMs: 0 });
    ask(provider);
    provider.session.push({ kind: 'user.stopped' });
    await waitFor(
      () => server.answers === 1,
      () => 'the first attempt',
    );
    server.cut();
    // What the user says while there is no connection is heard as well.
    await provider.until('end');
    assert.equal(ms(provider.speech()), 500, detection);
    assert.ok(server.session.heardMs >= 600, `${server.session.heardMs} ms`);
  }
});

test('a server that is away is tried again with growing pauses, and this is told once', async () => {
  const call = await talk({ answer: () => ({ pcm: tone(300, 300, 6000) }) });
  const { provider, server } = call;
  const { port } = server;
  await server[Symbol.asyncDispose]();
  await waitFor(
    () => provider.logLines.filter((line) => line.includes('connecting again')).length >= 4,
    () => 'attempts',
  );
  const waits = provider.logLines.flatMap((line) => (JSON.parse(line) as { waitMs?: number }).waitMs ?? []);
  assert.ok((waits[3] ?? 0) > (waits[0] ?? 0) * 2, `${waits}`);
  assert.equal(provider.failures.length, 1);
  await using back = await RealtimeTestServer.start(server.options, port);
  ask(provider);
  await provider.until('end');
  assert.equal(back.sessions.length, 1);
  await provider[Symbol.asyncDispose]();
});

async function refusal(start: Promise<unknown>): Promise<string> {
  const error = await start.then(
    async (opened) => {
      await (opened as AsyncDisposable)[Symbol.asyncDispose]();
      throw new Error('the session was opened');
    },
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof MeshError, String(error));
  assert.equal(error.reason, 'PROVIDER_FAILED');
  return error.message;
}

test('a wrong key, an unknown model, an empty account and a silent server are refused in words, without the key', async () => {
  const wrong = 'a-planted-key-of-no-known-form';
  const env = { TALKMESH_OPENAI_REALTIME_KEY_FILE: keyFile(wrong) };
  const key = await refusal(talk({ key: 'right' }, env));
  assert.match(
    key,
    /^The key was refused by openai-realtime\. Put a valid key into the file that TALKMESH_OPENAI_REALTIME_KEY_FILE/,
  );
  const echoed = `Incorrect API key provided: ${wrong}. Find yours at the account page.`;
  const told = await refusal(
    talk({ refusal: { code: 'invalid_api_key', type: 'invalid_request_error', message: echoed } }, env),
  );
  assert.ok(!told.includes('planted'), told);
  const model = { code: 'model_not_found', type: 'invalid_request_error', message: 'The model does not exist' };
  assert.match(
    await refusal(talk({ refusal: model })),
    /^The server of openai-realtime does not know .* TALKMESH_OPENAI_REALTIME_MODEL/,
  );
  assert.match(
    await refusal(talk({ silent: true }, { TALKMESH_PROVIDER_DEADLINE_MS: '300' })),
    /no answer within 300 ms/,
  );
});

test('HTTP refusals at the connection are explained, and only temporary ones are tried again', async () => {
  await using server = await RealtimeTestServer.start({ answer: () => ({ pcm: tone(300, 300, 6000) }) });
  const env = { TALKMESH_OPENAI_REALTIME_URL: server.url };
  const open = () => OpenedProvider.open('openai-realtime', env);
  const quota = {
    error: { code: 'insufficient_quota', type: 'insufficient_quota', message: 'You exceeded your current quota' },
  };
  server.refusals.push({ status: 429, body: quota });
  assert.match(await refusal(open()), /^The account of openai-realtime has no quota left\. Check its plan and billing/);
  server.refusals.push({ status: 404, body: '<html>not found</html>' });
  assert.match(await refusal(open()), /does not know this address or model\. Check TALKMESH_OPENAI_REALTIME_URL/);

  await using provider = await open();
  const limited = { error: { code: 'rate_limit_exceeded', type: 'tokens', message: 'Rate limit reached' } };
  server.refusals.push({ status: 429, body: limited }, { status: 429, body: limited }, { status: 503, body: '' });
  server.cut();
  await waitFor(
    () => server.sessions.length === 2,
    () => 'the connection after the rate limit',
  );
  assert.equal(
    provider.failures.filter((text) => /^The rate limit of openai-realtime is reached/.test(text)).length,
    1,
  );
  server.refusals.push({ status: 429, body: quota });
  server.cut();
  await waitFor(
    () => provider.failures.some((text) => /no quota left/.test(text)),
    () => 'the explanation',
  );
  const attempts = server.requests.length;
  await sleep(700);
  assert.equal(server.requests.length, attempts, 'a fatal refusal ends the attempts');
});

test('a failed answer is explained once until the provider works again', async () => {
  const failed = { status: 'failed', error: { code: 'rate_limit_exceeded', type: 'rate_limit' } } as const;
  await using call = await talk({ answer: (n) => (n === 2 ? { pcm: tone(300, 200, 6000) } : failed) });
  for (let n = 0; n < 4; n++) {
    ask(call.provider);
    await waitFor(
      () => call.server.answers === n + 1,
      () => `answer ${n}`,
    );
    await sleep(30);
  }
  await call.provider.until('failed', 2);
  assert.equal(call.provider.failures.length, 2, 'once before the answer that succeeded, once after it');
});

test('the key goes into the header that the deployment names, and a session may bring its own', async () => {
  await using call = await talk(
    { key: 'the-right-key' },
    {
      TALKMESH_OPENAI_REALTIME_KEY_FILE: keyFile('the-right-key'),
      TALKMESH_OPENAI_REALTIME_KEY_HEADER: 'api-key',
    },
  );
  assert.equal(call.server.requests[0]?.headers['api-key'], 'the-right-key');
  assert.equal(call.server.requests[0]?.headers.authorization, undefined);

  await using own = await talk({ key: 'own-key-of-this-session' }, {}, { key: 'own-key-of-this-session' });
  assert.equal(own.server.requests[0]?.headers.authorization, 'Bearer own-key-of-this-session');
  assert.ok(!own.provider.logLines.join('').includes('own-key'), 'keys are not logged');
});
