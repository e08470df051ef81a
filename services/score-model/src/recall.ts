import {
  type AudioMessage,
  decodeAudio,
  decodeEvent,
  decodeLatent,
  decodePlayhead,
  LatentAssembler,
  type LatentMessage,
  MeshError,
  type MeshEvent,
  type RetainedStream,
} from '@talkmesh/contracts';
import type { Bus, RetainedMessage } from '@talkmesh/service-kit';
import type { Dated, Retained } from './resume.js';

export interface RecallReport {
  /** NATS did not answer for this stream. */
  failed(stream: RetainedStream, error: unknown): void;
  /** A retained message that makes no sense. */
  skipped(stream: RetainedStream, error: unknown): void;
}

/** Reads back what NATS retains of a session; what cannot be had is left out and told. */
export async function recallSession(
  bus: Bus,
  sessionId: string,
  deadlineMs: number,
  report: RecallReport,
): Promise<Retained> {
  const within = { deadlineMs };
  const failed =
    (stream: RetainedStream) =>
    (error: unknown): RetainedMessage[] => {
      report.failed(stream, error);
      return [];
    };
  const [latents, events, speech, playheads] = await Promise.all([
    bus.recall('latent', sessionId, within).catch(failed('latent')),
    bus.recall('event', sessionId, within).catch(failed('event')),
    bus.recall('speech', sessionId, within).catch(failed('speech')),
    bus.recall('playhead', sessionId, within).catch(failed('playhead')),
  ]);
  const read = { sessionId, report };
  return {
    latents: whole(decodeAll('latent', latents, decodeLatent, read).map(({ message }) => message)),
    events: decodeAll('event', events, decodeEvent, read),
    speech: decodeAll('speech', speech, decodeAudio, read),
    playhead: decodeAll('playhead', playheads, decodePlayhead, read).at(-1),
  };
}

/** Only the speech. @throws MeshError NATS_UNAVAILABLE */
export async function recallSpeech(
  bus: Bus,
  sessionId: string,
  deadlineMs: number,
  report: RecallReport,
): Promise<AudioMessage[]> {
  const retained = await bus.recall('speech', sessionId, { deadlineMs });
  return decodeAll('speech', retained, decodeAudio, { sessionId, report }).map(({ message }) => message);
}

/** Only the events. @throws MeshError NATS_UNAVAILABLE */
export async function recallEvents(
  bus: Bus,
  sessionId: string,
  deadlineMs: number,
  report: RecallReport,
): Promise<Dated<MeshEvent>[]> {
  return decodeAll('event', await bus.recall('event', sessionId, { deadlineMs }), decodeEvent, { sessionId, report });
}

function decodeAll<T extends { sid: string } | { sessionId: string }>(
  stream: RetainedStream,
  messages: readonly RetainedMessage[],
  decode: (payload: Uint8Array) => T,
  { sessionId, report }: { sessionId: string; report: RecallReport },
): Dated<T>[] {
  return messages.flatMap(({ payload, atMs }) => {
    try {
      const message = decode(payload);
      if (('sid' in message ? message.sid : message.sessionId) !== sessionId)
        throw new MeshError('MESSAGE_MALFORMED', "the message's session is not its subject's");
      return [{ message, atMs }];
    } catch (error) {
      report.skipped(stream, error);
      return [];
    }
  });
}

/** Chunks of which every part is there. */
function whole(parts: readonly LatentMessage[]): LatentMessage[] {
  const assembler = new LatentAssembler();
  return parts.flatMap((part) => assembler.push(part) ?? []);
}
