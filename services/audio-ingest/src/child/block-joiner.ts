import type { FromMic } from '../mic-messages.js';

/** What RTCAudioSink gives: 10 ms, interleaved; rate and channels may change from block to block. */
export interface SoundBlock {
  readonly samples: Int16Array;
  readonly sampleRate: number;
  readonly channelCount: number;
}

/** Two blocks make one message, so that half as many cross the process border; a change of format never waits inside one. */
export class BlockJoiner {
  readonly #emit: (message: FromMic) => void;
  #first: SoundBlock | undefined;

  constructor(emit: (message: FromMic) => void) {
    this.#emit = emit;
  }

  push(block: SoundBlock): void {
    const first = this.#first;
    // The native side may use its buffer again.
    const copy = { ...block, samples: Int16Array.from(block.samples) };
    if (first?.sampleRate === block.sampleRate && first.channelCount === block.channelCount) {
      const joined = new Int16Array(first.samples.length + copy.samples.length);
      joined.set(first.samples);
      joined.set(copy.samples, first.samples.length);
      this.#first = undefined;
      this.#send({ ...copy, samples: joined });
      return;
    }
    if (first !== undefined) this.#send(first);
    this.#first = copy;
  }

  #send({ samples, sampleRate, channelCount }: SoundBlock): void {
    this.#emit({ pcm: samples, sampleRateHz: sampleRate, channels: channelCount });
  }
}
