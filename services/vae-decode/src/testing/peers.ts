/** The neighbours of score-model and vae-decode in a call, as a test plays them. */
import {
  decodeFrame,
  encodeAudio,
  encodePlayhead,
  type FrameMessage,
  type MeshEvent,
  type PlayheadMessage,
} from '@talkmesh/contracts';
import { waitUntil } from '@talkmesh/service-kit';
import { createTestContext, type TestContext } from '@talkmesh/service-kit/testing';

const PATIENCE_MS = 30_000;
/** 20 ms at 24 kHz. */
const BLOCK = 480;

export class Peers implements AsyncDisposable {
  readonly bridge: TestContext<object>;
  readonly egress: TestContext<object>;
  readonly #frames = new Map<string, FrameMessage[]>();
  readonly #events = new Map<string, MeshEvent[]>();

  private constructor(bridge: TestContext<object>, egress: TestContext<object>) {
    this.bridge = bridge;
    this.egress = egress;
  }

  static async connect(natsUrl: string): Promise<Peers> {
    const bridge = await createTestContext('audio-llm-bridge', undefined, natsUrl);
    return new Peers(bridge, await createTestContext('webrtc-egress', undefined, natsUrl));
  }

  async watch(sessionId: string): Promise<void> {
    const [frames, events]: [FrameMessage[], MeshEvent[]] = [[], []];
    this.#frames.set(sessionId, frames);
    this.#events.set(sessionId, events);
    this.egress.bus.subscribe('frame', sessionId, (payload) => void frames.push(decodeFrame(payload)));
    this.egress.bus.subscribeEvents(sessionId, (event) => void events.push(event));
    await this.egress.bus.flush();
  }

  frames(sessionId: string): readonly FrameMessage[] {
    return this.#frames.get(sessionId) ?? [];
  }

  events(sessionId: string): readonly MeshEvent[] {
    return this.#events.get(sessionId) ?? [];
  }

  /** Waits until there are `count` frames. */
  async framesUntil(sessionId: string, count: number): Promise<readonly FrameMessage[]> {
    await waitUntil(() => this.frames(sessionId).length >= count, PATIENCE_MS);
    return this.frames(sessionId);
  }

  /** Publishes a turn's speech in 20 ms messages, all at once. */
  speak(sessionId: string, turn: number, pcm: Int16Array, endOfTurn = true): void {
    for (let at = 0; at < pcm.length; at += BLOCK) {
      const last = at + BLOCK >= pcm.length;
      const block = pcm.slice(at, at + BLOCK);
      this.bridge.bus.publish('speech', sessionId, speech(sessionId, turn, at / BLOCK, block, endOfTurn && last));
    }
  }

  playhead(sessionId: string, position: Pick<PlayheadMessage, 'chunk' | 'frame' | 'creditChunks'>): void {
    const mediaTimeUs = (position.chunk * 12 + position.frame) * 40_000;
    const rest = { epoch: 0, turn: 0, deadlineUs: 0, heldFrames: 0, turnPlayedMs: 0 };
    this.egress.bus.publish('playhead', sessionId, encodePlayhead({ sessionId, mediaTimeUs, ...rest, ...position }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.bridge[Symbol.asyncDispose]();
    await this.egress[Symbol.asyncDispose]();
  }
}

export function speech(
  sessionId: string,
  turn: number,
  sequence: number,
  pcm: Int16Array,
  endOfTurn: boolean,
): Uint8Array {
  const header = { sessionId, epoch: 0, turn, chunk: 0, mediaTimeUs: 0, deadlineUs: 0 };
  return encodeAudio({ ...header, sequence, sampleRateHz: 24_000, pcm, fromSample: sequence * BLOCK, endOfTurn });
}

/** A tone that swells, so that every chunk sounds different. */
export function tone(seconds: number, hz = 220): Int16Array {
  return Int16Array.from({ length: Math.round(seconds * 24_000) }, (_, i) =>
    Math.round((4000 + (i % 20_000) / 2) * Math.sin((2 * Math.PI * hz * i) / 24_000)),
  );
}
