import { Http, TalkMeshError } from '../http.js';
import { readToken } from '../token.js';
import type { SessionOptions } from '../types.js';

const DEADLINE_MS = 60_000;

/**
 * Asks the page's own server for a session: POST with the wanted options as JSON; the answer is JSON with a `token`, such as a
 * `SessionTicket` or the whole answer of `POST /v1/sessions`.
 * @throws TalkMeshError
 */
export async function fetchTicket(
  url: string,
  wanted: Partial<SessionOptions>,
  signal: AbortSignal,
): Promise<{ readonly token: string }> {
  const http = new Http({ baseUrl: '', fetch: (input, init) => fetch(input, init), timeoutMs: DEADLINE_MS });
  const { token } = await http.json<{ token?: unknown }>('POST', url, { body: wanted, signal });
  if (typeof token !== 'string')
    throw new TalkMeshError(
      'TOKEN_MISSING',
      `The answer of ${url} has no "token". Answer with the ticket of TalkMeshClient.createTicket().`,
    );
  readToken(token);
  return { token };
}
