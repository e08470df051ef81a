/** An app of the OpenAI Realtime protocol, with the official client, in front of the real mesh: it speaks, sees and hears the avatar answer, and cancels. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '@talkmesh/service-kit/testing';
import { TestPeer } from '@talkmesh/webrtc/testing';
import { OpenAIRealtimeWS } from 'openai/realtime/ws';
import type { RealtimeClientEvent, RealtimeServerEvent } from 'openai/resources/realtime/realtime';
import { type Mesh, startMesh } from '../../deploy/local/src/mesh.js';
import { ROOMY } from '../support/roomy.js';
import { concatenate, silence, speak } from '../support/speech.js';

const PATIENCE_MS = 60_000;
let mesh: Mesh;
before(async () => {
  mesh = await startMesh({ quiet: true, env: ROOMY });
});
after(async () => {
  await mesh?.stop();
});

type Event = RealtimeServerEvent | { readonly type: 'session.avatar.connecting'; readonly server_sdp: string };

class App implements Disposable {
  readonly events: Event[] = [];
  readonly #client: OpenAIRealtimeWS;
  #microphone = true;

  constructor() {
    const { hostname, port } = new URL(mesh.httpUrl);
    // The client always uses TLS; the socket is replaced by a plain one.
    const options = { createConnection: () => connect({ host: hostname, port: Number(port) }) };
    this.#client = new OpenAIRealtimeWS(
      { model: 'parrot', options },
      { apiKey: mesh.apiKey, baseURL: `http://${hostname}:${port}/v1` },
    );
    this.#client.on('event', (event) => this.events.push(event as Event));
    this.#client.on('error', () => undefined);
  }

  send(event: object): void {
    this.#client.send(event as RealtimeClientEvent);
  }

  of<T extends Event['type']>(type: T): Extract<Event, { type: T }>[] {
    return this.events.filter((event): event is Extract<Event, { type: T }> => event.type === type);
  }

  async next<T extends Event['type']>(type: T, count = 1): Promise<Extract<Event, { type: T }>> {
    await until(`${type} ${count}`, () => this.of(type).length >= count, PATIENCE_MS).catch((error: Error) =>
      assert.fail(`${error.message}: ${this.events.map((event) => event.type).join(' ')}`),
    );
    return this.of(type)[count - 1] as Extract<Event, { type: T }>;
  }

  /** Sends the microphone as apps do: 20 ms at a time, in real time, silence included. */
  async speak(pcm: Int16Array): Promise<void> {
    const startMs = performance.now();
    for (let at = 0, sentMs = 0; at < pcm.length && this.#microphone; at += 480, sentMs += 20) {
      const piece = pcm.subarray(at, at + 480);
      const audio = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength).toString('base64');
      this.send({ type: 'input_audio_buffer.append', audio });
      await sleep(Math.max(0, startMs + sentMs - performance.now()));
    }
  }

  [Symbol.dispose](): void {
    this.#microphone = false;
    this.#client.close();
  }
}

async function connectAvatar(app: App, peer: TestPeer): Promise<void> {
  app.send({ type: 'session.avatar.connect', client_sdp: await peer.offer({ receive: ['video', 'audio'] }) });
  await peer.accept((await app.next('session.avatar.connecting')).server_sdp);
  await peer.until(({ frames }) => frames > 10);
}

test('a spoken question is answered with a face; a cancelled answer ends where it was heard', {
  timeout: 180_000,
}, async () => {
  await using peer = new TestPeer();
  using app = new App();
  await app.next('session.created');
  await connectAvatar(app, peer);

  const question = speak('Hello there, how are you doing on this long and very sunny day? I hope that you are fine.');
  const talking = app.speak(concatenate(silence(0.5), question, silence(60)));
  await app.next('input_audio_buffer.speech_started');
  await app.next('input_audio_buffer.committed');
  const { response } = await app.next('response.created');
  await app.next('output_audio_buffer.started');
  const done = await app.next('response.done');
  assert.equal(done.response.id, response.id);
  assert.equal(app.of('response.output_audio.delta').length, 0, 'the audio came by WebRTC');
  await peer.until(({ loudBlocks }) => loudBlocks > 20);

  app.send({ type: 'response.cancel' });
  const cut = await app.next('conversation.item.truncated');
  const spokenMs = question.length / 24;
  assert.ok(cut.audio_end_ms > 0 && cut.audio_end_ms < spokenMs, `${cut.audio_end_ms} of ${spokenMs} ms`);
  await app.next('output_audio_buffer.cleared');
  assert.deepEqual(app.of('error'), []);
  void talking;
});

test('an app that ends turns itself gets the answer for its committed audio, as deltas that are the answer', {
  timeout: 180_000,
}, async () => {
  await using peer = new TestPeer();
  using app = new App();
  await app.next('session.created');
  const session = { type: 'realtime', audio: { input: { turn_detection: null } }, avatar: { audio_deltas: true } };
  app.send({ type: 'session.update', session });
  await app.next('session.updated');
  await connectAvatar(app, peer);
  const words = speak('One, two, three, four.');
  // A push-to-talk app may send the whole utterance at once.
  const audio = Buffer.from(concatenate(silence(0.3), words).buffer).toString('base64');
  app.send({ type: 'input_audio_buffer.append', audio });
  app.send({ type: 'input_audio_buffer.commit' });
  app.send({ type: 'response.create' });
  await app.next('response.done');
  await app.next('output_audio_buffer.stopped');
  const bytes = app
    .of('response.output_audio.delta')
    .reduce((sum, { delta }) => sum + Buffer.from(delta, 'base64').length, 0);
  const [answeredMs, spokenMs] = [bytes / 48, words.length / 24];
  assert.ok(Math.abs(answeredMs - spokenMs) < 600, `${answeredMs} ms of answer to ${spokenMs} ms of words`);
  assert.deepEqual(app.of('input_audio_buffer.speech_started'), [], 'the app said so itself');

  const message = { content: [{ type: 'text', text: 'And five.' }] };
  app.send({ type: 'response.create', response: { pre_generated_assistant_message: message } });
  await app.next('response.done', 2);
  assert.equal((await app.next('response.output_audio_transcript.done', 2)).transcript, 'And five.');
});

test('a connection that vanishes ends its session', { timeout: 60_000 }, async () => {
  const app = new App();
  await app.next('session.created');
  app.send({ type: 'input_audio_buffer.append', audio: Buffer.alloc(960).toString('base64') });
  const sessions = async (): Promise<number> => {
    const answer = await fetch(`${mesh.httpUrl}/v1/sessions`, { headers: { authorization: `Bearer ${mesh.apiKey}` } });
    return ((await answer.json()) as { sessions: unknown[] }).sessions.length;
  };
  await until('the session', async () => (await sessions()) === 1, PATIENCE_MS);
  app[Symbol.dispose]();
  await until('its end', async () => (await sessions()) === 0, PATIENCE_MS);
});
