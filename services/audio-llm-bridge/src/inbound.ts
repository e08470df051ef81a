import { decodeAudio, decodePlayhead, MeshError, SPEECH_RATE_HZ } from '@talkmesh/contracts';
import type { Bus } from '@talkmesh/service-kit';
import type { StageInput } from './stage.js';

/** Numbers this far behind are no repetition: they wrapped around. */
const REPEATED_AT_MOST = 3000;

/** The session's three streams as stage inputs. What is malformed never gets here: the bus counts and drops it. */
export function subscribeInbound(bus: Bus, sessionId: string, onInput: (input: StageInput) => void): Disposable {
  let newest = Number.NEGATIVE_INFINITY;
  const subscriptions = [
    bus.subscribe('mic', sessionId, (payload) => {
      const { sampleRateHz, pcm, endOfTurn, sequence } = decodeAudio(payload);
      if (sampleRateHz !== SPEECH_RATE_HZ)
        throw new MeshError('MESSAGE_MALFORMED', `mic audio has ${SPEECH_RATE_HZ} Hz, not ${sampleRateHz}`);
      // After NATS was away its sender says again what may not have come.
      if (sequence <= newest && newest - sequence < REPEATED_AT_MOST) return;
      newest = sequence;
      onInput({ kind: 'mic', pcm, endOfTurn });
    }),
    bus.subscribeEvents(sessionId, (event) => onInput({ kind: 'event', event })),
    bus.subscribe('playhead', sessionId, (payload) => onInput({ kind: 'playhead', playhead: decodePlayhead(payload) })),
  ];
  return {
    [Symbol.dispose]() {
      for (const subscription of subscriptions) subscription.unsubscribe();
    },
  };
}
