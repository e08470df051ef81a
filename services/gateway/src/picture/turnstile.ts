import { MeshError } from '@talkmesh/contracts';

/** Lets a few in at once and a few more wait; pictures are heavy, calls must not notice. */
export class Turnstile {
  private readonly atOnce: number;
  private readonly mayWait: number;
  private inside = 0;
  private readonly waiting: (() => void)[] = [];

  constructor(atOnce: number, mayWait: number) {
    this.atOnce = atOnce;
    this.mayWait = mayWait;
  }

  /** @throws MeshError RATE_LIMITED when too many wait already */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.inside >= this.atOnce) {
      if (this.waiting.length >= this.mayWait)
        throw new MeshError('RATE_LIMITED', 'many pictures are being worked on; try again in a few seconds', {
          retryAfterMs: 5000,
        });
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    } else this.inside += 1;
    try {
      return await work();
    } finally {
      const next = this.waiting.shift();
      if (next === undefined) this.inside -= 1;
      else next();
    }
  }
}
