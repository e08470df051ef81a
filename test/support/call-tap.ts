import {
  currentChunks,
  decodeFrame,
  decodeLatent,
  decodePlayhead,
  type EventBody,
  epochStarts,
  type FrameMessage,
  LatentAssembler,
  type LatentMessage,
  type MeshEvent,
  type PlayheadMessage,
} from '@talkmesh/contracts';
import { INSTANCE_HEADER, type MessageMeta } from '@talkmesh/service-kit';
import { createTestContext, type TestContext } from '@talkmesh/service-kit/testing';
import type { Mesh } from '../../deploy/local/src/mesh.js';
import { concatenate } from './speech.js';

const READ_BACK_MS = 5000;

export interface SeenFrame {
  readonly frame: FrameMessage;
  readonly by: string;
  /** Unix milliseconds of its arrival. */
  readonly atMs: number;
}

/** Subscribes to all streams of one call on NATS, beside its services. */
export class CallTap implements AsyncDisposable {
  /** Keyed by position; of each position the newest epoch, which is the one that is played. */
  readonly frames = new Map<number, SeenFrame>();
  /** Chunk to the score worker that generated it. */
  readonly makers = new Map<number, string>();
  readonly events: MeshEvent[] = [];
  readonly playheads: { readonly atMs: number; readonly playhead: PlayheadMessage }[] = [];
  readonly #sessionId: string;
  readonly #contexts: TestContext<object>[];

  private constructor(sessionId: string, contexts: TestContext<object>[]) {
    this.#sessionId = sessionId;
    this.#contexts = contexts;
  }

  static async open(mesh: Mesh, sessionId: string): Promise<CallTap> {
    const as = (name: 'webrtc-egress' | 'vae-decode' | 'audio-ingest') => {
      const env = mesh.natsEnvOf(name);
      const natsUser = env['TALKMESH_NATS_USER'] ?? '';
      const natsPasswordFile = env['TALKMESH_NATS_PASSWORD_FILE'] ?? '';
      return createTestContext(name, { natsUser, natsPasswordFile }, mesh.natsUrl);
    };
    const [egress, decoder, ingest] = await Promise.all([as('webrtc-egress'), as('vae-decode'), as('audio-ingest')]);
    const tap = new CallTap(sessionId, [egress, decoder, ingest]);
    egress.bus.subscribe('frame', sessionId, (payload, meta) => tap.#take(decodeFrame(payload), meta));
    egress.bus.subscribeEvents(sessionId, (event) => void tap.events.push(event));
    decoder.bus.subscribe('latent', sessionId, (payload, meta) => {
      tap.makers.set(decodeLatent(payload).chunk, senderOf(meta));
    });
    ingest.bus.subscribe('playhead', sessionId, (payload) => {
      tap.playheads.push({ atMs: performance.now(), playhead: decodePlayhead(payload) });
    });
    await Promise.all([egress, decoder, ingest].map(({ bus }) => bus.flush()));
    return tap;
  }

  /** The chunks that NATS retains and no flush has dropped, in order: of a short call all of them, also those from before the tap. */
  async chunks(): Promise<LatentMessage[]> {
    const [, decoder] = this.#contexts as [unknown, TestContext<object>];
    const retained = await decoder.bus.readBack('latent', this.#sessionId, { deadlineMs: READ_BACK_MS });
    const assembler = new LatentAssembler();
    const latents = retained.flatMap(({ payload }) => assembler.push(decodeLatent(payload)) ?? []);
    return [...currentChunks(latents, epochStarts(latents, this.events)).values()];
  }

  get playhead(): PlayheadMessage | undefined {
    return this.playheads.at(-1)?.playhead;
  }

  /** Reports voice activity as audio-ingest does. */
  hear(activity: Extract<EventBody, { readonly type: 'speech.started' | 'speech.stopped' }>): void {
    const [, , ingest] = this.#contexts;
    ingest?.bus.publishEvent({ sessionId: this.#sessionId, epoch: 0, turn: 0, ...activity });
  }

  /** Frames in the order they are played. */
  inOrder(): SeenFrame[] {
    return [...this.frames].sort(([a], [b]) => a - b).flatMap(([, seen]) => (this.#isCut(seen.frame) ? [] : [seen]));
  }

  /** Whether a flush stopped the player before this frame. Every frame of speech that is played has a playhead. */
  #isCut({ epoch, chunk, frame }: FrameMessage): boolean {
    const isCutBy = (event: MeshEvent): boolean =>
      event.type === 'flush' &&
      event.cutFrom !== undefined &&
      epoch < event.epoch &&
      chunk >= event.cutFrom &&
      chunk < event.fromChunk;
    const isPlayed = (at: PlayheadMessage): boolean =>
      at.epoch === epoch && (at.chunk > chunk || (at.chunk === chunk && at.frame >= frame));
    return this.events.some(isCutBy) && !this.playheads.some(({ playhead }) => isPlayed(playhead));
  }

  /** The audio of a turn's chunks, as it is played. */
  heard(turn: number): Int16Array {
    return concatenate(...this.inOrder().flatMap(({ frame }) => (frame.turn === turn ? [frame.pcm] : [])));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#contexts.map((context) => context[Symbol.asyncDispose]()));
  }

  #take(frame: FrameMessage, meta: MessageMeta): void {
    const position = frame.chunk * frame.framesInChunk + frame.frame;
    const known = this.frames.get(position);
    // Of two frames with one position and epoch the first is played, the other is a duplicate.
    if (known === undefined || frame.epoch > known.frame.epoch)
      this.frames.set(position, { frame, by: senderOf(meta), atMs: Date.now() });
  }
}

const senderOf = ({ headers }: MessageMeta): string => headers?.get(INSTANCE_HEADER) ?? '';
