import { MeshError } from '@talkmesh/contracts';

/** When the mean has less than this share of the loudest channel's power, the channels cancel each other... */
const CANCELLED = 0.06;
/** ...and they no longer do above this share. Two equal channels have 1, two unrelated ones 0.5, one silent channel 0.25. */
const RESTORED = 0.2;
/** Powers are averaged over about this many samples. */
const MEMORY_SAMPLES = 1024;

/**
 * Mixes channels down to one. The mean is right for almost all audio; but channels of opposite phase, as miswired microphones and
 * some stereo effects make them, cancel each other, and then the loudest channel is taken alone. One mixer serves one stream.
 */
export class ChannelMixer {
  #meanPower = 0;
  #powers: number[] = [];
  /** The channel that is taken alone; undefined: the mean. */
  #alone: number | undefined;
  #isFirst = true;

  /** @param channels blocks of equal length, all in the same unit @throws MeshError AUDIO_FORMAT_INVALID when the lengths differ */
  push(channels: readonly Float32Array[]): Float32Array {
    const [first = new Float32Array(0), ...others] = channels;
    if (others.length === 0) return first.slice();
    if (others.some((channel) => channel.length !== first.length))
      throw new MeshError('AUDIO_FORMAT_INVALID', 'channels must have the same number of samples');
    if (first.length === 0) return new Float32Array(0);
    const mean = first.map(
      (sample, i) => others.reduce((sum, channel) => sum + (channel[i] ?? 0), sample) / channels.length,
    );
    const before = this.#sourceOf(channels, mean);
    this.#measure(channels, mean);
    const after = this.#sourceOf(channels, mean);
    if (this.#isFirst || before === after) {
      this.#isFirst = false;
      return after === mean ? mean : after.slice();
    }
    // A change in the middle of a stream is cross-faded, because a step would be heard as a click.
    return before.map((sample, i) => sample + ((after[i] ?? 0) - sample) * ((i + 1) / before.length));
  }

  /** As `push`, for interleaved PCM16. */
  pushInterleaved(pcm: Int16Array, channels: number): Int16Array {
    if (channels === 1) return pcm;
    const frames = Math.floor(pcm.length / channels);
    const separate = Array.from({ length: channels }, (_, channel) =>
      Float32Array.from({ length: frames }, (_, i) => pcm[i * channels + channel] ?? 0),
    );
    return Int16Array.from(this.push(separate), Math.round);
  }

  #sourceOf(channels: readonly Float32Array[], mean: Float32Array): Float32Array {
    return this.#alone === undefined ? mean : (channels[this.#alone] ?? mean);
  }

  #measure(channels: readonly Float32Array[], mean: Float32Array): void {
    const weight = this.#isFirst ? 1 : 1 - Math.exp(-mean.length / MEMORY_SAMPLES);
    const follow = (old: number, samples: Float32Array): number => old + weight * (power(samples) - old);
    this.#meanPower = follow(this.#meanPower, mean);
    this.#powers = channels.map((channel, i) => follow(this.#powers[i] ?? 0, channel));
    const loudest = Math.max(...this.#powers);
    const limit = this.#alone === undefined ? CANCELLED : RESTORED;
    if (this.#meanPower >= limit * loudest) this.#alone = undefined;
    else this.#alone ??= this.#powers.indexOf(loudest);
  }
}

/** Mixes the channels of a whole recording into one. @throws MeshError AUDIO_FORMAT_INVALID when the lengths differ */
export const mixDown = (channels: readonly Float32Array[]): Float32Array => new ChannelMixer().push(channels);

function power(samples: Float32Array): number {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  return sum / samples.length;
}
