import { type Http, TalkMeshError } from './http.js';
import type { SessionTicket } from './types.js';

interface TokenClaims {
  readonly sub: string;
  readonly iat: number;
  readonly exp: number;
}

/** Reads the claims of a session token without verifying them; only the server has the key for that. @throws TalkMeshError TOKEN_INVALID */
export function readToken(token: string): TokenClaims {
  try {
    const part = token.split('.')[1] ?? '';
    const claims = JSON.parse(atob(part.replace(/-/g, '+').replace(/_/g, '/'))) as Partial<TokenClaims>;
    if (typeof claims.sub === 'string' && typeof claims.iat === 'number' && typeof claims.exp === 'number')
      return { sub: claims.sub, iat: claims.iat, exp: claims.exp };
  } catch {
    // Text that is not a JWT is reported by the error below.
  }
  throw new TalkMeshError('TOKEN_INVALID', 'The text is not a session token. Create one with POST /v1/sessions.');
}

export interface TokenKeeperOptions {
  readonly http: Http;
  readonly ticket: SessionTicket;
  /** Renews a token that has already expired, for example while the computer was asleep. */
  readonly apiKey: string | undefined;
  /** Called when the token cannot be renewed. */
  readonly onRefused: (error: TalkMeshError) => void;
}

/** Holds the token of a session and renews it after 60 % of its lifetime. */
export class TokenKeeper {
  readonly #options: TokenKeeperOptions;
  #token: string;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stopped = false;

  constructor(options: TokenKeeperOptions) {
    this.#options = options;
    this.#token = options.ticket.token;
  }

  get token(): string {
    return this.#token;
  }

  /** Starts the timer. The lifetime counts from now, not from `iat`, because the clock of this computer may be wrong. */
  start(): void {
    const { iat, exp } = readToken(this.#token);
    this.#schedule((exp - iat) * 600);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  /** Requests a new token now. @throws TalkMeshError */
  async renew(): Promise<void> {
    const path = `/v1/sessions/${this.#options.ticket.sessionId}/token`;
    const request = (bearer: string): Promise<{ token: string }> => this.#options.http.json('POST', path, { bearer });
    const renewed = await request(this.#token).catch((error: TalkMeshError) => {
      if (error.status !== 401 || this.#options.apiKey === undefined) throw error;
      return request(this.#options.apiKey);
    });
    this.#token = renewed.token;
    if (!this.#stopped) this.start();
  }

  #schedule(delayMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.renew().catch((error: TalkMeshError) => {
        if (this.#stopped) return;
        if (error.retryable) this.#schedule(error.retryAfterMs ?? 2_000);
        else this.#options.onRefused(error);
      });
    }, delayMs);
  }
}
