import type { IncomingMessage, ServerResponse } from 'node:http';
import { TalkMeshClient } from '../client.js';
import { type FetchLike, TalkMeshError } from '../http.js';
import type { SessionOptions } from '../types.js';

export interface TokenHandlerOptions {
  /** URL of the gateway as this server reaches it. */
  readonly baseUrl: string | undefined;
  /** Stays on this server. */
  readonly apiKey: string | undefined;
  /**
   * What the session may be; a function decides from the caller's request (log-in, quota) and the wishes of the page. Undefined refuses.
   * Wishes come from the browser: anyone can send any.
   */
  readonly session:
    | SessionOptions
    | ((
        wanted: Partial<SessionOptions>,
        request: IncomingMessage,
      ) => SessionOptions | undefined | Promise<SessionOptions | undefined>);
  /** For tests. */
  readonly fetch?: FetchLike;
}

const MAX_BODY_BYTES = 16_384;

class Refusal extends TalkMeshError {}

/**
 * A request handler for `node:http`, Express and the like that mints session tokens for `<talk-mesh token-url>`.
 * It takes POST with a JSON body only, which no other site's page can send without permission (CORS), so others cannot open sessions.
 */
export function tokenHandler(
  options: TokenHandlerOptions,
): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  const { baseUrl, apiKey } = options;
  if (!baseUrl || !apiKey)
    throw new TalkMeshError(
      'CONFIG_INVALID',
      'tokenHandler() needs baseUrl and apiKey. Set TALKMESH_URL and TALKMESH_API_KEY.',
    );
  const client = new TalkMeshClient({ baseUrl, apiKey, ...(options.fetch !== undefined && { fetch: options.fetch }) });
  return async (request, response) => {
    try {
      const wanted = await readWishes(request);
      const { session } = options;
      const granted = typeof session === 'function' ? await session(wanted, request) : session;
      if (granted === undefined)
        throw new Refusal('PERMISSION_DENIED', 'You may not start a call here.', { status: 403 });
      answer(response, 201, await client.createTicket(granted));
    } catch (thrown) {
      const { status, ...problem } = problemFor(thrown);
      answer(response, status, { status, ...problem });
    }
  };
}

/** @throws Refusal */
async function readWishes(request: IncomingMessage): Promise<Partial<SessionOptions>> {
  if (request.method !== 'POST') throw new Refusal('ARGUMENT_INVALID', 'This path takes only POST.', { status: 405 });
  if (!/^application\/json\b/i.test(request.headers['content-type'] ?? ''))
    throw new Refusal('ARGUMENT_INVALID', 'Send the body as application/json.', { status: 415 });
  const parsedAlready = (request as { body?: unknown }).body;
  const wanted = parsedAlready ?? parse(await readText(request));
  if (typeof wanted !== 'object' || wanted === null || Array.isArray(wanted))
    throw new Refusal('ARGUMENT_INVALID', 'The body is not a JSON object.', { status: 400 });
  return wanted as Partial<SessionOptions>;
}

async function readText(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > MAX_BODY_BYTES)
      throw new Refusal('BODY_TOO_LARGE', `The body has more than ${MAX_BODY_BYTES} bytes.`, { status: 413 });
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

function parse(text: string): unknown {
  try {
    return text === '' ? {} : JSON.parse(text);
  } catch {
    throw new Refusal('ARGUMENT_INVALID', 'The body is not valid JSON.', { status: 400 });
  }
}

/** What the browser may know: a wrong API key or a fault of this server's code is this server's affair. */
function problemFor(thrown: unknown) {
  const error =
    thrown instanceof TalkMeshError ? thrown : new TalkMeshError('INTERNAL', String(thrown), { cause: thrown });
  const { reason, message, retryable, retryAfterMs } = error;
  if (error instanceof Refusal) return { status: error.status, reason, detail: message, retryable };
  if (retryable || reason === 'AVATAR_NOT_FOUND' || reason === 'PROVIDER_UNKNOWN')
    return { status: retryable ? 503 : 400, reason, detail: message, retryable, retryAfterMs };
  console.error(`talkmesh: no token: ${reason}: ${message}`);
  return {
    status: 500,
    reason: 'INTERNAL',
    detail: 'The call could not be started. The log of the server says why.',
    retryable: false,
  };
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  response.end(JSON.stringify(body));
}
