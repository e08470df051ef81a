import { MeshError, SPEECH_RATE_HZ } from '@talkmesh/contracts';
import { Resampler, toPcm16 } from '@talkmesh/media';
import type { SpeechRequest, SpeechSynthesizer } from '../../tts/synthesizer.js';
import { WavStream } from '../../tts/wav-stream.js';
import { PcmDecoder } from '../pcm-decoder.js';
import { ProblemError } from '../problem.js';
import { clientOf, type Endpoint, problemOf } from './endpoint.js';

export const SPEECH_FORMATS = ['pcm', 'wav'] as const;

export interface HttpSpeechOptions {
  readonly endpoint: Endpoint;
  readonly key: string;
  /** `pcm`: samples at `rateHz` without a header. `wav`: the header names the rate. */
  readonly format: (typeof SPEECH_FORMATS)[number];
  readonly rateHz: number;
  readonly voice: string;
  readonly speed: number;
  readonly deadlineMs: number;
}

/** Text-to-speech by `POST /audio/speech`, spoken while it arrives. */
export class HttpSpeech implements SpeechSynthesizer {
  readonly name: string;
  readonly #options: HttpSpeechOptions;

  constructor(options: HttpSpeechOptions) {
    this.#options = options;
    this.name = options.endpoint.model;
  }

  /** Servers have no request that speaks nothing, so the first sentence is the check. */
  async check(): Promise<void> {}

  async *speak(request: SpeechRequest): AsyncIterable<Int16Array> {
    try {
      yield* this.#speak(request);
    } catch (thrown) {
      const problem = problemOf(thrown, this.#options.endpoint.names);
      if (problem === undefined || problem instanceof MeshError) throw problem ?? thrown;
      throw new ProblemError(problem);
    }
  }

  async *#speak({ text, voice, signal }: SpeechRequest): AsyncIterable<Int16Array> {
    const { endpoint, key, format, speed, deadlineMs } = this.#options;
    const request = {
      ...{ model: endpoint.model, input: text, voice: voice || this.#options.voice, response_format: format },
      ...(speed !== 1 && { speed }),
    };
    const response = await clientOf(endpoint, key, deadlineMs).audio.speech.create(request, { signal });
    if (response.body === null) throw new MeshError('PROVIDER_FAILED', `${this.name} sent no audio.`);
    const bytes = response.body as unknown as AsyncIterable<Uint8Array>;
    yield* format === 'wav' ? fromWav(bytes) : fromPcm(bytes, this.#options.rateHz);
  }
}

async function* fromPcm(bytes: AsyncIterable<Uint8Array>, rateHz: number): AsyncIterable<Int16Array> {
  const decoder = new PcmDecoder();
  for await (const part of bytes) yield decoder.push(part, rateHz);
  yield decoder.flush();
}

async function* fromWav(bytes: AsyncIterable<Uint8Array>): AsyncIterable<Int16Array> {
  const wav = new WavStream();
  let resampler: Resampler | undefined;
  for await (const part of bytes) {
    const pcm = wav.push(part);
    if (pcm.length === 0) continue;
    resampler ??= new Resampler(wav.rateHz, SPEECH_RATE_HZ);
    yield toPcm16(resampler.push(pcm));
  }
  if (resampler !== undefined) yield toPcm16(resampler.flush());
}
