/** Longest time to open a session: workers may be starting. */
const CREATE_MS = 60_000;
const END_MS = 10_000;

/** What the gateway answered instead. `reason` is one of libs/contracts/src/errors.ts. */
export class GatewayError extends Error {
  override readonly name = 'GatewayError';
  readonly reason: string;
  readonly status: number;

  constructor(reason: string, status: number, message: string) {
    super(message);
    this.reason = reason;
    this.status = status;
  }
}

/** The two calls of the gateway's REST interface that an avatar needs. */
export class Gateway {
  readonly #url: string;
  readonly #apiKey: string;

  constructor(url: string, apiKey: string) {
    this.#url = url.replace(/\/+$/, '');
    this.#apiKey = apiKey;
  }

  /** Resolves with the session's id when the avatar has joined its room. @throws GatewayError */
  async createSession(wanted: object): Promise<string> {
    const response = await this.#send('POST', '/v1/sessions', CREATE_MS, wanted);
    const { session } = (await response.json()) as { session: { id: string } };
    return session.id;
  }

  /** A session that has ended already is no error. @throws GatewayError */
  async endSession(id: string): Promise<void> {
    await this.#send('DELETE', `/v1/sessions/${encodeURIComponent(id)}`, END_MS).catch((error: unknown) => {
      if (!(error instanceof GatewayError) || error.status !== 404) throw error;
    });
  }

  async #send(method: string, path: string, deadlineMs: number, body?: object): Promise<Response> {
    const response = await fetch(`${this.#url}${path}`, {
      method,
      headers: { authorization: `Bearer ${this.#apiKey}`, ...(body && { 'content-type': 'application/json' }) },
      ...(body && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(deadlineMs),
    });
    if (response.ok) return response;
    const problem = (await response.json().catch(() => ({}))) as { reason?: string; detail?: string };
    const detail = problem.detail ?? `the talkmesh gateway answered ${response.status} to ${method} ${path}`;
    throw new GatewayError(problem.reason ?? 'INTERNAL', response.status, detail);
  }
}
