import type { Flush } from './inbound.js';
import type { EgressMetrics } from './metrics.js';
import type { EgressSession } from './session.js';
import type { FromViewer, ToViewer } from './viewer-messages.js';

export interface RemotePlayoutOptions {
  readonly session: EgressSession;
  readonly metrics: EgressMetrics;
  /** Label of the lateness metric. */
  readonly sink: 'webrtc' | 'livekit';
  /** Frames handed to the playout clock ahead of their time. */
  readonly playoutFrames: number;
  /** Sends to the playout clock in the child process. @returns false when the child does not take it */
  readonly post: (message: ToViewer) => boolean;
}

/** The service's end of a playout clock in a child process: keeps it a few frames ahead and passes on what it reports. */
export class RemotePlayout {
  readonly #options: RemotePlayoutOptions;
  /** When the viewer was asked for or lost, by performance.now(); undefined once it has a frame. */
  #waitingSinceMs: number | undefined = performance.now();

  constructor(options: RemotePlayoutOptions) {
    this.#options = options;
  }

  pump(): void {
    const { session, post, playoutFrames } = this.#options;
    for (let taken = session.take(playoutFrames); taken !== undefined; taken = session.take(playoutFrames)) {
      const { serial, frame } = taken;
      const { epoch, chunk, i420, pcm } = frame;
      if (!post({ type: 'frame', frame: { serial, epoch, chunk, i420, pcm } })) session.discarded([serial]);
    }
  }

  flush({ epoch, fromChunk, isInterrupt }: Flush): void {
    this.#options.post({ type: 'flush', epoch, fromChunk, isInterrupt });
  }

  receive(message: FromViewer): void {
    const { session, metrics, sink } = this.#options;
    if (message.type === 'held') session.held();
    else if (message.type === 'stalled') metrics.stalls.inc();
    else if (message.type === 'discarded') session.discarded(message.serials);
    else {
      const { serial, lateMs, skewMs } = message.report;
      if (this.#waitingSinceMs !== undefined)
        metrics.firstFrame.observe((performance.now() - this.#waitingSinceMs) / 1000);
      this.#waitingSinceMs = undefined;
      metrics.skew.observe(Math.abs(skewMs) / 1000);
      metrics.lateness.observe({ sink }, lateMs / 1000);
      session.played(serial, lateMs);
    }
  }
}
