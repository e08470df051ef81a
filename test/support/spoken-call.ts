import assert from 'node:assert/strict';
import type { WorkerName } from '@talkmesh/contracts';
import type { Mesh } from '../../deploy/local/src/mesh.js';
import { CallTap } from './call-tap.js';
import { firstAvatar, nano } from './nano.js';
import { type PacedCall, startPacedCall } from './paced-call.js';
import { rest } from './record-call.js';
import { waitUntil } from './waiting.js';

export const PATIENCE_MS = 90_000;

interface Told {
  readonly state: string;
  readonly placement: Readonly<Record<WorkerName, string>>;
}

/** A fresh call that speaks its first turn, with everything it sends seen from the side. */
export class SpokenCall implements AsyncDisposable {
  readonly call: PacedCall;
  readonly tap: CallTap;
  readonly #mesh: Mesh;

  private constructor(mesh: Mesh, call: PacedCall, tap: CallTap) {
    this.#mesh = mesh;
    this.call = call;
    this.tap = tap;
  }

  /** Settles when a second of the turn was heard. */
  static async start(mesh: Mesh, speech: Int16Array): Promise<SpokenCall> {
    await waitUntil('all workers', () => isWhole(mesh), PATIENCE_MS);
    const call = await startPacedCall(mesh, firstAvatar.id, nano.fps);
    const spoken = new SpokenCall(mesh, call, await CallTap.open(mesh, call.sessionId));
    try {
      call.say(speech);
      await waitUntil('the voice', () => (spoken.tap.playhead?.turnPlayedMs ?? 0) > 1000, PATIENCE_MS);
    } catch (error) {
      await spoken[Symbol.asyncDispose]();
      throw error;
    }
    return spoken;
  }

  async look(): Promise<Told> {
    return (await rest<Told>(this.#mesh, 'GET', `/v1/sessions/${this.call.sessionId}`)).body;
  }

  async workerOf(service: WorkerName): Promise<string> {
    return (await this.look()).placement[service];
  }

  async signal(service: WorkerName, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const instanceId = await this.workerOf(service);
    const found = this.#mesh.services.find((candidate) => candidate.instanceId === instanceId);
    assert.ok(found, `no process of ${instanceId}`);
    process.kill(found.pid, signal);
  }

  get moves(): string[] {
    return this.tap.events.flatMap((event) =>
      event.type === 'stage.moved' ? [`${event.service} ${event.cause}`] : [],
    );
  }

  /** Turns that were told to be over, with whether they were cut. */
  get finished(): [turn: number, interrupted: boolean][] {
    return this.tap.events.flatMap((event) =>
      event.type === 'turn.finished' ? [[event.turn, event.interrupted] as [number, boolean]] : [],
    );
  }

  async over(turns = 1): Promise<void> {
    const isOver = (): boolean =>
      this.finished.length >= turns || this.tap.events.some(({ type }) => type === 'session.ended');
    await waitUntil('the end of the turn', isOver, PATIENCE_MS);
    assert.equal((await this.look()).state, 'open', JSON.stringify(this.tap.events));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.call[Symbol.asyncDispose]();
    await this.tap[Symbol.asyncDispose]();
  }
}

export const isWhole = (mesh: Mesh): boolean => mesh.services.every(({ instanceId }) => instanceId !== '');
