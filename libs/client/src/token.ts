import { type Http, TalkMeshError } from './http.js';
import type { SessionTicket } from './types.js';

interface TokenClaims {
  readonly sub: string;
  readonly iat: number;
  readonly exp: number;
}

/** Claims of a session token, not verified: that is the server's work. @throws TalkMeshError TOKEN_INVALID */
export function readToken(token: string): TokenClaims {
  try {
    const part = token.split('.')[1] ?? '';
    const claims = JSON.parse(atob(part.replace(/-/g, '+').replace(/_/g, '/'))) as Partial<TokenClaims>;
    if (typeof claims.sub === 'string' && typeof claims.iat === 'number' && typeof claims.exp === 'number')
      return { sub: claims.sub, iat: claims.iat, exp: claims.exp };
  } catch {
    // Not a JWT: the error below says so.
  }
  throw new TalkMeshError('TOKEN_INVALID', 'That is not a session token. Ask the gateway for one: POST /v1/sessions.');
}

export interface TokenKeeperOptions {
  readonly http: Http;
  readonly ticket: SessionTicket;
  /** Renews when the token itself can no longer (the computer slept through its end). */
  readonly apiKey: string | undefined;
  readonly onRefused: (error: TalkMeshError) => void;
}

/** Holds the token of a session and renews it when 60 % of its life has passed. */
export class TokenKeeper {
  private readonly o: TokenKeeperOptions;
  private current: string;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private stopped = false;

  constructor(o: TokenKeeperOptions) {
    this.o = o;
    this.current = o.ticket.token;
  }

  get token(): string {
    return this.current;
  }

  /** Starts the timer. The life is measured from now, so that a wrong clock on this computer does no harm. */
  start(): void {
    const { iat, exp } = readToken(this.current);
    this.plan((exp - iat) * 600);
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.timer);
  }

  /** Asks for a new token now. @throws TalkMeshError */
  async renew(): Promise<void> {
    const path = `/v1/sessions/${this.o.ticket.sessionId}/token`;
    const ask = (bearer: string): Promise<{ token: string }> => this.o.http.json('POST', path, { bearer });
    const fresh = await ask(this.current).catch((error: TalkMeshError) => {
      if (error.status !== 401 || this.o.apiKey === undefined) throw error;
      return ask(this.o.apiKey);
    });
    this.current = fresh.token;
    if (!this.stopped) this.start();
  }

  private plan(delayMs: number): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.renew().catch((error: TalkMeshError) => {
        if (this.stopped) return;
        if (error.retryable) this.plan(error.retryAfterMs ?? 2_000);
        else this.o.onRefused(error);
      });
    }, delayMs);
  }
}
