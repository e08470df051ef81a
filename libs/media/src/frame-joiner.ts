/** Reads interleaved PCM16 that may be cut anywhere, as services send it over HTTP and byte streams: bytes that fill no frame of all channels wait. */
export class FrameJoiner {
  readonly #frameBytes: number;
  #waiting = Buffer.alloc(0);

  constructor(channels: number) {
    this.#frameBytes = 2 * channels;
  }

  /** @param bytes little-endian samples, at any offset of their buffer @returns whole frames, interleaved */
  push(bytes: Uint8Array): Int16Array {
    const all = this.#waiting.length === 0 ? bytes : Buffer.concat([this.#waiting, bytes]);
    const whole = all.byteLength - (all.byteLength % this.#frameBytes);
    this.#waiting = Buffer.from(all.subarray(whole));
    const view = new DataView(all.buffer, all.byteOffset, whole);
    return Int16Array.from({ length: whole / 2 }, (_, i) => view.getInt16(2 * i, true));
  }
}
