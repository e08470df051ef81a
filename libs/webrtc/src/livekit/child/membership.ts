import { setTimeout as sleep } from 'node:timers/promises';
import { MeshError } from '@talkmesh/contracts';
import type { RoomEnd, RoomState } from '../room-protocol.js';

/** One join of the room. After `lost` it is of no further use. */
export interface JoinedRoom {
  leave(): Promise<void>;
}

export interface JoinEvents {
  /** The library has lost the connection and tries to restore it. */
  interrupted(): void;
  restored(): void;
  /** The library has given up, or the server ended the membership for a reason that is final. */
  lost(end: RoomEnd | undefined): void;
}

export interface MembershipOptions {
  /** One attempt. @throws MeshError ROOM_REFUSED, which is final; anything else is tried again */
  readonly join: (events: JoinEvents) => Promise<JoinedRoom>;
  /** How long the first join, and those after a loss, are tried, milliseconds. */
  readonly joinMs: number;
  readonly rejoinMs: number;
  readonly onState: (state: RoomState, end?: RoomEnd) => void;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
  readonly pause?: (milliseconds: number) => Promise<void>;
}

/** LiveKit's library tries for about 24 s, also when the server has been back for a while. After this time we join anew, which is faster. */
export const PATIENCE_MS = 3000;
const JOIN_DEADLINE_MS = 10_000;
/** A join that began in time may end this much later: a server that accepts connections and does not answer must be known before the opening ends. */
const LATE_MS = 3000;
const LEAVE_DEADLINE_MS = 1000;
const BACK_OFF_MS = [100, 250, 500, 1000];

/** Stays in one room as one participant: joins, joins again when the connection is lost, and ends when the server says so. */
export class RoomMembership {
  readonly #options: Required<MembershipOptions>;
  #room: JoinedRoom | undefined;
  /** Grows with each join, so that events of earlier joins are ignored. */
  #join = 0;
  #state: RoomState | 'joining' = 'joining';
  #closed = false;

  constructor(options: MembershipOptions) {
    this.#options = { now: () => performance.now(), pause: (ms) => sleep(ms, undefined, { ref: false }), ...options };
  }

  /** Joins the room. Failures are reported by `onState`. */
  start(): void {
    void this.#joinUntil(this.#options.now() + this.#options.joinMs);
  }

  /** Leaves the room; no state follows. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#leave();
  }

  async #joinUntil(untilMs: number): Promise<void> {
    for (let attempt = 0; !this.#closed; attempt += 1) {
      const reason = await this.#tryJoin(Math.min(JOIN_DEADLINE_MS, untilMs + LATE_MS - this.#options.now()));
      if (reason === undefined || this.#closed) return;
      if (reason === 'ROOM_REFUSED') return this.#end('refused');
      if (this.#options.now() >= untilMs) return this.#end('unreachable');
      await this.#options.pause(BACK_OFF_MS[Math.min(attempt, BACK_OFF_MS.length - 1)] as number);
    }
  }

  /** @returns the reason of the failure; undefined when the room is joined */
  async #tryJoin(deadlineMs: number): Promise<string | undefined> {
    const join = ++this.#join;
    const isCurrent = (): boolean => join === this.#join && !this.#closed;
    // Events may come while the media is still being published; then the join has failed.
    let isOver = false;
    const joining = this.#options.join({
      interrupted: () => void (isCurrent() && this.#interrupted()),
      restored: () => void (isCurrent() && this.#changed('connected')),
      lost: (end) => {
        isOver = true;
        if (isCurrent()) this.#lost(end);
      },
    });
    let late = false;
    const deadline = this.#options.pause(deadlineMs).then(() => {
      throw new MeshError('ROOM_UNREACHABLE', 'the LiveKit server did not answer in time');
    });
    // A join that succeeds too late, or after the end, must not leave a second participant behind.
    joining.then(
      (room) => late && void room.leave().catch(() => undefined),
      () => undefined,
    );
    try {
      const room = await Promise.race([joining, deadline]);
      if (isCurrent() && !isOver) {
        this.#room = room;
        this.#changed('connected');
        return undefined;
      }
      late = true;
      void room.leave().catch(() => undefined);
      return 'ROOM_UNREACHABLE';
    } catch (thrown) {
      late = true;
      return MeshError.from(thrown).reason;
    } finally {
      deadline.catch(() => undefined);
    }
  }

  #interrupted(): void {
    if (this.#state !== 'connected') return;
    this.#changed('disconnected');
    const join = this.#join;
    void this.#options.pause(PATIENCE_MS).then(() => {
      if (join === this.#join && this.#state === 'disconnected' && !this.#closed) this.#lost(undefined);
    });
  }

  #lost(end: RoomEnd | undefined): void {
    if (this.#state === 'joining' || this.#state === 'failed') return;
    if (end !== undefined) {
      this.#end(end);
      return;
    }
    if (this.#state === 'connected') this.#changed('disconnected');
    this.#state = 'joining';
    const untilMs = this.#options.now() + this.#options.rejoinMs;
    void this.#leave().then(() => this.#joinUntil(untilMs));
  }

  #end(end: RoomEnd): void {
    if (this.#closed) return;
    this.#closed = true;
    void this.#leave();
    this.#state = 'failed';
    this.#options.onState('failed', end);
  }

  #changed(state: RoomState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#options.onState(state);
  }

  /** A room whose server is gone may never confirm that it is left. */
  async #leave(): Promise<void> {
    const room = this.#room;
    this.#room = undefined;
    this.#join += 1;
    if (room === undefined) return;
    await Promise.race([room.leave().catch(() => undefined), this.#options.pause(LEAVE_DEADLINE_MS)]);
  }
}
