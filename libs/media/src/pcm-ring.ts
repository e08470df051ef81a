const INITIAL_SAMPLES = 4096;

/** FIFO of 16-bit samples. Grows as needed up to `maxSamples`; never drops by itself. */
export class PcmRing {
  #samples = new Int16Array(INITIAL_SAMPLES);
  #start = 0;
  #length = 0;
  readonly #maxSamples: number;

  constructor(maxSamples = Number.POSITIVE_INFINITY) {
    this.#maxSamples = maxSamples;
  }

  /** Samples that can be taken. */
  get length(): number {
    return this.#length;
  }

  /** Appends; false, and nothing appended, when it would hold more than `maxSamples`. */
  push(pcm: Int16Array): boolean {
    if (this.#length + pcm.length > this.#maxSamples) return false;
    this.#reserve(this.#length + pcm.length);
    const capacity = this.#samples.length;
    const end = (this.#start + this.#length) % capacity;
    const first = Math.min(pcm.length, capacity - end);
    this.#samples.set(pcm.subarray(0, first), end);
    this.#samples.set(pcm.subarray(first), 0);
    this.#length += pcm.length;
    return true;
  }

  /** Puts samples that were taken back before the others; not bounded by `maxSamples`. */
  putBack(pcm: Int16Array): void {
    this.#reserve(this.#length + pcm.length);
    const capacity = this.#samples.length;
    this.#start = (this.#start + capacity - pcm.length) % capacity;
    const first = Math.min(pcm.length, capacity - this.#start);
    this.#samples.set(pcm.subarray(0, first), this.#start);
    this.#samples.set(pcm.subarray(first), 0);
    this.#length += pcm.length;
  }

  /** Removes the next `count` samples. When fewer are there, the rest is zeros. */
  take(count: number): Int16Array {
    const taken = new Int16Array(count);
    const available = Math.min(count, this.#length);
    const first = Math.min(available, this.#samples.length - this.#start);
    taken.set(this.#samples.subarray(this.#start, this.#start + first));
    taken.set(this.#samples.subarray(0, available - first), first);
    this.#start = (this.#start + available) % this.#samples.length;
    this.#length -= available;
    return taken;
  }

  /** Forgets everything; returns how many samples that were. */
  clear(): number {
    const dropped = this.#length;
    this.#samples = new Int16Array(INITIAL_SAMPLES);
    this.#start = 0;
    this.#length = 0;
    return dropped;
  }

  #reserve(needed: number): void {
    if (needed <= this.#samples.length) return;
    const held = this.#length;
    const larger = new Int16Array(Math.max(needed, this.#samples.length * 2));
    larger.set(this.take(held));
    this.#samples = larger;
    this.#start = 0;
    this.#length = held;
  }
}
