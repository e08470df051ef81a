import type { TalkMeshError } from '@talkmesh/client';

export interface Advice {
  readonly title: string;
  /** What the person in front of the page can do. */
  readonly text: string;
  /** The call goes on. */
  readonly mild: boolean;
}

type Known = Pick<TalkMeshError, 'reason' | 'message' | 'retryAfterMs'>;

const soon = (error: Known): string => `Try again in ${Math.max(1, Math.ceil((error.retryAfterMs ?? 1000) / 1000))} s.`;

const ADVICE: Readonly<Record<string, (error: Known) => Advice>> = {
  MIC_DENIED: () => ({
    title: 'The microphone is blocked.',
    text: 'Allow it beside the address bar and call again. You can still type a line below.',
    mild: true,
  }),
  MIC_MISSING: (error) => ({
    title: 'No microphone.',
    text: `${error.message} You can still type a line below.`,
    mild: true,
  }),
  TTS_UNAVAILABLE: (error) => ({ title: 'Typed lines cannot be spoken yet.', text: error.message, mild: true }),
  NETWORK: () => ({
    title: 'The server cannot be reached.',
    text: 'Is talkmesh still running? This page keeps your choice; try again.',
    mild: false,
  }),
  SESSION_LIMIT: (error) => ({ title: 'Every line is busy.', text: soon(error), mild: false }),
  RATE_LIMITED: (error) => ({ title: 'Too many requests.', text: soon(error), mild: false }),
  NO_WORKER: (error) => ({
    title: 'A part of the mesh is not ready.',
    text: `${error.message}. ${soon(error)}`,
    mild: false,
  }),
  DRAINING: () => ({ title: 'The server is being renewed.', text: 'Call again in a moment.', mild: false }),
  PEER_LOST: (error) => ({
    title: 'The connection to the avatar was lost.',
    text: `${error.message}.`.replace(/\.+$/, '.'),
    mild: false,
  }),
  SDP_TIMEOUT: (error) => ({ title: 'Picture and sound cannot get through.', text: error.message, mild: false }),
  TOKEN_INVALID: () => ({
    title: 'The API key is not valid.',
    text: 'Open the link that was printed when talkmesh started.',
    mild: false,
  }),
  TOKEN_MISSING: () => ({
    title: 'An API key is needed.',
    text: 'Open the link that was printed when talkmesh started.',
    mild: false,
  }),
  TOKEN_EXPIRED: () => ({ title: 'This call has expired.', text: 'Call again.', mild: false }),
  SESSION_ENDED: () => ({ title: 'The call has ended.', text: 'Call again.', mild: false }),
  SESSION_NOT_FOUND: () => ({ title: 'The call has ended.', text: 'Call again.', mild: false }),
  PROVIDER_FAILED: (error) => ({ title: 'The conversation provider failed.', text: error.message, mild: true }),
};

/** A failure in words: what happened and what to do. */
export function adviceFor(error: Known): Advice {
  return (
    ADVICE[error.reason]?.(error) ?? {
      title: 'That did not work.',
      text: `${error.message} (${error.reason})`,
      mild: false,
    }
  );
}
