/** Why a microphone is of little use. */
export type MicProblem = 'silent' | 'too-quiet' | 'clipped';

export interface MicCheckOptions {
  /** Speech below this level is too quiet, dB of full scale (root mean square). */
  readonly quietDbfs: number;
  /** Digital silence of this duration is a problem from the start, milliseconds; once sound was heard, `HEARD_FACTOR` times as much. */
  readonly silentMs: number;
}

export interface MicChange {
  /** `problem` began, or is over. */
  readonly type: 'problem' | 'recovered';
  readonly code: MicProblem;
}

/** The newest 10 s of sound, in messages of 20 ms, are judged once a second. */
const FRAME_MS = 20;
const WINDOW_FRAMES = 500;
const EVERY_FRAMES = 50;
/** Decoders and resamplers turn digital silence into samples of this size at most; room noise is louder. */
const SILENT_PEAK = 2;
/** Longest digital silence between two sentences. */
const PAUSE_MS = 2000;
/** Noise suppression and push-to-talk make digital silence too, so a microphone that worked may be silent for longer. */
const HEARD_FACTOR = 6;
/** Speech is this far above the noise, which is the level of the quietest fifth of the window, and not below the second level. */
const ABOVE_NOISE_DB = 9;
const LOWEST_SPEECH_DBFS = -62;
const NOISE_SHARE = 0.2;
/** Sounds that vary less are noise, such as that of a fan. */
const LEAST_RANGE_DB = 12;
/** Less speech in a window proves nothing. */
const LEAST_SPEECH_FRAMES = 100;
/** A level that wavers around the limit is one problem, not many. */
const HYSTERESIS_DB = 3;
/** A caller who was heard well a moment ago is not too quiet: the voice is another one, or farther away. */
const HEARD_WELL_FRAMES = 1500;
/** A message is clipped when this many of its samples are at the limit of the format, or nearly; a lossy codec rounds the edges. */
const CLIPPED_SAMPLE = 32_000;
const CLIPPED_SAMPLES = 5;
const CLIPPED_SHARE = 0.25;
const UNCLIPPED_SHARE = 0.05;

interface Frame {
  readonly dbfs: number;
  readonly isClipped: boolean;
}

/** Tells when a microphone gives digital silence, speech that is too quiet, or distorted speech, and when that is over. Pure: time is counted in samples. */
export class MicCheck {
  readonly #options: MicCheckOptions;
  #frames: Frame[] = [];
  #count = 0;
  #silentMs = 0;
  #wasHeard = false;
  #heardWellAt = Number.NEGATIVE_INFINITY;
  #problem: MicProblem | undefined;

  constructor(options: MicCheckOptions) {
    this.#options = options;
  }

  /** @param pcm 20 ms of audio @returns at most the end of one problem and the begin of another, in this order */
  push(pcm: Int16Array): MicChange[] {
    const { frame, peak } = measure(pcm);
    this.#count += 1;
    this.#frames.push(frame);
    if (this.#frames.length > WINDOW_FRAMES) this.#frames.shift();
    if (peak <= SILENT_PEAK) {
      this.#silentMs += FRAME_MS;
      // Between words it is noise suppression; when it lasts, it says nothing about the noise of the room.
      if (this.#silentMs >= PAUSE_MS) this.#frames = [];
      const limitMs = this.#options.silentMs * (this.#wasHeard ? HEARD_FACTOR : 1);
      return this.#silentMs >= limitMs ? this.#change('silent') : [];
    }
    this.#silentMs = 0;
    this.#wasHeard = true;
    const changes = this.#problem === 'silent' ? this.#change(undefined) : [];
    if (this.#count % EVERY_FRAMES !== 0) return changes;
    const found = this.#judge();
    return found === 'unknown' ? changes : [...changes, ...this.#change(found)];
  }

  /** The microphone is gone, and its problem with it. */
  end(): MicChange[] {
    return this.#change(undefined);
  }

  #judge(): Exclude<MicProblem, 'silent'> | undefined | 'unknown' {
    const levels = this.#frames.map(({ dbfs }) => dbfs).sort((a, b) => a - b);
    const noise = levels[Math.floor(levels.length * NOISE_SHARE)] ?? 0;
    const loudest = levels[Math.floor(levels.length * 0.95)] ?? 0;
    const lowest = Math.max(noise + ABOVE_NOISE_DB, LOWEST_SPEECH_DBFS);
    const speech = this.#frames.filter(({ dbfs }) => dbfs >= lowest);
    if (speech.length < LEAST_SPEECH_FRAMES || loudest - noise < LEAST_RANGE_DB) return 'unknown';
    const clipped = speech.filter(({ isClipped }) => isClipped).length / speech.length;
    if (clipped >= (this.#problem === 'clipped' ? UNCLIPPED_SHARE : CLIPPED_SHARE)) return 'clipped';
    const power = speech.reduce((sum, { dbfs }) => sum + 10 ** (dbfs / 10), 0) / speech.length;
    const isQuiet = this.#problem === 'too-quiet';
    if (10 * Math.log10(power) >= this.#options.quietDbfs + (isQuiet ? HYSTERESIS_DB : 0)) {
      this.#heardWellAt = this.#count;
      return undefined;
    }
    return this.#count - this.#heardWellAt > HEARD_WELL_FRAMES ? 'too-quiet' : undefined;
  }

  #change(to: MicProblem | undefined): MicChange[] {
    const from = this.#problem;
    if (from === to) return [];
    this.#problem = to;
    return [
      ...(from === undefined ? [] : [{ type: 'recovered', code: from } as const]),
      ...(to === undefined ? [] : [{ type: 'problem', code: to } as const]),
    ];
  }
}

function measure(pcm: Int16Array): { frame: Frame; peak: number } {
  let [energy, peak, clipped] = [0, 0, 0];
  for (const sample of pcm) {
    const size = Math.abs(sample);
    energy += size * size;
    if (size > peak) peak = size;
    if (size >= CLIPPED_SAMPLE) clipped += 1;
  }
  const power = energy / Math.max(1, pcm.length) / 32_768 ** 2;
  return { frame: { dbfs: 10 * Math.log10(Math.max(power, 1e-10)), isClipped: clipped >= CLIPPED_SAMPLES }, peak };
}

const TEXTS: Readonly<Record<MicProblem, string>> = {
  silent:
    'The microphone sends digital silence. Check that it is not muted in the system or by a switch, and that the right device is chosen.',
  'too-quiet': 'The microphone is too quiet. Come closer, or raise its level in the settings of the system.',
  clipped:
    'The microphone is too loud, and the voice is distorted. Move away from it, or lower its level in the settings of the system.',
};

/** What a user can do about it. */
export const textOf = (problem: MicProblem): string => TEXTS[problem];
