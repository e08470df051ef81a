import type { InputProblem, Message, TalkMeshError } from '@talkmesh/client';

type ErrorDetails = Pick<TalkMeshError, 'reason' | 'message' | 'retryAfterMs'>;

const tryAgainIn = (error: ErrorDetails): string =>
  `Try again in ${Math.max(1, Math.ceil((error.retryAfterMs ?? 1000) / 1000))} s.`;

const KEY_NEEDED: Message = {
  title: 'The API key is missing or not valid.',
  text: 'Open the link that was printed when talkmesh started, or enter the key.',
  mild: false,
};

const CALL_ENDED: Message = { title: 'The call has ended.', text: 'Press Call to start a new one.', mild: false };

/** The server says in its message what to do. */
const byServer =
  (title: string, mild = false) =>
  ({ message }: ErrorDetails): Message => ({ title, text: message, mild });

const notReady = (error: ErrorDetails): Message => ({
  title: 'The server is not ready.',
  text: `${error.message} ${tryAgainIn(error)}`,
  mild: false,
});

const ADVICE: Readonly<Record<string, (error: ErrorDetails) => Message>> = {
  MIC_DENIED: () => ({
    title: 'The microphone is blocked.',
    text: 'Allow it in the address bar and call again. You can still type a line below.',
    mild: true,
  }),
  MIC_MISSING: (error) => ({
    title: 'The microphone cannot be used.',
    text: `${error.message} You can still type a line below.`,
    mild: true,
  }),
  SPEAKER_MISSING: byServer('The speaker cannot be used.', true),
  TTS_UNAVAILABLE: byServer('Typed lines cannot be spoken.', true),
  ARGUMENT_INVALID: byServer('This cannot be done.', true),
  BODY_TOO_LARGE: byServer('This is too large.', true),
  AVATAR_NOT_FOUND: byServer('This avatar is not there any more.'),
  AVATAR_LIMIT: byServer('The server keeps no more pictures.'),
  PROVIDER_UNKNOWN: () => ({
    title: 'The chosen conversation provider is not there any more.',
    text: 'Choose another one in the settings, then call again.',
    mild: false,
  }),
  PERMISSION_DENIED: byServer('This is not allowed here.'),
  RECORDING_UNAVAILABLE: byServer('The call cannot be recorded.'),
  TOOL_MISSING: byServer('A program is missing on the server.'),
  NETWORK: () => ({
    title: 'The server cannot be reached.',
    text: 'Check that talkmesh is running, then try again. Your choice on this page is kept.',
    mild: false,
  }),
  SESSION_LIMIT: (error) => ({ title: 'All sessions are in use.', text: tryAgainIn(error), mild: false }),
  RATE_LIMITED: (error) => ({ title: 'Too many requests.', text: tryAgainIn(error), mild: false }),
  NO_WORKER: (error) => ({
    title: 'A service is not ready.',
    text: `${error.message} ${tryAgainIn(error)}`,
    mild: false,
  }),
  NATS_UNAVAILABLE: notReady,
  DEADLINE_EXCEEDED: notReady,
  DRAINING: () => ({ title: 'The server is shutting down.', text: 'Call again in a moment.', mild: false }),
  PEER_LOST: byServer('The connection to the avatar was lost.'),
  SDP_TIMEOUT: byServer('Video and sound cannot be received.'),
  SDP_INVALID: byServer('Video and sound cannot be received.'),
  CODEC_UNSUPPORTED: byServer('Video and sound cannot be received.'),
  TOKEN_INVALID: () => KEY_NEEDED,
  TOKEN_MISSING: () => KEY_NEEDED,
  TOKEN_EXPIRED: () => ({
    title: 'The session token has expired.',
    text: 'Press Call to start a new call.',
    mild: false,
  }),
  SESSION_ENDED: () => CALL_ENDED,
  SESSION_NOT_FOUND: () => CALL_ENDED,
  PROVIDER_FAILED: byServer('The conversation provider failed.', true),
};

const INPUT_TITLES: Readonly<Record<InputProblem['code'], string>> = {
  silent: 'You cannot be heard.',
  'too-quiet': 'You are hard to hear.',
  clipped: 'Your voice is distorted.',
  unplugged: 'You cannot be heard.',
  'system-muted': 'You cannot be heard.',
};

/** Explains why the user is not heard well. */
export const adviceForInput = ({ code, text }: InputProblem): Message => ({
  title: INPUT_TITLES[code],
  text,
  mild: true,
});

/** Explains an error to the user: what happened, then what to do. An unknown reason is shown with the message of the server. */
export function adviceFor(error: ErrorDetails): Message {
  return (
    ADVICE[error.reason]?.(error) ?? {
      title: 'An unexpected error occurred.',
      text: error.message,
      mild: false,
    }
  );
}
