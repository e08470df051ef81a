import type { FromViewer, PictureSetup, ToViewer } from '../viewer-messages.js';
import { Playout } from './playout.js';

export interface MediaOutlet {
  video(i420: Uint8Array): void;
  /** 10 ms of samples in their own buffer. */
  audio(samples: Int16Array): void;
}

/** A playout clock that runs on this process's timers while its connection can send. */
export class ClockedPlayout {
  readonly #playout: Playout;
  readonly #emit: (message: FromViewer) => void;
  #timer: NodeJS.Timeout | undefined;
  #running = false;

  constructor({ fps, sampleRateHz }: PictureSetup, outlet: MediaOutlet, emit: (message: FromViewer) => void) {
    this.#emit = emit;
    this.#playout = new Playout({
      fps,
      sampleRateHz,
      now: () => performance.now(),
      video: (i420) => outlet.video(i420),
      audio: (samples) => outlet.audio(samples),
      onPlayed: (report) => emit({ type: 'played', report }),
      onHeld: () => emit({ type: 'held' }),
      onStall: (stalledMs) => emit({ type: 'stalled', stalledMs }),
    });
  }

  handle(message: ToViewer): void {
    if (message.type === 'flush') {
      const serials = this.#playout.flush(message.epoch, message.fromChunk);
      if (message.isInterrupt) this.#playout.silence(message.epoch, message.fromChunk);
      if (serials.length > 0) this.#emit({ type: 'discarded', serials });
      return;
    }
    // Arrays from another process are views of a larger buffer, and native code would read that whole buffer.
    const { i420, pcm } = message.frame;
    this.#playout.push({ ...message.frame, i420: new Uint8Array(i420), pcm: new Int16Array(pcm) });
    if (this.#timer === undefined) this.#tick();
  }

  /** Lets the clock run or stops it; frames that were not played are kept. */
  run(running: boolean): void {
    this.#running = running;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (running) this.#tick();
    else this.#playout.pause();
  }

  #tick(): void {
    if (!this.#running) return;
    const waitMs = this.#playout.tick();
    this.#timer = waitMs === undefined ? undefined : setTimeout(() => this.#tick(), waitMs);
  }
}
