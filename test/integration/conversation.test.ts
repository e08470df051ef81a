/** A whole call with a speech-to-speech provider: the real mesh, and a server of the Realtime protocol on a real socket. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { MeshEvent } from '@talkmesh/contracts';
import { until } from '@talkmesh/service-kit/testing';
import { type Mesh, startMesh } from '../../deploy/local/src/mesh.js';
import { RealtimeTestServer, type TestAnswer } from '../../services/audio-llm-bridge/src/testing/realtime-server.js';
import { tone } from '../../services/audio-llm-bridge/src/testing/tone.js';
import { CallTap } from '../support/call-tap.js';
import { firstAvatar } from '../support/nano.js';
import { rest } from '../support/record-call.js';
import { ROOMY } from '../support/roomy.js';
import { concatenate, silence, speak } from '../support/speech.js';
import { watchCall } from '../support/watch-call.js';

const PATIENCE_MS = 90_000;
/** Made at run time, so that it can be looked for in everything that the mesh writes. */
const OWN_KEY = `planted-${randomBytes(16).toString('hex')}`;
const ROLE = `You are Captain ${randomBytes(8).toString('hex')}.`;
const WEATHER = { name: 'weather', description: 'Tells the weather of a city', parameters: { type: 'object' } };

let answers: TestAnswer[] = [];
let server: RealtimeTestServer;
let mesh: Mesh;
before(async () => {
  server = await RealtimeTestServer.start({
    key: OWN_KEY,
    transcripts: ['What is the weather in Oslo?', 'Stop it.', 'Are you still there?'],
    answer: () => answers.shift() ?? { pcm: tone(300, 500, 6000), text: 'Yes?' },
  });
  const bridge = {
    TALKMESH_OPENAI_REALTIME_URL: server.url.replace('http:', 'ws:'),
    TALKMESH_SESSION_CHOICES: 'instructions,tools,key',
    TALKMESH_LOG_LEVEL: 'trace',
  };
  const gateway = { TALKMESH_LOG_LEVEL: 'trace', TALKMESH_DEFAULT_PROVIDER: 'openai-realtime' };
  mesh = await startMesh({ quiet: true, env: { ...ROOMY, 'audio-llm-bridge': bridge, gateway } });
});
after(async () => {
  await mesh?.stop();
  await mesh?.removeLogs();
  await server?.[Symbol.asyncDispose]();
});

type Told<T extends MeshEvent['type']> = Extract<MeshEvent, { readonly type: T }>;

async function event<T extends MeshEvent['type']>(
  tap: CallTap,
  type: T,
  fits: (event: Told<T>) => boolean = () => true,
): Promise<Told<T>> {
  const find = () => tap.events.find((told): told is Told<T> => told.type === type && fits(told as Told<T>));
  await until(type, () => find() !== undefined, PATIENCE_MS);
  return find() as Told<T>;
}

test('a question, a tool call, an answer, and an interruption that the model learns to the position heard', {
  timeout: 300_000,
}, async () => {
  answers = [
    { tools: [{ id: 'call-1', name: 'weather', arguments: '{"city":"Oslo"}' }] },
    { pcm: tone(300, 20_000, 6000), text: 'It is cold in Oslo. '.repeat(20) },
  ];
  const wanted = { provider: undefined, instructions: ROLE, tools: [WEATHER], providerKey: OWN_KEY };
  await using call = await watchCall(mesh, firstAvatar.id, wanted);
  await using tap = await CallTap.open(mesh, call.sessionId);
  await until('the picture', () => (tap.playhead?.chunk ?? 0) >= 2, PATIENCE_MS);
  const ask = (words: string) => call.say(concatenate(speak(words), silence(1)));

  const asking = ask('What is the weather in Oslo?');
  const { callId, name, arguments: given } = await event(tap, 'tool.call');
  assert.deepEqual([callId, name, given], ['call-1', 'weather', '{"city":"Oslo"}']);
  const path = `/v1/sessions/${call.sessionId}/tool-results`;
  const answer = { callId, output: { celsius: -5 } };
  assert.equal((await rest(mesh, 'POST', path, answer)).status, 204);
  assert.equal((await rest(mesh, 'POST', path, answer)).status, 404, 'a call is answered once');
  await asking;
  await until('the answer', () => (tap.playhead?.turnPlayedMs ?? 0) > 1500, PATIENCE_MS);
  assert.ok(server.session.known.includes('function_call_output: call-1 {"celsius":-5}'));

  await ask('Stop it.');
  const finished = await event(tap, 'turn.finished', ({ turn }) => turn === 1);
  assert.equal(finished.interrupted, true);
  const cut = server.session.items.find(({ truncated }) => truncated);
  const heardMs = Math.max(
    0,
    ...tap.playheads.map(({ playhead }) => (playhead.turn === 1 ? playhead.turnPlayedMs : 0)),
  );
  assert.ok(cut !== undefined && cut.ms >= 1500, `${cut?.ms} ms are kept`);
  // The playhead is reported about six times a second, and goes on until the interruption has reached the viewer.
  assert.ok(cut.ms <= heardMs && heardMs - cut.ms < 1500, `${cut.ms} ms are kept of ${heardMs} ms heard`);
  await event(tap, 'turn.finished', ({ turn }) => turn === 2);

  const said = tap.events.flatMap((told) =>
    told.type === 'transcript' && told.final ? [`${told.role} ${told.turn}: ${told.text}`] : [],
  );
  assert.deepEqual(
    said.filter((text) => text.startsWith('user')),
    ['user 1: What is the weather in Oslo?', 'user 2: Stop it.'],
    'a question has the number of the turn that answers it',
  );
  assert.ok(said.includes('avatar 2: Yes?'));
  assert.deepEqual(server.session.errors, []);
  assert.equal((server.session.config as { instructions?: string }).instructions, ROLE);

  const logs = readdirSync(mesh.logFolder).map((file) => readFileSync(join(mesh.logFolder, file), 'utf8'));
  assert.ok(
    logs.some((text) => text.includes(call.sessionId)),
    'the logs were read',
  );
  for (const text of logs) assert.ok(!text.includes(OWN_KEY) && !text.includes(ROLE), 'secrets stay out of the logs');
});
