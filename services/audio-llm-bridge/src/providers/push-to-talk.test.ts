/** With push-to-talk every provider answers what was committed, and forgets what was withdrawn. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CascadeTestServer } from '../testing/cascade-server.js';
import { GeminiTestServer } from '../testing/gemini-server.js';
import { OpenedProvider, openWithServer, waitFor } from '../testing/open-provider.js';
import { talk } from '../testing/realtime-call.js';
import { tone } from '../testing/tone.js';

const OPTIONS = { choices: { input: 'push-to-talk' } } as const;
const ms = (pcm: Int16Array): number => pcm.length / 24;

function say(
  provider: OpenedProvider,
  pitchHz: number,
  durationMs: number,
  end: 'user.stopped' | 'user.withdrawn',
): void {
  provider.session.push({ kind: 'user.started', preRollMs: 0 });
  provider.hear(tone(pitchHz, durationMs, 6000));
  provider.session.push({ kind: end });
  provider.hear(new Int16Array(24 * 300));
}

test('parrot', async () => {
  await using provider = await OpenedProvider.open('parrot', { TALKMESH_PARROT_SEMITONES: '0' }, OPTIONS);
  say(provider, 300, 1000, 'user.withdrawn');
  say(provider, 200, 600, 'user.stopped');
  await provider.until('end');
  assert.equal(provider.of('end').length, 1);
  assert.ok(Math.abs(ms(provider.speech()) - 600) < 50);
});

test('openai-realtime: the server detects no turns, although the deployment asks it to', async () => {
  const answer = () => ({ text: 'Well.', pcm: tone(300, 500, 6000) });
  await using call = await talk({ transcripts: ['How are you?'], answer }, {}, OPTIONS);
  const { provider, server } = call;
  say(provider, 300, 1000, 'user.withdrawn');
  say(provider, 200, 600, 'user.stopped');
  await provider.until('end');
  const types = server.session.received.map(({ type }) => type);
  assert.equal(types.filter((type) => type === 'response.create').length, 1);
  assert.equal(types.filter((type) => type === 'input_audio_buffer.commit').length, 1);
  assert.ok(types.lastIndexOf('input_audio_buffer.clear') < types.indexOf('input_audio_buffer.commit'));
  assert.deepEqual([provider.of('user'), provider.failures, server.session.errors], [[], [], []]);
});

test('gemini-live: what is said is sent when it is committed, because the protocol cannot take it back', async () => {
  const server = await GeminiTestServer.start({ answer: () => ({ pcm: tone(300, 500, 6000), text: 'Well.' }) });
  const settings = { TALKMESH_GEMINI_LIVE_URL: server.url };
  await using call = await openWithServer(server, 'gemini-live', settings, OPTIONS);
  say(call.provider, 300, 1000, 'user.withdrawn');
  say(call.provider, 200, 600, 'user.stopped');
  await call.provider.until('end');
  assert.deepEqual(
    server.connection.utterances.map((samples) => Math.round(samples / 16 / 100)),
    [6],
  );
});

test('cascade', async () => {
  const server = await CascadeTestServer.start({ transcripts: ['How are you?'], chat: () => ({ text: 'Well.' }) });
  const settings = {
    TALKMESH_CASCADE_URL: server.url,
    TALKMESH_CASCADE_CHAT_MODEL: 'llama',
    TALKMESH_CASCADE_SPEECH_MODEL: 'kokoro',
  };
  await using call = await openWithServer(server, 'cascade', settings, OPTIONS);
  say(call.provider, 300, 1000, 'user.withdrawn');
  say(call.provider, 200, 600, 'user.stopped');
  await call.provider.until('end');
  assert.equal(server.requests.filter(({ step }) => step === 'transcriptions').length, 1);
  await waitFor(
    () => call.provider.said[0] === 'user: How are you?',
    () => call.provider.said.join(),
  );
});
