import { GoogleGenAI, type LiveConnectConfig, type LiveServerMessage, type Session } from '@google/genai';
import { explainConnection, explainRefusal, type Problem, type ProviderNames } from '../problem.js';
import type { ConnectionHandlers } from '../reconnecting.js';
import { GuardedSocket, replaceSocket } from './guarded-socket.js';

export interface GeminiAddress {
  /** Base address, `https` or `http`; empty: Google's. */
  readonly url: string;
  readonly model: string;
  /** How long the server may take until `setupComplete`, milliseconds. */
  readonly connectDeadlineMs: number;
}

export interface GeminiLink {
  readonly session: Pick<Session, 'sendRealtimeInput' | 'sendClientContent' | 'sendToolResponse'>;
  /** Ends the connection on purpose, so that another one is made. */
  leave(why: string): void;
}

/** A connection that takes no more than this is stalled: the audio would arrive too late to be useful. */
const MAX_UNSENT_BYTES = 1024 * 1024;

/**
 * Opens one connection with the official client. It is `ready` when the server has accepted the setup; later messages go to `onMessage`,
 * `undefined` for one that is malformed. The client's `connect` may never settle, so the deadline and the close of the socket decide.
 * @returns a function that ends it
 */
export function connectGemini(
  address: GeminiAddress,
  key: string,
  config: LiveConnectConfig,
  names: ProviderNames,
  onMessage: (message: LiveServerMessage | undefined) => void,
  handlers: ConnectionHandlers<GeminiLink>,
): () => void {
  let isOver = false;
  let socket: GuardedSocket | undefined;
  const over = (problem: Problem | undefined): void => {
    if (isOver) return;
    isOver = true;
    clearTimeout(deadline);
    socket?.close();
    if (problem !== undefined) handlers.lost(problem);
  };
  const lost = (detail: string): void => over(explainConnection(names, detail));
  const deadline = setTimeout(
    () => lost(`no answer within ${address.connectDeadlineMs} ms`),
    address.connectDeadlineMs,
  );
  const client = new GoogleGenAI({
    // Without a key the client would look for one in the environment.
    apiKey: key || 'none',
    ...(address.url !== '' && { httpOptions: { baseUrl: address.url } }),
  });
  replaceSocket(client, (url, headers, callbacks) => {
    socket = new GuardedSocket(url, headers, callbacks, {
      refused: ({ statusCode = 0 }) => over(explainRefusal(names, statusCode, '', '')),
      failed: ({ code, message }) => lost(code ?? message),
      malformed: () => onMessage(undefined),
    });
    return socket;
  });
  client.live
    .connect({
      ...{ model: address.model, config },
      callbacks: {
        onmessage: (message) => {
          if (!isOver) onMessage(message);
        },
        onclose: ({ code, reason }) => over(explainClose(names, code, reason)),
      },
    })
    .then((session) => {
      if (isOver) return;
      clearTimeout(deadline);
      handlers.ready({ session: guarded(session, () => socket, lost), leave: lost });
    })
    .catch((error: unknown) => lost(error instanceof Error ? error.message : ''));
  return () => over(undefined);
}

/** A session whose socket stalls is given up instead of filling the memory. */
function guarded(
  session: Session,
  socket: () => GuardedSocket | undefined,
  lost: (detail: string) => void,
): GeminiLink['session'] {
  const send = <A>(act: (argument: A) => void) => {
    return (argument: A): void => {
      if ((socket()?.unsentBytes ?? 0) > MAX_UNSENT_BYTES) lost('the server takes no more audio');
      else act(argument);
    };
  };
  return {
    sendRealtimeInput: send((input) => session.sendRealtimeInput(input)),
    sendClientContent: send((content) => session.sendClientContent(content)),
    sendToolResponse: send((response) => session.sendToolResponse(response)),
  };
}

/** The service closes with a reason in words: 1007 and 1008 for keys and setups, 1011 for quotas and errors of its own. */
function explainClose(names: ProviderNames, code: number, reason: string): Problem {
  const refusal = explainRefusal(names, code === 1007 || code === 1008 ? 400 : 0, '', reason);
  const isExplained = ['quota', 'key', 'model', 'rate-limit'].includes(refusal.code);
  if (reason !== '' && (isExplained || code === 1007 || code === 1008)) return refusal;
  return explainConnection(names, reason || `closed with code ${code}`);
}
