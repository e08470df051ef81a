import { MeshError } from '@talkmesh/contracts';

const MAX_PER_SESSION = 8;
const MAX_PER_OWNER = 1000;
const MAX_TOTAL = 5000;

export interface StreamMaxima {
  readonly perSession: number;
  /** Streams of all sessions that one API key made. */
  readonly perOwner: number;
  readonly total: number;
}

/** Counts the streams that are open on this gateway: of events, over HTTP or gRPC, WebSockets, and downloads over gRPC. */
export class StreamLimits {
  readonly #maxima: StreamMaxima;
  readonly #open = new Map<string, number>();
  #total = 0;

  constructor(maxima: StreamMaxima = { perSession: MAX_PER_SESSION, perOwner: MAX_PER_OWNER, total: MAX_TOTAL }) {
    this.#maxima = maxima;
  }

  /** @returns a function that closes the stream, once. @throws MeshError RATE_LIMITED */
  open(sessionId: string, owner: string): () => void {
    const { perSession, perOwner, total } = this.#maxima;
    const counted: readonly (readonly [string, number])[] = [
      [`session ${sessionId}`, perSession],
      [`owner ${owner}`, perOwner],
    ];
    for (const [name, most] of counted)
      if ((this.#open.get(name) ?? 0) >= most) throw tooMany(`the ${name.split(' ')[0]}`, most);
    if (this.#total >= total) throw tooMany('this gateway', total);
    const count = (change: 1 | -1): void => {
      this.#total += change;
      for (const [name] of counted) {
        const left = (this.#open.get(name) ?? 0) + change;
        if (left === 0) this.#open.delete(name);
        else this.#open.set(name, left);
      }
    };
    count(1);
    let isOpen = true;
    return () => {
      if (isOpen) count(-1);
      isOpen = false;
    };
  }
}

function tooMany(who: string, most: number): MeshError {
  return new MeshError('RATE_LIMITED', `${who} has ${most} streams open, the most there may be; close one first`);
}
