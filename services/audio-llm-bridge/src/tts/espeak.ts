import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { MeshError, SPEECH_RATE_HZ } from '@talkmesh/contracts';
import { Resampler, toPcm16 } from '@talkmesh/media';
import type { SpeechRequest, SpeechSynthesizer } from './synthesizer.js';
import { WavStream } from './wav-stream.js';

export interface EspeakOptions {
  /** Name or path of the program. */
  readonly command: string;
  readonly voice: string;
  readonly wordsPerMinute: number;
  /** For one text, milliseconds. */
  readonly deadlineMs: number;
}

const VOICE = /^[A-Za-z][A-Za-z0-9+_-]{0,39}$/;
const CHECK_DEADLINE_MS = 5000;
const MAX_COMPLAINT_BYTES = 4096;

/** The espeak-ng program: one process per text, text on stdin, WAV on stdout. */
export class Espeak implements SpeechSynthesizer {
  readonly name = 'espeak-ng';
  readonly #options: EspeakOptions;

  constructor(options: EspeakOptions) {
    this.#options = options;
  }

  async check(): Promise<void> {
    const child = this.#spawn(['--version']);
    child.stdin.end();
    child.stdout.resume();
    const timer = setTimeout(() => child.kill('SIGKILL'), CHECK_DEADLINE_MS);
    try {
      await closed(child);
      if (child.exitCode !== 0) throw unavailable(`${this.#options.command} --version failed`);
    } finally {
      clearTimeout(timer);
    }
  }

  async *speak(request: SpeechRequest): AsyncIterable<Int16Array> {
    const voice = request.voice === '' ? this.#options.voice : request.voice;
    if (!VOICE.test(voice))
      throw new MeshError(
        'ARGUMENT_INVALID',
        'a voice is a name such as en-us or en-gb+f3; `espeak-ng --voices` lists them',
      );
    request.signal.throwIfAborted();
    const child = this.#spawn([
      '--stdin',
      '--stdout',
      '-b',
      '1',
      '-v',
      voice,
      '-s',
      String(this.#options.wordsPerMinute),
    ]);
    const deadline = AbortSignal.timeout(this.#options.deadlineMs);
    const stop = (): boolean => child.kill('SIGKILL');
    const stopped = AbortSignal.any([deadline, request.signal]);
    stopped.addEventListener('abort', stop, { once: true });
    try {
      const complaint = collect(child);
      const end = closed(child);
      end.catch(() => {});
      child.stdin.on('error', () => {});
      child.stdin.end(request.text);
      yield* toSpeech(child.stdout);
      await end;
      request.signal.throwIfAborted();
      if (deadline.aborted)
        throw new MeshError('DEADLINE_EXCEEDED', `text-to-speech took longer than ${this.#options.deadlineMs} ms`);
      if (child.exitCode !== 0) throw failed(child, complaint());
    } finally {
      stopped.removeEventListener('abort', stop);
      if (child.exitCode === null && child.signalCode === null) stop();
    }
  }

  #spawn(args: readonly string[]): ChildProcessWithoutNullStreams {
    return spawn(this.#options.command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  }
}

async function* toSpeech(stdout: AsyncIterable<Buffer>): AsyncIterable<Int16Array> {
  const wav = new WavStream();
  let resampler: Resampler | undefined;
  for await (const bytes of stdout) {
    const pcm = wav.push(bytes);
    if (pcm.length === 0) continue;
    resampler ??= new Resampler(wav.rateHz, SPEECH_RATE_HZ);
    const speech = toPcm16(resampler.push(pcm));
    if (speech.length > 0) yield speech;
  }
  const rest = resampler === undefined ? undefined : toPcm16(resampler.flush());
  if (rest !== undefined && rest.length > 0) yield rest;
}

/** Settles when the process is gone and its output was read. @throws MeshError TTS_UNAVAILABLE when it could not be started */
async function closed(child: ChildProcessWithoutNullStreams): Promise<void> {
  try {
    await once(child, 'close');
  } catch (error) {
    throw unavailable((error as Error).message, error);
  }
}

function unavailable(why: string, cause?: unknown): MeshError {
  return new MeshError(
    'TTS_UNAVAILABLE',
    `text-to-speech needs the program espeak-ng (${why}); install it, for example: apt-get install espeak-ng`,
    { cause },
  );
}

function failed(child: ChildProcessWithoutNullStreams, complaint: string): MeshError {
  const outcome = child.exitCode === null ? `was ended by ${child.signalCode}` : `failed with code ${child.exitCode}`;
  if (/voice/i.test(complaint)) return new MeshError('ARGUMENT_INVALID', `espeak-ng: ${complaint}`);
  return new MeshError('PROVIDER_FAILED', `espeak-ng ${outcome}: ${complaint || 'it said nothing'}`);
}

function collect(child: ChildProcessWithoutNullStreams): () => string {
  let text = '';
  child.stderr.setEncoding('utf8');
  child.stderr.on('data', (part: string) => {
    if (text.length < MAX_COMPLAINT_BYTES) text += part;
  });
  return () => text.slice(0, MAX_COMPLAINT_BYTES).trim();
}
