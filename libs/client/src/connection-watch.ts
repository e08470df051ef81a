import type { Message } from './messages.js';
import type { CallState, CallStats } from './types.js';

/** Trouble is what happened within this many seconds, one `CallStats` each. */
const WINDOW = 6;
/** Within the window: how long the picture may stand still, milliseconds, and how many packets may be lost (about 5 %). */
const [MAX_FROZEN_MS, MAX_LOST] = [1200, 40];
const MAX_ROUND_TRIP_MS = 800;

const WEAK: Message = {
  title: 'The connection is weak.',
  text: 'Picture and sound may stutter. Move closer to the router, or end what else uses the network.',
  mild: true,
};
const SLOW: Message = {
  title: 'The picture stutters.',
  text: 'The network or the server is slow at the moment. The call goes on.',
  mild: true,
};
const LOST: Message = {
  title: 'The connection was lost.',
  text: 'Check your network. The call continues by itself when it is back.',
  mild: true,
};

/** A shorter interruption, such as a move to another worker, is not worth a message, milliseconds. */
const LOST_AFTER_MS = 1500;

/** Says in words that the connection of a call is bad, from its states and its statistics of every second. */
export class ConnectionWatch {
  readonly #onChange: (trouble: Message | undefined) => void;
  readonly #lostAfterMs: number;
  readonly #last: CallStats[] = [];
  #isLost = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #trouble: Message | undefined;

  /** @param onChange gets what to tell the user; undefined when the connection is good again */
  constructor(onChange: (trouble: Message | undefined) => void, lostAfterMs = LOST_AFTER_MS) {
    this.#onChange = onChange;
    this.#lostAfterMs = lostAfterMs;
  }

  onState(state: CallState): void {
    const isLost = state === 'reconnecting';
    if (isLost === this.#isLost) return;
    this.#isLost = isLost;
    // A new connection counts from 0.
    this.#last.length = 0;
    clearTimeout(this.#timer);
    if (isLost) this.#timer = setTimeout(() => this.#set(LOST), this.#lostAfterMs);
    else this.#set(undefined);
  }

  onStats(stats: CallStats): void {
    if (!this.#isLost) this.#set(this.#judge(stats));
  }

  #set(trouble: Message | undefined): void {
    if (trouble === this.#trouble) return;
    this.#trouble = trouble;
    this.#onChange(trouble);
  }

  #judge(stats: CallStats): Message | undefined {
    this.#last.push(stats);
    if (this.#last.length > WINDOW) this.#last.shift();
    const [first] = this.#last;
    const grown = (key: 'frozenMs' | 'packetsLost'): number => (stats[key] ?? 0) - (first?.[key] ?? stats[key] ?? 0);
    const isFar =
      this.#last.length === WINDOW && this.#last.every(({ roundTripMs = 0 }) => roundTripMs > MAX_ROUND_TRIP_MS);
    if (isFar || grown('packetsLost') > MAX_LOST) return WEAK;
    return grown('frozenMs') > MAX_FROZEN_MS ? SLOW : undefined;
  }
}
