import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AudioMessage, decodeAudio, newSessionId } from '@talkmesh/contracts';
import { type IngestBus, Outbound } from './outbound.js';

const sessionId = newSessionId();
const message = (sequence: number): AudioMessage => ({
  ...{ sessionId, epoch: 0, turn: 0, chunk: 0, mediaTimeUs: 0, deadlineUs: 0, sequence },
  ...{ sampleRateHz: 24_000, pcm: new Int16Array(480), fromSample: 0, endOfTurn: false },
});
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A bus whose connection can be lost; messages published meanwhile are discarded. */
class FakeBus implements IngestBus {
  readonly received: number[] = [];
  losses = 0;
  connected = true;
  #listener: (awayMs: number) => void = () => undefined;

  publish(_stream: string, _sessionId: string, payload: Uint8Array): void {
    if (this.connected) this.received.push(decodeAudio(payload).sequence);
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

  /** Restores the connection before the listeners are notified. */
  restore(): void {
    this.connected = true;
  }

  notifyReconnected(): void {
    this.#listener(0);
  }
}

test('messages not confirmed when NATS disconnects are republished in order, before anything new', async () => {
  const bus = new FakeBus();
  const outbound = new Outbound(bus, sessionId);
  outbound.mic(message(0));
  await pause(600);
  outbound.mic(message(1));
  bus.lose();
  outbound.mic(message(2));
  assert.ok(outbound.broken);
  await assert.rejects(outbound.reachable(AbortSignal.timeout(20)), { name: 'TimeoutError' });
  const waiting = outbound.reachable(new AbortController().signal);
  bus.restore();
  outbound.mic(message(3));
  assert.deepEqual(bus.received, [0, 1], 'new messages do not overtake waiting ones');
  bus.notifyReconnected();
  await waiting;
  outbound.mic(message(4));
  assert.deepEqual(bus.received, [0, 1, 1, 2, 3, 4]);
  outbound.close();
});
