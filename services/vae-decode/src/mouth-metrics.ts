import type { MouthReader } from '@talkmesh/inference';
import type { Counter, Histogram, Metrics } from '@talkmesh/service-kit';
import { MouthMonitor, type MouthReport } from './mouth-monitor.js';
import type { MouthWatch } from './scheduler.js';

const APART_BUCKETS = [0.02, 0.04, 0.06, 0.08, 0.12, 0.16, 0.2, 0.24, 0.28, 0.32];
/** More chunks than this are never flushed at once. */
const FLUSHABLE_CHUNKS = 32;
const CORRELATION_BUCKETS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1];

/** Exports how well the mouths of this worker's sessions fit their sound. */
export class MouthMetrics {
  readonly #reader: MouthReader;
  readonly #fps: number;
  readonly #silent: Counter;
  readonly #apart: Histogram;
  readonly #correlation: Histogram;

  constructor(reader: MouthReader, fps: number, metrics: Metrics) {
    this.#reader = reader;
    this.#fps = fps;
    this.#silent = metrics.counter('talkmesh_silent_frames_total', 'Frames in silence by how the mouth is', ['mouth']);
    this.#apart = metrics.histogram(
      'talkmesh_mouth_apart_seconds',
      'Time between the mouth and the sound it belongs to, by which is ahead, for every four seconds of speech',
      ['ahead'],
      APART_BUCKETS,
    );
    this.#correlation = metrics.histogram(
      'talkmesh_mouth_correlation_ratio',
      'Correlation of the opening of the mouth with the loudness, for every four seconds of speech',
      [],
      CORRELATION_BUCKETS,
    );
  }

  /** Watches one session. Its chunks come in order of time; held ones, which show an older mouth, are left out. */
  session(): MouthWatch {
    const monitor = new MouthMonitor(this.#fps);
    /** The last latent frame of the newest chunks, by chunk: one that was flushed is followed by an older one again. */
    const lastFrames = new Map<number, Float32Array>();
    return {
      add: ({ chunk, values, pcm }) => {
        const openings = this.#reader.openings(values, lastFrames.get(chunk - 1));
        lastFrames.set(chunk, this.#reader.lastFrame(values));
        lastFrames.delete(chunk - FLUSHABLE_CHUNKS);
        this.#count(monitor.add(chunk, openings, pcm));
      },
    };
  }

  #count({ silent, speech }: MouthReport): void {
    this.#silent.inc({ mouth: 'open' }, silent.open);
    this.#silent.inc({ mouth: 'closed' }, silent.closed);
    if (speech === undefined) return;
    this.#correlation.observe(speech.correlation);
    if (speech.lagS !== undefined)
      this.#apart.observe({ ahead: speech.lagS < 0 ? 'mouth' : 'sound' }, Math.abs(speech.lagS));
  }
}
