import { MeshError } from '@talkmesh/contracts';

const MAX_HEADER_BYTES = 4096;

/** Parses a WAV stream (PCM16, mono) from a pipe. The lengths in its header are ignored: the writer does not know them in advance. */
export class WavStream {
  #rateHz = 0;
  #pending: Buffer = Buffer.alloc(0);
  #inData = false;

  get rateHz(): number {
    return this.#rateHz;
  }

  /** @throws MeshError AUDIO_FORMAT_INVALID */
  push(bytes: Uint8Array): Int16Array {
    this.#pending = Buffer.concat([this.#pending, bytes]);
    if (!this.#inData && !this.#readHeader()) return new Int16Array(0);
    const whole = this.#pending.length & ~1;
    const pcm = new Int16Array(whole / 2);
    for (let i = 0; i < pcm.length; i++) pcm[i] = this.#pending.readInt16LE(2 * i);
    this.#pending = this.#pending.subarray(whole);
    return pcm;
  }

  #readHeader(): boolean {
    const header = this.#pending;
    if (
      header.length >= 12 &&
      (header.toString('latin1', 0, 4) !== 'RIFF' || header.toString('latin1', 8, 12) !== 'WAVE')
    )
      throw new MeshError('AUDIO_FORMAT_INVALID', 'the speech engine did not return a WAV file');
    for (let at = 12; at + 8 <= header.length; ) {
      const tag = header.toString('latin1', at, at + 4);
      const size = header.readUInt32LE(at + 4);
      const start = at + 8;
      if (tag === 'data') {
        if (this.#rateHz === 0) throw new MeshError('AUDIO_FORMAT_INVALID', 'the WAV data precede the fmt chunk');
        this.#pending = header.subarray(start);
        this.#inData = true;
        return true;
      }
      if (start + size > MAX_HEADER_BYTES) throw new MeshError('AUDIO_FORMAT_INVALID', 'the WAV header is too long');
      if (start + size > header.length) return false;
      if (tag === 'fmt ') this.#readFormat(header, start);
      at = start + size;
    }
    return false;
  }

  #readFormat(header: Buffer, at: number): void {
    const [format, channels, bits] = [
      header.readUInt16LE(at),
      header.readUInt16LE(at + 2),
      header.readUInt16LE(at + 14),
    ];
    if (format !== 1 || channels !== 1 || bits !== 16)
      throw new MeshError(
        'AUDIO_FORMAT_INVALID',
        `the speech engine returned format ${format}, ${channels} channels, ${bits} bits; PCM with 1 channel and 16 bits is needed`,
      );
    this.#rateHz = header.readUInt32LE(at + 4);
  }
}
