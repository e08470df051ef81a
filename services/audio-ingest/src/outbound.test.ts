import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AudioMessage, decodeAudio, newSessionId } from '@talkmesh/contracts';
import { Outbound, type Speaking } from './outbound.js';

const sessionId = newSessionId();
const message = (sequence: number): AudioMessage => ({
  ...{ sessionId, epoch: 0, turn: 0, chunk: 0, mediaTimeUs: 0, deadlineUs: 0, sequence },
  ...{ sampleRateHz: 24_000, pcm: new Int16Array(480), fromSample: 0, endOfTurn: false },
});
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A connection that can be lost: what is published then reaches nobody. */
class Wire implements Speaking {
  readonly heard: number[] = [];
  losses = 0;
  connected = true;
  #listener: (awayMs: number) => void = () => undefined;

  publish(_stream: string, _sessionId: string, payload: Uint8Array): void {
    if (this.connected) this.heard.push(decodeAudio(payload).sequence);
  }

  publishEvent(): void {}

  async flush(): Promise<void> {
    if (!this.connected) throw new Error('away');
  }

  onReconnect(listener: (awayMs: number) => void): { unsubscribe(): void } {
    this.#listener = listener;
    return { unsubscribe: () => undefined };
  }

  lose(): void {
    this.connected = false;
    this.losses += 1;
  }

  /** The connection is back before anybody is told. */
  restore(): void {
    this.connected = true;
  }

  tell(): void {
    this.#listener(0);
  }
}

test('what was not confirmed when NATS went away is said again, in order and before anything new', async () => {
  const wire = new Wire();
  const outbound = new Outbound(wire, sessionId);
  outbound.mic(message(0));
  await pause(600);
  outbound.mic(message(1));
  wire.lose();
  outbound.mic(message(2));
  assert.ok(outbound.broken);
  await assert.rejects(outbound.reachable(AbortSignal.timeout(20)), { name: 'TimeoutError' });
  const waiting = outbound.reachable(new AbortController().signal);
  wire.restore();
  outbound.mic(message(3));
  assert.deepEqual(wire.heard, [0, 1], 'nothing overtakes what waits');
  wire.tell();
  await waiting;
  outbound.mic(message(4));
  assert.deepEqual(wire.heard, [0, 1, 1, 2, 3, 4]);
  outbound.close();
});
