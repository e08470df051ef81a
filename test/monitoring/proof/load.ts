import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkerName } from '@talkmesh/contracts';
import { until } from '@talkmesh/service-kit/testing';
import type { Mesh } from '../../../deploy/local/src/mesh.js';
import { CallTap } from '../../support/call-tap.js';
import { firstAvatar } from '../../support/nano.js';
import { rest } from '../../support/record-call.js';
import { concatenate, silence, speak } from '../../support/speech.js';
import { isWhole } from '../../support/spoken-call.js';
import { type WatchCall, watchCall } from '../../support/watch-call.js';

const PATIENCE_MS = 180_000;
const QUESTIONS = [
  'What is the weather in Oslo today?',
  // The answer must be long enough for mouth and sound to be compared.
  'Will it rain tomorrow, and do I need an umbrella when I walk through the park with my dog in the evening, or will it only rain at night?',
].map((text) => concatenate(speak(text), silence(1.5)));
const LINE = 'Good morning. One, two, three, four, five, six, seven, eight, nine, ten, eleven, twelve.';
/** As the client SDK reports how a call plays. */
const QUALITY = {
  ...{ watchedMs: 10_000, avSkewMs: [5, -8, 12, 3], freezes: 0, frozenMs: 0, jitterMs: 4 },
  ...{ pictureDelayMs: 60, soundDelayMs: 55, firstFrameMs: 700 },
};

/** Two calls: in one a user speaks to the parrot, the other says typed lines while its microphone hums. */
export class Load implements AsyncDisposable {
  readonly parrot: WatchCall;
  readonly #mesh: Mesh;
  readonly #reader: WatchCall;
  readonly #tap: CallTap;
  readonly #readerTap: CallTap;
  readonly #events = new AbortController();

  static async start(mesh: Mesh): Promise<Load> {
    const parrot = await watchCall(mesh, firstAvatar.id, { provider: 'parrot' });
    const reader = await watchCall(mesh, firstAvatar.id, { provider: 'external' });
    const taps = [await CallTap.open(mesh, parrot.sessionId), await CallTap.open(mesh, reader.sessionId)] as const;
    const load = new Load(mesh, parrot, reader, taps);
    for (const { sessionId } of [parrot, reader]) await load.#follow(sessionId);
    for (const tap of taps) await until('the picture', () => (tap.playhead?.chunk ?? 0) >= 2, PATIENCE_MS);
    return load;
  }

  private constructor(mesh: Mesh, parrot: WatchCall, reader: WatchCall, taps: readonly [CallTap, CallTap]) {
    this.#mesh = mesh;
    this.parrot = parrot;
    this.#reader = reader;
    [this.#tap, this.#readerTap] = taps;
  }

  /** Questions and answers, lines with an interrupt and a pause, reports of viewers. */
  async quiet(): Promise<void> {
    await this.#reader.hum();
    for (const question of QUESTIONS) {
      await Promise.all([this.#ask(question), this.#interruptedLine()]);
      for (const { sessionId } of [this.parrot, this.#reader]) {
        const { status } = await rest(this.#mesh, 'POST', `/v1/sessions/${sessionId}/quality`, QUALITY);
        assert.equal(status, 204);
      }
    }
  }

  /** A score worker is killed three times in the middle of speech, a decoder stands still, a WebRTC process dies, a request is refused. */
  async incident(): Promise<void> {
    for (let round = 0; round < 3; round++) {
      await until('all workers', () => isWhole(this.#mesh), PATIENCE_MS);
      await this.#say();
      const { pid, instanceId } = await this.#worker('score-model');
      process.kill(pid, 'SIGKILL');
      await until('a new score worker', async () => (await this.#placed('score-model')) !== instanceId, PATIENCE_MS);
      await rest(this.#mesh, 'POST', `/v1/sessions/${this.#reader.sessionId}/interrupt`);
    }
    await until('all workers', () => isWhole(this.#mesh), PATIENCE_MS);
    await this.#say();
    const decoder = await this.#worker('vae-decode');
    process.kill(decoder.pid, 'SIGSTOP');
    await sleep(1500);
    process.kill(decoder.pid, 'SIGCONT');
    const refused = { avatar: firstAvatar.id, provider: 'nothing', output: 'webrtc' };
    assert.ok((await rest(this.#mesh, 'POST', '/v1/sessions', refused)).status >= 400);
    await sleep(5000);
  }

  async #ask(question: Int16Array): Promise<void> {
    const answered = this.#finished(this.#tap);
    await this.parrot.say(question);
    const isAnswered = (): boolean => this.#finished(this.#tap) > answered;
    await until('the answer', isAnswered, PATIENCE_MS).catch((cause: unknown) => {
      const events = this.#tap.events.map(({ type, turn }) => `${type} ${turn}`).join(', ');
      throw new Error(`the parrot did not answer: ${events}`, { cause });
    });
  }

  async #interruptedLine(): Promise<void> {
    await this.#say();
    const path = `/v1/sessions/${this.#reader.sessionId}`;
    await rest(this.#mesh, 'POST', `${path}/pause`);
    await sleep(1000);
    await rest(this.#mesh, 'POST', `${path}/resume`);
    await sleep(1500);
    await rest(this.#mesh, 'POST', `${path}/interrupt`);
  }

  /** Resolves when half a second of a new line was heard. */
  async #say(): Promise<void> {
    const turn = this.#readerTap.playhead?.turn ?? 0;
    const said = await rest(this.#mesh, 'POST', `/v1/sessions/${this.#reader.sessionId}/say`, { text: LINE });
    assert.ok(said.status < 300, `say: ${said.status}`);
    const isHeard = (): boolean => {
      const at = this.#readerTap.playhead;
      return at !== undefined && at.turn > turn && at.turnPlayedMs > 500;
    };
    await until('the line', isHeard, PATIENCE_MS);
  }

  #finished(tap: CallTap): number {
    return tap.events.filter(({ type }) => type === 'turn.finished').length;
  }

  async #placed(service: WorkerName): Promise<string> {
    const { body } = await rest<{ placement: Record<WorkerName, string> }>(
      this.#mesh,
      'GET',
      `/v1/sessions/${this.#reader.sessionId}`,
    );
    return body.placement[service];
  }

  async #worker(service: WorkerName): Promise<{ pid: number; instanceId: string }> {
    const placed = await this.#placed(service);
    const found = this.#mesh.services.find(({ instanceId }) => instanceId === placed);
    assert.ok(found, `no process of ${placed}`);
    return found;
  }

  /** As a program follows the events of its sessions. */
  async #follow(sessionId: string): Promise<void> {
    const { signal } = this.#events;
    const answer = await fetch(new URL(`/v1/sessions/${sessionId}/events`, this.#mesh.httpUrl), {
      headers: { authorization: `Bearer ${this.#mesh.apiKey}` },
      signal,
    });
    assert.equal(answer.status, 200);
    answer.body?.pipeTo(new WritableStream(), { signal }).catch(() => undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#events.abort();
    for (const tap of [this.#tap, this.#readerTap]) await tap[Symbol.asyncDispose]();
    for (const call of [this.parrot, this.#reader]) await call[Symbol.asyncDispose]();
  }
}
