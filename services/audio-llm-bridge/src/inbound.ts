import { decodeAudio, decodePlayhead, MeshError, SPEECH_RATE_HZ } from '@talkmesh/contracts';
import { type Bus, type Trail, trailOf } from '@talkmesh/service-kit';
import type { ConversationInput } from './conversation-messages.js';

/** A sequence number further behind than this is no duplicate: the counter has wrapped around. */
const MAX_DUPLICATE_DISTANCE = 3000;

/** Passes the session's three streams on as inputs of its conversation. The bus counts and drops malformed messages. */
export function subscribeInbound(
  bus: Bus,
  sessionId: string,
  onInput: (input: ConversationInput, trail: Trail) => void,
): Disposable {
  let newest = Number.NEGATIVE_INFINITY;
  const subscriptions = [
    bus.subscribe('mic', sessionId, (payload, meta) => {
      const { sampleRateHz, pcm, endOfTurn, sequence } = decodeAudio(payload);
      if (sampleRateHz !== SPEECH_RATE_HZ)
        throw new MeshError(
          'MESSAGE_MALFORMED',
          `microphone audio must have ${SPEECH_RATE_HZ} Hz, not ${sampleRateHz}`,
        );
      // After a NATS outage the sender republishes what may not have arrived.
      if (sequence <= newest && newest - sequence < MAX_DUPLICATE_DISTANCE) return;
      newest = sequence;
      onInput({ kind: 'mic', pcm, endOfTurn }, trailOf(meta));
    }),
    bus.subscribeEvents(sessionId, (event, meta) => onInput({ kind: 'event', event }, trailOf(meta))),
    bus.subscribe('playhead', sessionId, (payload, meta) =>
      onInput({ kind: 'playhead', playhead: decodePlayhead(payload) }, trailOf(meta)),
    ),
  ];
  return {
    [Symbol.dispose]() {
      for (const subscription of subscriptions) subscription.unsubscribe();
    },
  };
}
