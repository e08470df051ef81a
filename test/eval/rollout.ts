import { createWriteStream, type WriteStream } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  createOrtExecutor,
  type DecoderEngine,
  loadDecoderEngine,
  loadScoreEngine,
  type Model,
  type ScoreEngine,
} from '@talkmesh/inference';
import { median } from '../support/statistics.js';

export interface Clip {
  readonly id: string;
  readonly set: string;
  readonly avatar: string;
}

/** A long call: the name of its files, and who is seen. */
interface Call {
  readonly name: string;
  readonly avatar: string;
}

/** A stretch of a long call. */
interface Stretch {
  readonly pcm: Int16Array;
  readonly silent: boolean;
}

/** Chunks decoded per minute of the long call; decoding all of them would take hours. */
const CHUNKS_DECODED_PER_MINUTE = 5;

/**
 * Plays clips through the engines that the services run, one session each, and writes frames and latents to `folder` for the evaluation.
 * One thread per engine, because the time budget is stated for one thread.
 */
export class Rollout implements AsyncDisposable {
  readonly #model: Model;
  readonly #folder: string;
  readonly #executors;
  readonly #score: ScoreEngine;
  readonly #decoder: DecoderEngine;
  readonly #times = { score: [] as number[], decode: [] as number[] };

  private constructor(
    model: Model,
    folder: string,
    executors: readonly AsyncDisposable[],
    score: ScoreEngine,
    decoder: DecoderEngine,
  ) {
    this.#model = model;
    this.#folder = folder;
    this.#executors = executors;
    this.#score = score;
    this.#decoder = decoder;
  }

  static async open(model: Model, folder: string): Promise<Rollout> {
    await mkdir(folder, { recursive: true });
    const executors = [createOrtExecutor({ threads: 1 }), createOrtExecutor({ threads: 1 })] as const;
    const score = await loadScoreEngine(model, executors[0]);
    return new Rollout(model, folder, executors, score, await loadDecoderEngine(model, executors[1]));
  }

  /** Generates and decodes one clip from a fresh session. An incomplete last chunk is left out. */
  async clip(clip: Clip, pcm: Int16Array, seed: number): Promise<void> {
    const frames = createWriteStream(join(this.#folder, `${clip.id}.i420`));
    const latents = createWriteStream(join(this.#folder, `${clip.id}.latents`));
    const { samplesPerChunk } = this.#model.geometry;
    const scoreSession = await this.#score.openSession({ avatar: clip.avatar, seed, keepChunks: 2 });
    const decoderSession = await this.#decoder.openSession({ avatar: clip.avatar, keepChunks: 2 });
    for (let chunk = 0; (chunk + 1) * samplesPerChunk <= pcm.length; chunk++) {
      const startMs = performance.now();
      const latent = await scoreSession.generate(
        chunk,
        pcm.slice(chunk * samplesPerChunk, (chunk + 1) * samplesPerChunk),
      );
      const generatedMs = performance.now();
      if (latent === undefined) throw new Error('a chunk was abandoned');
      const decoded = await decoderSession.decode(chunk, latent.values);
      if (decoded === undefined) throw new Error('a chunk was abandoned');
      this.#times.score.push(generatedMs - startMs);
      this.#times.decode.push(performance.now() - generatedMs);
      await append(latents, bytesOf(latent.values));
      for (const frame of decoded.frames) await append(frames, frame);
    }
    scoreSession.dispose();
    decoderSession.dispose();
    await Promise.all([ended(frames), ended(latents)]);
  }

  /** Decodes latents of a known motion, [n, values], to ID.truth.i420: what the decoder alone shows. */
  async motion(clip: Clip, latents: Float32Array): Promise<void> {
    const frames = createWriteStream(join(this.#folder, `${clip.id}.truth.i420`));
    const session = await this.#decoder.openSession({ avatar: clip.avatar, keepChunks: 2 });
    const { latentValues } = this.#model.geometry;
    for (let chunk = 0; (chunk + 1) * latentValues <= latents.length; chunk++) {
      const decoded = await session.decode(chunk, latents.slice(chunk * latentValues, (chunk + 1) * latentValues));
      for (const frame of decoded?.frames ?? []) await append(frames, frame);
    }
    session.dispose();
    await ended(frames);
  }

  /**
   * One call of `minutes`: stretches of speech and of silence alternate. All latents are kept; of every minute a few chunks are decoded, after one
   * that gives the decoder its state.
   * @returns paths of the decoded frames, without their ending
   */
  async hour(call: Call, stretches: readonly Stretch[], minutes: number, seed: number): Promise<string[]> {
    const { name, avatar } = call;
    await mkdir(join(this.#folder, name), { recursive: true });
    const { samplesPerChunk, chunkMs, framesPerChunk } = this.#model.geometry;
    const chunks = Math.floor((minutes * 60_000) / chunkMs);
    const perMinute = Math.floor(60_000 / chunkMs);
    const latents = createWriteStream(join(this.#folder, `${name}.latents`));
    const scoreSession = await this.#score.openSession({ avatar, seed, keepChunks: 2 });
    const decoderSession = await this.#decoder.openSession({ avatar, keepChunks: 2 });
    const nextStretch = endless(stretches, samplesPerChunk);
    const silentChunks: number[] = [];
    const windows: { minute: number; firstFrame: number }[] = [];
    let frames: WriteStream | undefined;
    for (let chunk = 0; chunk < chunks; chunk++) {
      const { pcm, silent } = nextStretch();
      const latent = await scoreSession.generate(chunk, pcm);
      if (latent === undefined) throw new Error('a chunk was abandoned');
      silentChunks.push(silent ? 1 : 0);
      await append(latents, bytesOf(latent.values));
      const at = (chunk % perMinute) - (perMinute >> 1);
      if (at < 0 || at > CHUNKS_DECODED_PER_MINUTE) continue;
      const decoded = await decoderSession.decode(chunk, latent.values);
      if (at === 0) {
        const minute = Math.floor(chunk / perMinute);
        frames = createWriteStream(`${this.#window(name, minute)}.i420`);
        windows.push({ minute, firstFrame: (chunk + 1) * framesPerChunk });
      } else for (const frame of decoded?.frames ?? []) await append(frames as WriteStream, frame);
      if (at === CHUNKS_DECODED_PER_MINUTE) await ended(frames as WriteStream);
    }
    scoreSession.dispose();
    decoderSession.dispose();
    await ended(latents);
    const whole = windows.filter(
      ({ firstFrame }) => firstFrame + CHUNKS_DECODED_PER_MINUTE * framesPerChunk <= chunks * framesPerChunk,
    );
    await writeFile(
      join(this.#folder, `${name}.json`),
      JSON.stringify({ avatar, framesPerChunk, silentChunks, windows: whole }),
    );
    return whole.map(({ minute }) => this.#window(name, minute));
  }

  #window(call: string, minute: number): string {
    return join(this.#folder, call, String(minute).padStart(2, '0'));
  }

  /** Writes the sizes and costs that the evaluation needs. */
  async finish(): Promise<void> {
    const { manifest, geometry, label } = this.#model;
    const [score, decode] = [median(this.#times.score), median(this.#times.decode)];
    const run = {
      model: label,
      framesPerChunk: geometry.framesPerChunk,
      chunk: { latentFrames: manifest.chunk.latentFrames, steps: manifest.score.schedule.length, ms: geometry.chunkMs },
      cost: {
        'score, ms a chunk': score,
        'decode, ms a chunk': decode,
        'both, % of a chunk': (100 * (score + decode)) / geometry.chunkMs,
      },
    };
    await writeFile(join(this.#folder, 'run.json'), JSON.stringify(run));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#score[Symbol.asyncDispose]();
    await this.#decoder[Symbol.asyncDispose]();
    for (const executor of this.#executors) await executor[Symbol.asyncDispose]();
  }
}

/** PCM16 of a clip. */
export async function readPcm(path: string): Promise<Int16Array> {
  const bytes = await readFile(path);
  return new Int16Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
}

/** float32 latents of a clip. */
export async function readLatents(path: string): Promise<Float32Array> {
  const bytes = await readFile(path);
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
}

/** Returns a function that cuts the stretches into chunks, in a loop. A chunk is silent when all its samples are. */
function endless(stretches: readonly Stretch[], size: number): () => Stretch {
  let stretch = 0;
  let at = 0;
  return () => {
    const pcm = new Int16Array(size);
    let silent = true;
    for (let filled = 0; filled < size; ) {
      const current = stretches[stretch % stretches.length] as Stretch;
      const part = current.pcm.subarray(at, at + size - filled);
      pcm.set(part, filled);
      silent &&= current.silent;
      filled += part.length;
      at += part.length;
      if (at < current.pcm.length) continue;
      stretch += 1;
      at = 0;
    }
    return { pcm, silent };
  };
}

const bytesOf = (values: Float32Array): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength).slice();

async function append(stream: WriteStream, bytes: Uint8Array): Promise<void> {
  if (!stream.write(bytes)) await new Promise((resolve) => stream.once('drain', () => resolve(undefined)));
}

function ended(stream: WriteStream): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.once('error', reject);
    stream.end(() => resolve());
  });
}
