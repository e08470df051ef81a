/** Keys and values of one pass of one chunk at one noise level, rotated only if the model has absolute positions. Reference-counted. */
export class KeyValues<Parts = unknown> {
  /** How the denoiser that computed them refers to them. */
  readonly parts: Parts;
  readonly bytes: number;
  readonly #free: () => void;
  #users = 1;

  constructor(parts: Parts, bytes: number, free: () => void) {
    this.parts = parts;
    this.bytes = bytes;
    this.#free = free;
  }

  /** Adds one user. @throws Error when they were freed already */
  retain(): this {
    if (this.#users === 0) throw new Error('keys and values were retained after they were freed');
    this.#users += 1;
    return this;
  }

  release(): void {
    this.#users -= 1;
    if (this.#users === 0) this.#free();
  }
}
