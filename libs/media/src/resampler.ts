import { fromPcm16 } from './pcm.js';

/** Zero crossings of the sinc on each side, at the lower of both rates. */
const ZERO_CROSSINGS = 24;
/** Kaiser window: about 90 dB stop band. */
const KAISER_BETA = 9;
/** Pass band as a fraction of the lower Nyquist frequency. */
const PASS_BAND = 0.94;

/**
 * Streaming sample-rate conversion with a Kaiser-windowed sinc (Smith, "Digital Audio Resampling"), one filter phase per
 * output position of the reduced ratio. Zero delay: output sample n corresponds to input position n * from / to. After
 * `flush`, n input samples have become round(n * to / from) output samples.
 */
export class Resampler {
  readonly #up: number;
  readonly #down: number;
  readonly #half: number;
  readonly #phases: Float32Array[];
  #buffer: Float32Array = new Float32Array(0);
  /** Input position of `#buffer[0]`. */
  #bufferStart = 0;
  #samplesIn = 0;
  #samplesOut = 0;

  /** @throws RangeError unless both rates are positive integers */
  constructor(fromHz: number, toHz: number) {
    if (!Number.isInteger(fromHz) || !Number.isInteger(toHz) || fromHz <= 0 || toHz <= 0)
      throw new RangeError(`sample rates must be positive integers, not ${fromHz} and ${toHz}`);
    const divisor = greatestCommonDivisor(fromHz, toHz);
    this.#up = toHz / divisor;
    this.#down = fromHz / divisor;
    const stretch = Math.max(1, fromHz / toHz);
    this.#half = Math.ceil(ZERO_CROSSINGS * stretch);
    this.#phases = this.#up === this.#down ? [] : buildPhases(this.#up, this.#half, PASS_BAND / stretch, stretch);
    this.#reset();
  }

  /** Returns the output that later input cannot change; it lags the input by half the filter width. */
  push(input: Float32Array | Int16Array): Float32Array {
    const samples = input instanceof Int16Array ? fromPcm16(input) : input;
    this.#samplesIn += samples.length;
    if (this.#phases.length === 0) return samples.slice();
    this.#append(samples);
    const last = Math.floor(((this.#samplesIn - this.#half) * this.#up) / this.#down);
    return this.#produce(Math.max(last, this.#samplesOut));
  }

  /** Returns the remaining output and resets the resampler. */
  flush(): Float32Array {
    if (this.#phases.length === 0) {
      this.#reset();
      return new Float32Array(0);
    }
    const total = Math.round((this.#samplesIn * this.#up) / this.#down);
    this.#append(new Float32Array(this.#half + 1 + Math.ceil(this.#down / this.#up)));
    const rest = this.#produce(Math.max(total, this.#samplesOut));
    this.#reset();
    return rest;
  }

  #reset(): void {
    this.#buffer = new Float32Array(this.#half);
    this.#bufferStart = -this.#half;
    this.#samplesIn = 0;
    this.#samplesOut = 0;
  }

  #append(samples: Float32Array): void {
    const joined = new Float32Array(this.#buffer.length + samples.length);
    joined.set(this.#buffer);
    joined.set(samples, this.#buffer.length);
    this.#buffer = joined;
  }

  #produce(until: number): Float32Array {
    const output = new Float32Array(until - this.#samplesOut);
    const taps = 2 * this.#half;
    for (let i = 0; i < output.length; i++) {
      const scaled = (this.#samplesOut + i) * this.#down;
      const phase = this.#phases[scaled % this.#up] as Float32Array;
      const first = Math.floor(scaled / this.#up) - this.#half + 1 - this.#bufferStart;
      let sum = 0;
      for (let k = 0; k < taps; k++) sum += (phase[k] as number) * (this.#buffer[first + k] ?? 0);
      output[i] = sum;
    }
    this.#samplesOut = until;
    const needed = Math.floor((until * this.#down) / this.#up) - this.#half + 1;
    const spent = Math.min(Math.max(0, needed - this.#bufferStart), this.#buffer.length);
    this.#buffer = this.#buffer.slice(spent);
    this.#bufferStart += spent;
    return output;
  }
}

/** `phases[p][k]` weighs the input sample at floor(position) - half + 1 + k for the fraction p / up. Each sums to 1. */
function buildPhases(up: number, half: number, cutoff: number, stretch: number): Float32Array[] {
  const support = ZERO_CROSSINGS * stretch;
  return Array.from({ length: up }, (_, p) => {
    const taps = Float64Array.from({ length: 2 * half }, (_, k) => {
      const distance = k - half + 1 - p / up;
      const inside = 1 - (distance / support) ** 2;
      if (inside <= 0) return 0;
      return sinc(distance * cutoff) * besselI0(KAISER_BETA * Math.sqrt(inside));
    });
    const sum = taps.reduce((total, tap) => total + tap, 0);
    return Float32Array.from(taps, (tap) => tap / sum);
  });
}

const sinc = (x: number): number => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));

function besselI0(x: number): number {
  let term = 1;
  let sum = 1;
  for (let k = 1; k < 40; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
