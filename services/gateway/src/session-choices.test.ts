/** What a session chooses of its conversation: it reaches the bridge, and a key of its own reaches nothing else. */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { Metadata } from '@grpc/grpc-js';
import { MeshError, SESSIONS_BUCKET, type SessionRecord, v1 } from '@talkmesh/contracts';
import { callUnary, connectClient } from '@talkmesh/service-kit';
import { API_KEY, FakeMesh } from './testing/fake-mesh.js';

let mesh: FakeMesh;
before(async () => {
  mesh = await FakeMesh.start({ TALKMESH_DEFAULT_PROVIDER: 'openai-realtime' });
});
after(() => mesh?.[Symbol.asyncDispose]());
afterEach(async () => {
  for (const { id, state } of await records()) if (state !== 'ended') await mesh.call('DELETE', `/v1/sessions/${id}`);
});

const TOOL = { name: 'weather', description: 'Tells the weather', parameters: { type: 'object', properties: {} } };
const CHOICES = { instructions: 'You are a pirate.', voice: 'marin', language: 'pt-BR', tools: [TOOL] };
const PLANTED = 'sk-planted-in-this-test-0123456789';

const bridgeOf = (session: string) => mesh.workers['audio-llm-bridge'].opened.get(session)?.bridge;

/** Everything that the gateway keeps of its sessions. */
async function records(): Promise<SessionRecord[]> {
  const bucket = await mesh.gateway.context.bus.kv(SESSIONS_BUCKET, { ttlMs: 60_000 });
  return (await bucket.list()).map(({ value }) => value as SessionRecord);
}

test('choices reach the bridge over REST and gRPC alike, and a session without wishes has the default provider', async () => {
  const { session } = await mesh.session({
    ...CHOICES,
    provider: 'cascade',
    providerKey: PLANTED,
    input: 'push-to-talk',
  });
  const expected = {
    ...{ provider: 'cascade', voice: 'marin', instructions: 'You are a pirate.', language: 'pt-BR' },
    tools: [{ name: 'weather', description: TOOL.description, parametersJson: JSON.stringify(TOOL.parameters) }],
    ...{ providerKey: PLANTED, ownKey: true, input: 'push-to-talk' },
  };
  assert.deepEqual({ ...bridgeOf(session) }, expected);

  const client = connectClient(v1.SessionService, mesh.gateway.grpcAddress);
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${API_KEY}`);
  const options = { deadlineMs: 5000, metadata };
  const { ownKey: _, ...wished } = expected;
  const wanted = { avatar: 'ada', ...wished };
  const created = await callUnary<object, { session: { id: string } }>(client, 'createSession', wanted, options);
  assert.deepEqual({ ...bridgeOf(created.session.id) }, expected);
  const badTool = { ...wanted, tools: [{ name: 'weather', description: '', parametersJson: '{' }] };
  await assert.rejects(callUnary(client, 'createSession', badTool, options), /parameters_json of weather is not valid/);

  const answer = { sessionId: created.session.id, callId: 'call-1', output: '{"celsius":3}' };
  await callUnary(client, 'answerTool', answer, options);
  assert.deepEqual(mesh.workers['audio-llm-bridge'].toolResults.at(-1)?.output, '{"celsius":3}');
  client.close();

  const ingest = (id: string) => mesh.workers['audio-ingest'].opened.get(id)?.ingest;
  assert.deepEqual(ingest(session), { vad: false }, 'commands say when the user speaks');

  const plain = await mesh.session();
  assert.deepEqual([ingest(plain.session), bridgeOf(plain.session)?.input], [{ vad: true }, 'voice-activity']);
  assert.equal(bridgeOf(plain.session)?.provider, 'openai-realtime');
  assert.equal(bridgeOf(plain.session)?.ownKey, false);
});

test('the own key of a session is in no record and no answer, also when the session cannot be opened', async () => {
  const bridge = mesh.workers['audio-llm-bridge'];
  let answers = '';
  try {
    const { session } = await mesh.session({ providerKey: PLANTED, instructions: 'A secret role.' });
    answers += JSON.stringify((await mesh.call('GET', `/v1/sessions/${session}`)).body);
    bridge.onOpen = async () => {
      throw new MeshError('PROVIDER_FAILED', 'The key was refused.');
    };
    const failed = await mesh.call('POST', '/v1/sessions', { body: { avatar: 'ada', providerKey: PLANTED } });
    assert.equal(failed.status, 502);
    answers += JSON.stringify(failed.body);
    const wrong = await mesh.call('POST', '/v1/sessions', { body: { avatar: 'ada', providerKey: `${PLANTED} x` } });
    assert.equal(wrong.status, 400);
    answers += JSON.stringify(wrong.body);
  } finally {
    bridge.onOpen = async () => undefined;
  }
  const stored = JSON.stringify(await records());
  assert.ok(stored.includes('"ownKey":true') && stored.includes('A secret role.'), 'the records were read');
  for (const text of [stored, answers]) assert.ok(!text.includes('planted'));
  assert.ok(!answers.includes('secret role'), 'the instructions are for the model only');
});

test('choices out of bounds are refused with the field', async () => {
  const refusal = async (body: object): Promise<unknown> => {
    const answer = await mesh.call('POST', '/v1/sessions', { body: { avatar: 'ada', ...body } });
    assert.equal(answer.status, 400);
    return answer.body['detail'];
  };
  assert.match(String(await refusal({ language: 'english!' })), /language: is a BCP 47 tag/i);
  assert.match(String(await refusal({ tools: [{ name: 'no spaces' }] })), /tools\.0\.name/i);
  assert.match(String(await refusal({ tools: [TOOL, TOOL] })), /tools: have the same name twice/i);
  assert.match(String(await refusal({ instructions: 'x'.repeat(20_001) })), /instructions/i);
});

test('a tool result is text or JSON, is given by the key or by the token of the session, and unknown calls are told', async () => {
  const { session, token } = await mesh.session();
  const other = await mesh.session();
  const path = `/v1/sessions/${session}/tool-results`;
  const body = { callId: 'call-1', output: { celsius: 3 } };
  assert.equal((await mesh.call('POST', path, { body, bearer: token })).status, 204);
  assert.equal((await mesh.call('POST', path, { body: { ...body, output: 'cold' } })).status, 204);
  const results = mesh.workers['audio-llm-bridge'].toolResults.filter(({ sessionId }) => sessionId === session);
  assert.deepEqual(
    results.map(({ output }) => output),
    ['{"celsius":3}', 'cold'],
  );
  assert.equal((await mesh.call('POST', path, { body, bearer: other.token })).status, 403);
  assert.equal((await mesh.call('POST', path, { body: { ...body, callId: 'old' } })).status, 404);
  assert.equal((await mesh.call('POST', path, { body: { callId: 'call-1' } })).status, 400);
});

test('a provider that refuses a session is not tried through every bridge', async () => {
  const second = await mesh.addWorker({ service: 'audio-llm-bridge' });
  let attempts = 0;
  const bridges = [second, mesh.workers['audio-llm-bridge']];
  for (const bridge of bridges)
    bridge.onOpen = async () => {
      attempts += 1;
      throw new MeshError('PROVIDER_FAILED', 'The key was refused by openai-realtime.');
    };
  const { status, body } = await mesh.call('POST', '/v1/sessions', { body: { avatar: 'ada' } });
  for (const bridge of bridges) bridge.onOpen = async () => undefined;
  assert.deepEqual([status, body['detail'], attempts], [502, 'The key was refused by openai-realtime.', 1]);
});
