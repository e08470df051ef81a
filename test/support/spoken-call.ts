import assert from 'node:assert/strict';
import type { WorkerName } from '@talkmesh/contracts';
import { until } from '@talkmesh/service-kit/testing';
import type { Mesh, MeshService } from '../../deploy/local/src/mesh.js';
import { CallTap } from './call-tap.js';
import { firstAvatar, nano } from './nano.js';
import { type PacedCall, startPacedCall } from './paced-call.js';
import { rest } from './record-call.js';
import { type WatchCall, watchCall } from './watch-call.js';

export const PATIENCE_MS = 90_000;

interface SessionState {
  readonly state: string;
  readonly placement: Readonly<Record<WorkerName, string>>;
}

/** What is shown: an avatar, at its model's frame rate, in the default size or another one. */
export interface Shown {
  readonly avatar: string;
  readonly fps: number;
  readonly seed: number;
  readonly size?: number;
}
const NANO: Shown = { avatar: firstAvatar.id, fps: nano.fps, seed: 1 };

type Callable = AsyncDisposable & { readonly sessionId: string };

/** A fresh call that speaks its first turn, with a tap on all its streams. */
export class SpokenCall<C extends Callable = PacedCall> implements AsyncDisposable {
  readonly call: C;
  readonly tap: CallTap;
  readonly #mesh: Mesh;

  private constructor(mesh: Mesh, call: C, tap: CallTap) {
    this.#mesh = mesh;
    this.call = call;
    this.tap = tap;
  }

  /** Recorded in real time, with all of the speech sent at once. Resolves when a second of the turn was played. */
  static start(mesh: Mesh, speech: Int16Array, model: Shown = NANO): Promise<SpokenCall> {
    const open = () => startPacedCall(mesh, model.avatar, model.fps, model.seed, model.size);
    return SpokenCall.#begin(mesh, open, (call) => call.say(speech));
  }

  /** Watched over WebRTC; `speak` sends the speech. Resolves when a second of it was played. */
  static watch(mesh: Mesh, speak: (call: WatchCall) => void): Promise<SpokenCall<WatchCall>> {
    return SpokenCall.#begin(mesh, () => watchCall(mesh, firstAvatar.id), speak);
  }

  static async #begin<C extends Callable>(
    mesh: Mesh,
    open: () => Promise<C>,
    speak: (call: C) => void,
  ): Promise<SpokenCall<C>> {
    await until('all workers', () => isWhole(mesh), PATIENCE_MS);
    const call = await open();
    const spoken = new SpokenCall(mesh, call, await CallTap.open(mesh, call.sessionId));
    try {
      speak(call);
      await until('the voice', () => (spoken.tap.playhead?.turnPlayedMs ?? 0) > 1000, PATIENCE_MS);
    } catch (error) {
      await spoken[Symbol.asyncDispose]();
      throw error;
    }
    return spoken;
  }

  async look(): Promise<SessionState> {
    return (await rest<SessionState>(this.#mesh, 'GET', `/v1/sessions/${this.call.sessionId}`)).body;
  }

  async workerOf(service: WorkerName): Promise<string> {
    return (await this.look()).placement[service];
  }

  async processOf(service: WorkerName): Promise<MeshService> {
    const instanceId = await this.workerOf(service);
    const found = this.#mesh.services.find((candidate) => candidate.instanceId === instanceId);
    assert.ok(found, `no process of ${instanceId}`);
    return found;
  }

  async signal(service: WorkerName, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    process.kill((await this.processOf(service)).pid, signal);
  }

  get moves(): string[] {
    return this.tap.events.flatMap((event) =>
      event.type === 'stage.moved' ? [`${event.service} ${event.cause}`] : [],
    );
  }

  /** Turns that were reported as ended, with whether they were cut. */
  get finished(): [turn: number, interrupted: boolean][] {
    return this.tap.events.flatMap((event) =>
      event.type === 'turn.finished' ? [[event.turn, event.interrupted] as [number, boolean]] : [],
    );
  }

  async over(turns = 1): Promise<void> {
    const isOver = (): boolean =>
      this.finished.length >= turns || this.tap.events.some(({ type }) => type === 'session.ended');
    await until('the end of the turn', isOver, PATIENCE_MS);
    assert.equal((await this.look()).state, 'open', JSON.stringify(this.tap.events));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.call[Symbol.asyncDispose]();
    await this.tap[Symbol.asyncDispose]();
  }
}

export const isWhole = (mesh: Mesh): boolean => mesh.services.every(({ instanceId }) => instanceId !== '');
