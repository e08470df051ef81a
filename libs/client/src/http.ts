/** The only error class of this client. `reason` is stable: one of libs/contracts/src/errors.ts, or NETWORK, NO_WEBRTC, MIC_DENIED, MIC_MISSING or SPEAKER_MISSING from the client itself. */
export class TalkMeshError extends Error {
  override readonly name = 'TalkMeshError';
  readonly reason: string;
  /** HTTP status, 0 when there was no answer. */
  readonly status: number;
  readonly retryable: boolean;
  readonly retryAfterMs: number | undefined;

  constructor(
    reason: string,
    message: string,
    options: { status?: number; retryable?: boolean; retryAfterMs?: number | undefined; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.reason = reason;
    this.status = options.status ?? 0;
    this.retryable = options.retryable ?? false;
    this.retryAfterMs = options.retryAfterMs;
  }

  static from(thrown: unknown): TalkMeshError {
    if (thrown instanceof TalkMeshError) return thrown;
    const name = thrown instanceof Error ? thrown.name : '';
    if (name === 'AbortError') return new TalkMeshError('CANCELLED', 'The request was cancelled.', { cause: thrown });
    if (name === 'TimeoutError')
      return new TalkMeshError('DEADLINE_EXCEEDED', 'The server did not answer in time. Try again.', {
        retryable: true,
        cause: thrown,
      });
    if (thrown instanceof TypeError)
      return new TalkMeshError('NETWORK', 'The server cannot be reached. Check that it is running and try again.', {
        retryable: true,
        cause: thrown,
      });
    return new TalkMeshError('INTERNAL', thrown instanceof Error ? thrown.message : String(thrown), { cause: thrown });
  }
}

export interface RequestOptions {
  readonly body?: unknown;
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly bearer?: string | undefined;
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
  readonly keepalive?: boolean;
}

export type FetchLike = (input: string, init?: RequestInit) => Promise<Response>;

interface Problem {
  reason?: unknown;
  detail?: unknown;
  title?: unknown;
  retryable?: unknown;
  retryAfterMs?: unknown;
}

async function problemOf(response: Response): Promise<TalkMeshError> {
  const problem = (await response.json().catch(() => ({}))) as Problem;
  const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
  return new TalkMeshError(
    text(problem.reason) ?? 'INTERNAL',
    text(problem.detail) ?? text(problem.title) ?? `The server answered ${response.status}.`,
    {
      status: response.status,
      retryable: problem.retryable === true,
      retryAfterMs: typeof problem.retryAfterMs === 'number' ? problem.retryAfterMs : undefined,
    },
  );
}

/** HTTP requests to the gateway. Each has a deadline, and a problem document (RFC 9457) becomes a `TalkMeshError`. */
export class Http {
  readonly baseUrl: string;
  readonly #fetchLike: FetchLike;
  readonly #timeoutMs: number;

  constructor(options: { baseUrl: string; fetch: FetchLike; timeoutMs: number }) {
    this.baseUrl = options.baseUrl.replace(/\/+$/, '');
    this.#fetchLike = options.fetch;
    this.#timeoutMs = options.timeoutMs;
  }

  /** Absolute URL of a path that the gateway returned. Behind a proxy that removes a prefix, Location has it and bodies have not. */
  url(path: string): string {
    if (/^https?:/.test(path)) return path;
    // The base may be empty or a path: the browser completes it with the page's own origin.
    const [, origin = '', prefix = ''] = /^(https?:\/\/[^/]+)?(.*)$/.exec(this.baseUrl) ?? [];
    return prefix !== '' && path.startsWith(`${prefix}/`) ? `${origin}${path}` : `${this.baseUrl}${path}`;
  }

  /** @throws TalkMeshError for a status outside 200-299, a timeout, a cancellation or a network failure */
  async send(method: string, path: string, options: RequestOptions = {}): Promise<Response> {
    const signals = [
      options.signal,
      options.timeoutMs === 0 ? undefined : AbortSignal.timeout(options.timeoutMs ?? this.#timeoutMs),
    ];
    const headers: Record<string, string> = { ...options.headers };
    if (options.bearer !== undefined) headers['authorization'] = `Bearer ${options.bearer}`;
    const contentType = options.contentType ?? (options.body === undefined ? undefined : 'application/json');
    if (contentType !== undefined) headers['content-type'] = contentType;
    try {
      const response = await this.#fetchLike(this.url(path), {
        method,
        headers,
        cache: 'no-store',
        signal: AbortSignal.any(signals.filter((signal) => signal !== undefined)),
        ...(options.keepalive === true ? { keepalive: true } : {}),
        ...(options.body === undefined
          ? {}
          : { body: typeof options.body === 'string' ? options.body : JSON.stringify(options.body) }),
      });
      if (!response.ok) throw await problemOf(response);
      return response;
    } catch (error) {
      throw TalkMeshError.from(error);
    }
  }

  /** As `send`, with the body parsed as JSON. @throws TalkMeshError */
  async json<T>(method: string, path: string, options: RequestOptions = {}): Promise<T> {
    const response = await this.send(method, path, options);
    return response.json().catch((error: unknown) => {
      throw TalkMeshError.from(error);
    }) as Promise<T>;
  }
}

/** Resolves after `ms` milliseconds. @throws TalkMeshError CANCELLED when the signal aborts first */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const cancel = (): void => {
      clearTimeout(timer);
      reject(new TalkMeshError('CANCELLED', 'The request was cancelled.'));
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', cancel);
      resolve();
    }, ms);
    if (signal.aborted) cancel();
    else signal.addEventListener('abort', cancel, { once: true });
  });
}
