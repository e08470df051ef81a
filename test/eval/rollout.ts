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

/** Rendered and photographed people, whose true motion only their decoder can show; drawn faces are drawn by the training package. */
export const isMoved = ({ set }: Clip): boolean => set === 'rendered' || set === 'photographed';

/** A stretch of a long call. */
interface Stretch {
  readonly pcm: Int16Array;
  readonly silent: boolean;
}

/** What is decoded of a long call, whose every frame would take hours to decode and to read: windows around the start of a silence, every sixth frame. */
const WINDOW = { everyMs: 30_000, beforeMs: 1920, silentMs: 3840, stride: 6 };
/** Silence between the stretches of speech of a long call. */
const PAUSE_MS = 4000;

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
   * One long call in which speech and pauses take turns. All latents are written, and of windows the frames: some of speech, then some of silence.
   * @param call the name of its files, and who is seen @returns paths of the windows' frames, without their ending
   */
  async call(
    call: { readonly name: string; readonly avatar: string },
    speech: readonly Int16Array[],
    minutes: number,
    seed: number,
  ): Promise<string[]> {
    const { name, avatar } = call;
    const folder = join(this.#folder, name);
    await mkdir(folder, { recursive: true });
    const { samplesPerChunk, chunkMs, framesPerChunk } = this.#model.geometry;
    const pause = { pcm: new Int16Array(Math.round((PAUSE_MS * samplesPerChunk) / chunkMs)), silent: true };
    const stretches = speech.flatMap((pcm) => [{ pcm, silent: false }, pause]);
    const ahead = endless(stretches, samplesPerChunk);
    const silent = Array.from({ length: Math.floor((minutes * 60_000) / chunkMs) }, () => ahead().silent);
    const windows = windowsOf(silent, chunkMs);
    const latents = createWriteStream(join(this.#folder, `${name}.latents`));
    const scoreSession = await this.#score.openSession({ avatar, seed, keepChunks: 2 });
    const decoderSession = await this.#decoder.openSession({ avatar, keepChunks: 2 });
    const nextStretch = endless(stretches, samplesPerChunk);
    let [index, kept]: [number, Uint8Array[]] = [0, []];
    for (let chunk = 0; chunk < silent.length; chunk++) {
      const latent = await scoreSession.generate(chunk, nextStretch().pcm);
      if (latent === undefined) throw new Error('a chunk was abandoned');
      await append(latents, bytesOf(latent.values));
      const window = windows[index];
      // the chunk before a window gives the decoder its state
      if (window === undefined || chunk < window.first - 1) continue;
      const decoded = await decoderSession.decode(chunk, latent.values);
      if (decoded === undefined) throw new Error('a chunk was abandoned');
      if (chunk >= window.first) kept.push(...decoded.frames.map((frame) => Uint8Array.from(frame)));
      if (chunk < window.last) continue;
      await writeFile(join(folder, `${index}.i420`), Buffer.concat(kept.filter((_, at) => at % WINDOW.stride === 0)));
      [index, kept] = [index + 1, []];
    }
    scoreSession.dispose();
    decoderSession.dispose();
    await ended(latents);
    const about = {
      ...{ avatar, framesPerChunk, stride: WINDOW.stride, silentChunks: silent.map(Number) },
      windows: windows.map(({ first }, at) => ({ index: at, firstFrame: first * framesPerChunk })),
    };
    await writeFile(join(this.#folder, `${name}.json`), JSON.stringify(about));
    return windows.map((_, at) => join(folder, String(at)));
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

/**
 * First and last chunk of the windows of a long call, one in each half minute: around the first silence in it.
 * @param silent of each chunk
 */
export function windowsOf(silent: readonly boolean[], chunkMs: number): { first: number; last: number }[] {
  const chunks = (ms: number): number => Math.round(ms / chunkMs);
  const [before, after] = [chunks(WINDOW.beforeMs), chunks(WINDOW.silentMs)];
  const every = Math.floor(WINDOW.everyMs / chunkMs);
  const windows: { first: number; last: number }[] = [];
  for (let start = 0; start + every <= silent.length; start += every)
    for (let chunk = start + before + 1; chunk + after <= start + every; chunk++) {
      if (silent[chunk - 1] || !silent.slice(chunk, chunk + after).every(Boolean)) continue;
      windows.push({ first: chunk - before, last: chunk + after - 1 });
      break;
    }
  return windows;
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
