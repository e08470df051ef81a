import {
  type AudioMessage,
  decodeAudio,
  decodePlayhead,
  MeshError,
  type PlayheadMessage,
  SPEECH_RATE_HZ,
} from '@talkmesh/contracts';
import { type Bus, INSTANCE_HEADER, type Trail, trailOf } from '@talkmesh/service-kit';
import type { PauseRequest } from './pause.js';

export interface InboundHandlers {
  onSpeech(message: AudioMessage): void;
  /** Where a message of the turn comes from; before its `onSpeech`. */
  onTrail(turn: number, trail: Trail): void;
  onPlayhead(playhead: PlayheadMessage): void;
  onInterrupt(turn: number): void;
  onPause(request: PauseRequest): void;
  /** A flush published by another worker; `instance` is its id. */
  onFlush(epoch: number, instance: string): void;
}

/** Subscribes to a session's speech, playhead, interrupts and pauses. @returns ends the subscriptions */
export function listen(bus: Bus, sessionId: string, handlers: InboundHandlers): () => void {
  const subscriptions = [
    bus.subscribe('speech', sessionId, (payload, meta) => {
      const speech = decodeSpeech(payload);
      assertSession(speech.sessionId, sessionId);
      handlers.onTrail(speech.turn, trailOf(meta));
      handlers.onSpeech(speech);
    }),
    bus.subscribe('playhead', sessionId, (payload) => {
      const playhead = decodePlayhead(payload);
      assertSession(playhead.sessionId, sessionId);
      handlers.onPlayhead(playhead);
    }),
    bus.subscribeEvents(sessionId, (event, { headers }) => {
      if (event.type === 'interrupt') handlers.onInterrupt(event.turn);
      else if (event.type === 'pause' || event.type === 'resume') handlers.onPause(event);
      else if (event.type === 'flush') handlers.onFlush(event.epoch, headers?.get(INSTANCE_HEADER) ?? '');
    }),
  ];
  return () => {
    for (const subscription of subscriptions) subscription.unsubscribe();
  };
}

function assertSession(actual: string, expected: string): void {
  if (actual !== expected) throw new MeshError('MESSAGE_MALFORMED', "the message's session is not its subject's");
}

/** @throws MeshError MESSAGE_MALFORMED, MESSAGE_VERSION */
export function decodeSpeech(payload: Uint8Array): AudioMessage {
  const speech = decodeAudio(payload);
  if (speech.sampleRateHz === SPEECH_RATE_HZ && speech.turn > 0) return speech;
  throw new MeshError(
    'MESSAGE_MALFORMED',
    `speech is ${SPEECH_RATE_HZ} Hz and part of a turn, not ${speech.sampleRateHz} Hz of turn ${speech.turn}`,
  );
}
