/** Everything that goes wrong, with a stable `reason` (libs/contracts/src/errors.ts, or one of this client's own: NETWORK, MIC_DENIED, MIC_MISSING). */
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
    o: { status?: number; retryable?: boolean; retryAfterMs?: number | undefined; cause?: unknown } = {},
  ) {
    super(message, o.cause === undefined ? undefined : { cause: o.cause });
    this.reason = reason;
    this.status = o.status ?? 0;
    this.retryable = o.retryable ?? false;
    this.retryAfterMs = o.retryAfterMs;
  }

  static from(thrown: unknown): TalkMeshError {
    if (thrown instanceof TalkMeshError) return thrown;
    const name = thrown instanceof Error ? thrown.name : '';
    if (name === 'AbortError') return new TalkMeshError('CANCELLED', 'The request was cancelled.', { cause: thrown });
    if (name === 'TimeoutError')
      return new TalkMeshError('DEADLINE_EXCEEDED', 'The server took too long to answer.', {
        retryable: true,
        cause: thrown,
      });
    if (thrown instanceof TypeError)
      return new TalkMeshError('NETWORK', 'The server cannot be reached. Is it running?', {
        retryable: true,
        cause: thrown,
      });
    return new TalkMeshError('INTERNAL', thrown instanceof Error ? thrown.message : String(thrown), { cause: thrown });
  }
}

export interface RequestOptions {
  readonly body?: unknown;
  readonly contentType?: string;
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

/** The gateway over HTTP: one deadline for every request, RFC 9457 problems as `TalkMeshError`. */
export class Http {
  readonly baseUrl: string;
  private readonly fetchLike: FetchLike;
  private readonly timeoutMs: number;

  constructor(o: { baseUrl: string; fetch: FetchLike; timeoutMs: number }) {
    this.baseUrl = o.baseUrl.replace(/\/+$/, '');
    this.fetchLike = o.fetch;
    this.timeoutMs = o.timeoutMs;
  }

  /** Absolute URL of a path the gateway named. */
  url(path: string): string {
    return /^https?:/.test(path) ? path : `${this.baseUrl}${path}`;
  }

  /** @throws TalkMeshError for every status outside 200-299, a timeout, a cancellation and a dead network. */
  async send(method: string, path: string, o: RequestOptions = {}): Promise<Response> {
    const signals = [o.signal, o.timeoutMs === 0 ? undefined : AbortSignal.timeout(o.timeoutMs ?? this.timeoutMs)];
    const headers: Record<string, string> = {};
    if (o.bearer !== undefined) headers['authorization'] = `Bearer ${o.bearer}`;
    const contentType = o.contentType ?? (o.body === undefined ? undefined : 'application/json');
    if (contentType !== undefined) headers['content-type'] = contentType;
    try {
      const response = await this.fetchLike(this.url(path), {
        method,
        headers,
        cache: 'no-store',
        signal: AbortSignal.any(signals.filter((signal) => signal !== undefined)),
        ...(o.keepalive === true ? { keepalive: true } : {}),
        ...(o.body === undefined ? {} : { body: typeof o.body === 'string' ? o.body : JSON.stringify(o.body) }),
      });
      if (!response.ok) throw await problemOf(response);
      return response;
    } catch (error) {
      throw TalkMeshError.from(error);
    }
  }

  async json<T>(method: string, path: string, o: RequestOptions = {}): Promise<T> {
    const response = await this.send(method, path, o);
    return response.json().catch((error: unknown) => {
      throw TalkMeshError.from(error);
    }) as Promise<T>;
  }
}

/** Rejects with CANCELLED when the signal aborts first. */
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
