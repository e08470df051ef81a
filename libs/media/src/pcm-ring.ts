const INITIAL_SAMPLES = 4096;

/** FIFO queue of 16-bit samples. It grows as needed up to `maxSamples` and never drops samples itself. */
export class PcmRing {
  #samples = new Int16Array(INITIAL_SAMPLES);
  #start = 0;
  #length = 0;
  readonly #maxSamples: number;

  constructor(maxSamples = Number.POSITIVE_INFINITY) {
    this.#maxSamples = maxSamples;
  }

  get length(): number {
    return this.#length;
  }

  /** Appends a block. Returns false and appends nothing if it would exceed `maxSamples`. */
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

  /** Returns taken samples to the front of the queue; `maxSamples` does not apply. */
  putBack(pcm: Int16Array): void {
    this.#reserve(this.#length + pcm.length);
    const capacity = this.#samples.length;
    this.#start = (this.#start + capacity - pcm.length) % capacity;
    const first = Math.min(pcm.length, capacity - this.#start);
    this.#samples.set(pcm.subarray(0, first), this.#start);
    this.#samples.set(pcm.subarray(first), 0);
    this.#length += pcm.length;
  }

  /** Removes and returns the next `count` samples, padded with zeros if the queue holds fewer. */
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

  /** Empties the queue. Returns the number of samples dropped. */
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
