import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { MeshError, SPEECH_RATE_HZ } from '@talkmesh/contracts';
import { Resampler, toPcm16 } from '@talkmesh/media';
import { detectLanguage, type ScriptRun, scriptRuns, voiceWrites } from './languages.js';
import { spokenForm, withoutMarkup } from './spoken-text.js';
import type { SpeechRequest, SpeechSynthesizer } from './synthesizer.js';
import { WavStream } from './wav-stream.js';

export interface EspeakOptions {
  /** Name or path of the program. */
  readonly command: string;
  readonly voice: string;
  readonly wordsPerMinute: number;
  /** Longest time for one text, milliseconds. */
  readonly deadlineMs: number;
}

interface EspeakSettings {
  readonly ttsCommand: string;
  readonly ttsVoice: string;
  readonly ttsWordsPerMinute: number;
  readonly ttsDeadlineMs: number;
}

/** The options that the settings of the bridge name. */
export const espeakOptions = (config: EspeakSettings): EspeakOptions => ({
  command: config.ttsCommand,
  voice: config.ttsVoice,
  wordsPerMinute: config.ttsWordsPerMinute,
  deadlineMs: config.ttsDeadlineMs,
});

const VOICE = /^[A-Za-z][A-Za-z0-9+_-]{0,39}$/;
const CHECK_DEADLINE_MS = 5000;
const MAX_OUTPUT_CHARACTERS = 16_384;

/** A part of a text with the voice that reads it. */
interface Passage {
  readonly voice: string;
  readonly text: string;
}

/** Some of the voices of espeak-ng; `espeak-ng --voices` lists them all, and `+f3` makes any of them another speaker. */
export const ESPEAK_VOICES = [
  'en-us',
  'en-us+f3',
  'en-gb',
  'en-gb+f3',
  'de',
  'es',
  'fr-fr',
  'it',
  'pt-br',
  'pl',
  'ru',
  'cmn',
  'ja',
  'ko',
  'hi',
  'ar',
];

/** The espeak-ng program: one process per passage of a text in one voice, text on stdin, WAV on stdout. */
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
        'the voice must be a name such as en-us or en-gb+f3; `espeak-ng --voices` lists the names',
      );
    const deadline = AbortSignal.timeout(this.#options.deadlineMs);
    for (const passage of await this.#passages(request.text, voice, request.voice !== '')) {
      request.signal.throwIfAborted();
      yield* this.#read(passage, request.signal, deadline);
    }
  }

  async *#read({ voice, text }: Passage, signal: AbortSignal, deadline: AbortSignal): AsyncIterable<Int16Array> {
    const speed = String(this.#options.wordsPerMinute);
    const child = this.#spawn(['--stdin', '--stdout', '-b', '1', '-v', voice, '-s', speed]);
    const stop = (): boolean => child.kill('SIGKILL');
    const stopped = AbortSignal.any([deadline, signal]);
    stopped.addEventListener('abort', stop, { once: true });
    try {
      const stderrText = collect(child);
      const end = closed(child);
      end.catch(() => {});
      child.stdin.on('error', () => {});
      child.stdin.end(text);
      yield* toSpeech(child.stdout);
      await end;
      signal.throwIfAborted();
      if (deadline.aborted)
        throw new MeshError(
          'DEADLINE_EXCEEDED',
          `text-to-speech took longer than ${this.#options.deadlineMs} ms; send a shorter text or raise TALKMESH_TTS_DEADLINE_MS`,
        );
      if (child.exitCode !== 0) throw failure(child, stderrText());
    } finally {
      stopped.removeEventListener('abort', stop);
      if (child.exitCode === null && child.signalCode === null) stop();
    }
  }

  /**
   * Divides a text by its scripts, each with a voice that reads it, and writes every part as it is spoken.
   * @param isGiven the voice was chosen by the caller, so a Latin text is not examined for its language
   * @throws MeshError ARGUMENT_INVALID: nothing is spoken, or no voice reads a script
   */
  async #passages(text: string, voice: string, isGiven: boolean): Promise<Passage[]> {
    const plain = withoutMarkup(text);
    const passages: Passage[] = [];
    for (const run of scriptRuns(plain)) {
      const own = await this.#voiceFor(run, voice, isGiven ? undefined : detectLanguage(plain));
      const spoken = spokenForm(run.text, own.split(/[-+]/)[0] ?? own);
      if (/[\p{L}\p{N}]/u.test(spoken)) passages.push({ voice: own, text: spoken });
    }
    if (passages.length > 0) return passages;
    throw new MeshError(
      'ARGUMENT_INVALID',
      'nothing of this text is spoken aloud; send words, not only markup or emoji',
    );
  }

  async #voiceFor(run: ScriptRun, voice: string, detected: string | undefined): Promise<string> {
    const suits = voiceWrites(voice, run);
    if (run.script === 'Latin') {
      if (detected !== undefined && !voice.startsWith(detected)) return detected;
      return suits ? voice : (run.languages[0] ?? voice);
    }
    const candidate = suits ? voice : run.languages[0];
    if (candidate !== undefined && (await this.#canRead(candidate, run.text))) return candidate;
    throw new MeshError(
      'ARGUMENT_INVALID',
      `espeak-ng has no voice here that reads ${run.script} letters as words; send the text in another script, or as speech`,
    );
  }

  /** A voice that does not know letters spells them in English, which its phonemes say: `(en)`. */
  async #canRead(voice: string, text: string): Promise<boolean> {
    const child = this.#spawn(['--stdin', '-q', '-x', '-b', '1', '-v', voice]);
    const timer = setTimeout(() => child.kill('SIGKILL'), CHECK_DEADLINE_MS);
    try {
      const phonemes = collect(child, child.stdout);
      child.stdin.on('error', () => {});
      child.stdin.end(text);
      child.stderr.resume();
      await closed(child);
      return child.exitCode === 0 && !phonemes().includes('(en)');
    } finally {
      clearTimeout(timer);
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

/** Resolves when the process has exited and its output was read. @throws MeshError TTS_UNAVAILABLE when it could not be started */
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

function failure(child: ChildProcessWithoutNullStreams, stderrText: string): MeshError {
  const outcome = child.exitCode === null ? `was killed by ${child.signalCode}` : `failed with code ${child.exitCode}`;
  if (/voice/i.test(stderrText)) return new MeshError('ARGUMENT_INVALID', `espeak-ng: ${stderrText}`);
  return new MeshError('PROVIDER_FAILED', `espeak-ng ${outcome}: ${stderrText || 'it printed no error message'}`);
}

function collect(child: ChildProcessWithoutNullStreams, output = child.stderr): () => string {
  let text = '';
  output.setEncoding('utf8');
  output.on('data', (part: string) => {
    if (text.length < MAX_OUTPUT_CHARACTERS) text += part;
  });
  return () => text.slice(0, MAX_OUTPUT_CHARACTERS).trim();
}
