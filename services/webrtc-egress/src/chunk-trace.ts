import type { FrameMessage, Ledger } from '@talkmesh/contracts';
import { isTraced, ledgerAfter, NO_TRACE, StageSpan, type Trail } from '@talkmesh/service-kit';

/** More chunks than the jitter buffer holds. */
const MAX_CHUNKS = 64;

/** The traces of one session's chunks: a span begins with the arrival of a chunk's first frame and ends when that is played. */
export class ChunkTrace {
  readonly #sessionId: string;
  readonly #trails = new Map<string, Trail>();
  #turn = 0;
  #chunk: string | undefined;
  /** Frames held since a chunk began to be played. */
  #held = 0;

  constructor(sessionId: string) {
    this.#sessionId = sessionId;
  }

  arrived(frame: FrameMessage, trail: Trail): void {
    if (frame.frame !== 0) return;
    this.#trails.set(keyOf(frame), trail);
    const [oldest] = this.#trails.keys();
    if (this.#trails.size > MAX_CHUNKS && oldest !== undefined) this.#trails.delete(oldest);
  }

  /** The frame before stayed longer than its time, because the next one was late. */
  held(): void {
    this.#held += 1;
  }

  /**
   * A frame was played. `publish` sends the playhead; with the first frame of a turn it also carries what every stage has taken, for the
   * bridge that waits for it. A chunk that was waited for is late, and has a span whether or not its turn is traced.
   */
  played(frame: FrameMessage, publish: (ledger?: Ledger) => void): void {
    const key = keyOf(frame);
    if (key === this.#chunk) {
      publish();
      return;
    }
    this.#chunk = key;
    const trail = this.#trails.get(key);
    this.#trails.delete(key);
    const heldFrames = this.#held;
    this.#held = 0;
    const isTurn = frame.turn > 0 && frame.turn !== this.#turn;
    this.#turn = frame.turn;
    const ledger = trail && ledgerAfter(trail, 'webrtc-egress');
    const publishFirst = (): void => (isTurn ? publish(ledger) : publish());
    if (!isTraced(trail?.context ?? NO_TRACE) && heldFrames === 0) {
      publishFirst();
      return;
    }
    const span = new StageSpan({
      name: 'play',
      stage: 'webrtc-egress',
      sessionId: this.#sessionId,
      parent: trail?.context ?? NO_TRACE,
      startMs: trail?.arrivedAtMs ?? performance.now(),
      attributes: {
        'talkmesh.turn': frame.turn,
        'talkmesh.chunk': frame.chunk,
        'talkmesh.epoch': frame.epoch,
        'talkmesh.held_frames': heldFrames,
      },
    });
    if (ledger !== undefined) span.setLedger(ledger);
    if (heldFrames > 0) span.keep();
    span.run(publishFirst);
    span.end();
  }
}

const keyOf = ({ epoch, chunk }: FrameMessage): string => `${epoch}.${chunk}`;
