import {
  decodeEvent,
  decodeLatent,
  decodePlayhead,
  LatentAssembler,
  type LatentMessage,
  MeshError,
  type MeshEvent,
  type PlayheadMessage,
  type RetainedStream,
} from '@talkmesh/contracts';
import type { Logger } from './logging.js';
import type { Counter, Metrics } from './metrics.js';
import type { RetainedMessage } from './retention.js';

/** A retained message, decoded, and when NATS took it in, unix milliseconds. */
export interface Dated<T> {
  readonly message: T;
  readonly atMs: number;
}

/** Decodes what NATS retains of sessions. A message that makes no sense is skipped and counted; a stream that cannot be read counts as empty, and is told. */
export class RetainedReader {
  readonly #log: Logger;
  readonly #skipped: Counter;

  constructor(log: Logger, metrics: Metrics) {
    this.#log = log;
    this.#skipped = metrics.counter('talkmesh_retained_skipped_total', 'Retained messages that were not valid', [
      'stream',
    ]);
  }

  /** @param recalled what `Bus.recall` promised */
  async read<T extends { readonly sid: string } | { readonly sessionId: string }>(
    stream: RetainedStream,
    sessionId: string,
    recalled: Promise<readonly RetainedMessage[]>,
    decode: (payload: Uint8Array) => T,
  ): Promise<Dated<T>[]> {
    const messages = await recalled.catch((err: unknown) => {
      this.#log.warn({ err, stream, session_id: sessionId }, 'what NATS retains could not be read');
      return [];
    });
    return messages.flatMap(({ payload, atMs }) => {
      try {
        const message = decode(payload);
        if (('sid' in message ? message.sid : message.sessionId) !== sessionId)
          throw new MeshError('MESSAGE_MALFORMED', "the message's session is not its subject's");
        return [{ message, atMs }];
      } catch (err) {
        this.#skipped.inc({ stream });
        this.#log.warn({ err, stream, session_id: sessionId }, 'a retained message is not valid and was skipped');
        return [];
      }
    });
  }

  events(sessionId: string, recalled: Promise<readonly RetainedMessage[]>): Promise<Dated<MeshEvent>[]> {
    return this.read('event', sessionId, recalled, decodeEvent);
  }

  async playhead(
    sessionId: string,
    recalled: Promise<readonly RetainedMessage[]>,
  ): Promise<Dated<PlayheadMessage> | undefined> {
    return (await this.read('playhead', sessionId, recalled, decodePlayhead)).at(-1);
  }

  /** Chunks of which every part is there. */
  async latents(sessionId: string, recalled: Promise<readonly RetainedMessage[]>): Promise<LatentMessage[]> {
    const parts = await this.read('latent', sessionId, recalled, decodeLatent);
    const assembler = new LatentAssembler();
    return parts.flatMap(({ message }) => assembler.push(message) ?? []);
  }
}
