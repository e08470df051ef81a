import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { MeshError, type Reason } from '@talkmesh/contracts';
import type { RoomHost } from './room-host.js';
import type { RoomEnd, RoomState } from './room-protocol.js';

export interface RoomMemberOptions<Setup, In, Out> {
  readonly host: Pick<RoomHost<Setup, In, Out>, 'open' | 'post' | 'close'>;
  /** ws:// or wss:// URL of the LiveKit server. */
  readonly url: string;
  /** Access token of one identity in one room. */
  readonly token: string;
  /** How long joins are tried, milliseconds. */
  readonly rejoinMs: number;
  readonly setup: Setup;
  /** Before each join by a child process: what an earlier child held is gone. */
  readonly onJoining: () => void;
  readonly onState: (state: RoomState) => void;
  readonly onMessage: (message: Out) => void;
  /** Identities of the other participants. */
  readonly onCompany: (identities: readonly string[]) => void;
  /** The child crashed; the room is joined again. */
  readonly onCrash: () => void;
  /** The membership is over, and no call follows. */
  readonly onEnd: (end: RoomEnd) => void;
}

/** How long the opening of a session waits for the join, and a little longer for the answer. */
const AWAIT_JOIN_MS = 5000;
const OPEN_DEADLINE_MS = 9000;
const CRASH_PAUSE_MS = 200;
/** The child is not up again, or hangs and will be killed. */
const CHILD_FAILURES: ReadonlySet<string> = new Set(['PEER_LOST', 'DEADLINE_EXCEEDED']);

/** The service's end of a membership in a LiveKit room, which outlives the child process with the library. */
export class RoomMember<Setup, In, Out> {
  readonly #options: RoomMemberOptions<Setup, In, Out>;
  #roomId = '';
  /** The newest token: the server renews those of participants. */
  #token: string;
  #isClosed = false;
  /** From the begin of a join until it has an answer; of joins after a crash, until one has succeeded. */
  #isJoining = false;

  constructor(options: RoomMemberOptions<Setup, In, Out>) {
    this.#options = options;
    this.#token = options.token;
  }

  /**
   * Joins the room. @param awaitsJoin whether to wait for the join; without, it is tried until `rejoinMs` has passed
   * @throws MeshError ROOM_REFUSED, ROOM_UNREACHABLE
   */
  async join(awaitsJoin: boolean): Promise<void> {
    this.#isJoining = true;
    try {
      await this.#open(awaitsJoin);
    } finally {
      this.#isJoining = false;
    }
  }

  /** Returns false when the child is down or its queue is full. */
  post(message: In): boolean {
    return this.#options.host.post(this.#roomId, message);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#options.host.close(this.#roomId);
  }

  async #open(awaitsJoin: boolean): Promise<void> {
    const { host, url, rejoinMs, setup, onJoining, onMessage, onCompany } = this.#options;
    const roomId = randomUUID();
    this.#roomId = roomId;
    onJoining();
    const ifCurrent =
      <T extends unknown[]>(handle: (...values: T) => void) =>
      (...values: T): void => {
        if (roomId === this.#roomId && !this.#isClosed) handle(...values);
      };
    await host.open(
      roomId,
      { url, token: this.#token, rejoinMs, awaitJoinMs: awaitsJoin ? AWAIT_JOIN_MS : 0, setup },
      {
        onState: ifCurrent((state: RoomState, end?: string) => this.#changed(state, end as RoomEnd | undefined)),
        onMessage: ifCurrent((message) => {
          if (message.type === 'token') this.#token = message.token;
          else if (message.type === 'participants') onCompany(message.identities);
          else onMessage(message.body);
        }),
        onLost: ifCurrent(() => {
          this.#options.onCrash();
          // A crash also rejects the join that waits for an answer, and that join's caller decides what follows.
          if (!this.#isJoining) void this.#joinAgain();
        }),
      },
      { deadlineMs: OPEN_DEADLINE_MS },
    );
  }

  #changed(state: RoomState, end: RoomEnd | undefined): void {
    this.#options.onState(state);
    if (end !== undefined) this.#options.onEnd(end);
  }

  async #joinAgain(): Promise<void> {
    this.#isJoining = true;
    try {
      while (!(await this.#triedAgain()));
    } finally {
      this.#isJoining = false;
    }
  }

  /** @returns whether no further try is needed */
  async #triedAgain(): Promise<boolean> {
    await sleep(CRASH_PAUSE_MS, undefined, { ref: false });
    // A join that is answered too late would end the next one, which has the same identity.
    await this.#options.host.close(this.#roomId);
    if (this.#isClosed) return true;
    try {
      await this.#open(false);
    } catch (thrown) {
      if (CHILD_FAILURES.has(MeshError.from(thrown).reason)) return false;
      if (!this.#isClosed) this.#options.onEnd('unreachable');
    }
    return true;
  }
}

/** What a session's listeners are told about an end. @param who such as "the avatar" */
export function roomFailure(end: RoomEnd, who: string): { readonly reason: Reason; readonly message: string } {
  const texts: Readonly<Record<RoomEnd, string>> = {
    removed: `${who} was removed from its LiveKit room`,
    'room-closed': 'the LiveKit room was closed',
    replaced: `another participant joined the LiveKit room with the identity of ${who}`,
    refused: `the LiveKit server no longer accepts the token of ${who}; give it a longer lifetime`,
    unreachable: 'the LiveKit room could not be joined again in time',
  };
  return { reason: end === 'unreachable' ? 'ROOM_UNREACHABLE' : 'ROOM_REFUSED', message: texts[end] };
}
