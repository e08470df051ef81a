import {
  decodeEvent,
  decodeLatent,
  decodePlayhead,
  LatentAssembler,
  type LatentMessage,
  MeshError,
  type MeshEvent,
  type PlayheadMessage,
  RETAINED_STREAMS,
  type RetainedStream,
} from '@talkmesh/contracts';
import {
  type Counter,
  type Logger,
  type Metrics,
  type RetainedMessage,
  readBackTrail,
  type Trail,
} from '@talkmesh/service-kit';

/** A decoded retained message, and when NATS stored it, unix milliseconds. */
export interface Dated<T> {
  readonly message: T;
  readonly atMs: number;
}

/** Is given each message that was read back, and what came with it. */
export type OnReadBack<T> = (message: T, trail: Trail) => void;

/** Decodes what NATS retains of sessions. An invalid message is skipped and counted; a stream that cannot be read counts as empty and is logged. */
export class RetainedReader {
  readonly #log: Logger;
  readonly #skipped: Counter;

  constructor(log: Logger, metrics: Metrics) {
    this.#log = log;
    this.#skipped = metrics.counter(
      'talkmesh_retained_skipped_total',
      'Retained messages that were invalid and skipped',
      ['stream'],
      { stream: RETAINED_STREAMS },
    );
  }

  /** @param retained the result of `Bus.readBack` */
  async read<T extends { readonly sessionId: string }>(
    stream: RetainedStream,
    sessionId: string,
    retained: Promise<readonly RetainedMessage[]>,
    decode: (payload: Uint8Array) => T,
    onReadBack?: OnReadBack<T>,
  ): Promise<Dated<T>[]> {
    const messages = await retained.catch((err: unknown) => {
      this.#log.warn({ err, stream, sessionId }, 'the retained messages could not be read back');
      return [];
    });
    return messages.flatMap((retained) => {
      try {
        const message = decode(retained.payload);
        if (message.sessionId !== sessionId)
          throw new MeshError('MESSAGE_MALFORMED', "the message's session is not its subject's");
        onReadBack?.(message, readBackTrail(retained));
        return [{ message, atMs: retained.atMs }];
      } catch (err) {
        this.#skipped.inc({ stream });
        this.#log.warn({ err, stream, sessionId }, 'a retained message is invalid and was skipped');
        return [];
      }
    });
  }

  events(sessionId: string, retained: Promise<readonly RetainedMessage[]>): Promise<Dated<MeshEvent>[]> {
    return this.read('event', sessionId, retained, decodeEvent);
  }

  async playhead(
    sessionId: string,
    retained: Promise<readonly RetainedMessage[]>,
  ): Promise<Dated<PlayheadMessage> | undefined> {
    return (await this.read('playhead', sessionId, retained, decodePlayhead)).at(-1);
  }

  /** Complete chunks: those of which every part is retained. */
  async latents(
    sessionId: string,
    retained: Promise<readonly RetainedMessage[]>,
    onReadBack?: OnReadBack<LatentMessage>,
  ): Promise<LatentMessage[]> {
    const assembler = new LatentAssembler();
    const chunks: LatentMessage[] = [];
    await this.read('latent', sessionId, retained, decodeLatent, (part, trail) => {
      const chunk = assembler.push(part);
      if (chunk === undefined) return;
      chunks.push(chunk);
      onReadBack?.(chunk, trail);
    });
    return chunks;
  }
}
