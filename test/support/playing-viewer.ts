/** A viewer without WebRTC: it plays the received chunks in real time and counts those that were late. */
import { setTimeout as sleep } from 'node:timers/promises';
import { decodeFrame } from '@talkmesh/contracts';
import { type Peers, tone } from '../../services/vae-decode/src/testing/index.js';

const FRAMES_PER_CHUNK = 12;
const CHUNK_MS = 480;
const TURN_EVERY_CHUNKS = 16;
const TURN_CHUNKS = 12;

export interface Seen {
  /** Time from requesting a chunk until its last frame arrived, one value for each chunk. */
  readonly latenciesMs: number[];
  late: number;
  /** Milliseconds by which a chunk may be late without being counted. */
  readonly toleranceMs: number;
  degraded: number;
}

/** Plays a session as the egress does, without showing frames: it reports the playhead and speaks a turn at fixed intervals. */
export class PlayingViewer {
  readonly sessionId: string;
  readonly #peers: Peers;
  readonly #seen: Seen;
  readonly #arrived = new Map<number, number>();
  #chunk = -1;
  #startMs = 0;
  #wantedMs = performance.now();
  #turn = 0;

  /** @param missedChunks chunks that were generated before this viewer subscribed, which is the lead of the score model */
  constructor(peers: Peers, sessionId: string, seen: Seen, missedChunks = 0) {
    this.sessionId = sessionId;
    this.#peers = peers;
    this.#seen = seen;
    for (let chunk = 0; chunk < missedChunks; chunk++) this.#arrived.set(chunk, performance.now());
  }

  listen(): void {
    this.#peers.egress.bus.subscribe('frame', this.sessionId, (payload) => {
      const { chunk, frame, degraded } = decodeFrame(payload);
      if (frame !== FRAMES_PER_CHUNK - 1 || this.#arrived.has(chunk)) return;
      const nowMs = performance.now();
      this.#arrived.set(chunk, nowMs);
      if (chunk < 2) return;
      this.#seen.latenciesMs.push(nowMs - this.#wantedMs);
      if (nowMs > this.#startMs + CHUNK_MS + this.#seen.toleranceMs) this.#seen.late += 1;
      if (degraded) this.#seen.degraded += 1;
    });
  }

  /** @param firstWords first chunk with speech */
  async watch(untilMs: number, firstWords = 2): Promise<void> {
    for (this.#chunk = 0; performance.now() < untilMs; this.#chunk++) {
      while (!this.#arrived.has(this.#chunk) && performance.now() < untilMs) await sleep(2);
      const dueMs = this.#startMs + CHUNK_MS;
      await sleep(this.#chunk === 0 ? 0 : Math.max(0, dueMs - performance.now()));
      this.#startMs = performance.now() - dueMs < 20 && this.#chunk > 0 ? dueMs : performance.now();
      this.#wantedMs = performance.now();
      this.#peers.playhead(this.sessionId, { chunk: this.#chunk, frame: 1, creditChunks: 2 });
      if (this.#chunk % TURN_EVERY_CHUNKS === firstWords)
        this.#peers.speak(this.sessionId, ++this.#turn, tone(TURN_CHUNKS * (CHUNK_MS / 1000)));
    }
  }
}
