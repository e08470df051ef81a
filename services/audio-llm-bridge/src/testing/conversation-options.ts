import type { ConversationOptions } from '../conversation-messages.js';

/** A conversation with a provider through which the product speaks. Tests replace what they are about. */
export const CONVERSATION_OPTIONS: ConversationOptions = {
  provider: { name: 'external', vad: 'none', source: 'external' },
  bargeIn: true,
  bargeInGuardMs: 300,
  bargeInSpeechMs: 300,
  bargeInHoldMs: 1500,
  backChannel: 'ignore',
  input: 'voice-activity',
  language: 'en',
  aheadMs: 10_000,
  maxTurnMs: 60_000,
};
