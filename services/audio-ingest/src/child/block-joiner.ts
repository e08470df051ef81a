import type { FromMic } from '../mic-messages.js';

/** A block of RTCAudioSink: 10 ms of interleaved samples; rate and channels may change from block to block. */
export interface SoundBlock {
  readonly samples: Int16Array;
  readonly sampleRate: number;
  readonly channelCount: number;
}

/** Joins two blocks into one message, which halves the messages between processes. A message never mixes two formats. */
export class BlockJoiner {
  readonly #emit: (message: FromMic) => void;
  #first: SoundBlock | undefined;

  constructor(emit: (message: FromMic) => void) {
    this.#emit = emit;
  }

  push(block: SoundBlock): void {
    const first = this.#first;
    // Native code may reuse its buffer.
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
