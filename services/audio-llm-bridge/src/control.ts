import { assertSessionId, MeshError } from '@talkmesh/contracts';
import { v1 } from '@talkmesh/contracts/protos';
import { type GrpcServiceImpl, unary } from '@talkmesh/service-kit';
import type { BridgeSession } from './session.js';
import { withoutMarkup } from './tts/spoken-text.js';

const MAX_TEXT_CHARACTERS = 2000;

interface SessionOnly {
  readonly sessionId: string;
}

/** gRPC ConversationService over the open sessions. */
export function conversationService(sessions: ReadonlyMap<string, BridgeSession>): GrpcServiceImpl {
  return {
    definition: v1.ConversationService.service,
    implementation: {
      say: unary(async ({ sessionId, text }: SessionOnly & { readonly text: string }, { signal }) => {
        const session = find(sessions, sessionId);
        return session.say(spokenText(text), signal);
      }),
      interrupt: unary(async ({ sessionId }: SessionOnly) => ({ interrupted: find(sessions, sessionId).interrupt() })),
      pause: unary(async ({ sessionId }: SessionOnly) => ({ paused: find(sessions, sessionId).pause() })),
      answerTool: unary(async ({ sessionId, callId, output }: SessionOnly & { callId: string; output: string }) => {
        find(sessions, sessionId).answerTool({ id: callId, output });
        return {};
      }),
      startInput: unary(async ({ sessionId }: SessionOnly) => ({ started: find(sessions, sessionId).input('start') })),
      commitInput: unary(async ({ sessionId }: SessionOnly) => ({
        committed: find(sessions, sessionId).input('commit'),
      })),
      cancelInput: unary(async ({ sessionId }: SessionOnly) => ({
        cancelled: find(sessions, sessionId).input('cancel'),
      })),
      resume: unary(async ({ sessionId }: SessionOnly) => ({ resumed: find(sessions, sessionId).resume() })),
    },
  };
}

function find(sessions: ReadonlyMap<string, BridgeSession>, sessionId: string): BridgeSession {
  const session = sessions.get(assertSessionId(sessionId));
  if (session !== undefined) return session;
  throw new MeshError('SESSION_NOT_FOUND', 'this bridge holds no session with this id');
}

/** @returns the text without markup and signs that are not spoken, which is also what captions show @throws MeshError ARGUMENT_INVALID */
export function spokenText(text: string): string {
  const { length } = text.trim();
  if (length > MAX_TEXT_CHARACTERS)
    throw new MeshError(
      'ARGUMENT_INVALID',
      `text has ${length} characters; at most ${MAX_TEXT_CHARACTERS} are allowed`,
    );
  const plain = withoutMarkup(text)
    .replace(/[^\S\n]+/g, ' ')
    .replace(/ ?\n\s*/g, '\n')
    .trim();
  if (!/[\p{L}\p{N}]/u.test(plain))
    throw new MeshError('ARGUMENT_INVALID', 'text must contain a letter or a digit to speak, besides markup and emoji');
  return plain;
}
