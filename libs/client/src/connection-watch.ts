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
const RECONNECTING: Message = {
  title: 'The connection was lost.',
  text: 'Check your network. The call continues by itself when it is back.',
  mild: true,
};

/** Says in words that the connection of a call is bad, from its states and its statistics of every second. */
export class ConnectionWatch {
  readonly #last: CallStats[] = [];
  #trouble: Message | undefined;

  /** @returns what to tell the user; undefined while the connection is good */
  onState(state: CallState): Message | undefined {
    if (state === 'reconnecting') {
      // A new connection counts from 0.
      this.#last.length = 0;
      this.#trouble = RECONNECTING;
    } else if (this.#trouble === RECONNECTING) this.#trouble = undefined;
    return this.#trouble;
  }

  /** @returns as `onState` */
  onStats(stats: CallStats): Message | undefined {
    if (this.#trouble !== RECONNECTING) this.#trouble = this.#judge(stats);
    return this.#trouble;
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
