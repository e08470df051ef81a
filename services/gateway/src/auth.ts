import { randomUUID } from 'node:crypto';
import { MeshError } from '@talkmesh/contracts';
import { decodeJwt, errors, type JWTPayload, type JWTVerifyResult, jwtVerify, SignJWT } from 'jose';
import { findApiKey } from './api-keys.js';
import type { Grant } from './grants.js';
import type { Secrets } from './secrets.js';

export interface KeyPrincipal {
  readonly kind: 'key';
  readonly name: string;
  /** Owner of the sessions and pictures that this caller makes. */
  readonly owner: string;
  readonly isAdmin: boolean;
}
export interface SessionPrincipal {
  readonly kind: 'session';
  readonly name: string;
  readonly sessionId: string;
  /** Pages that may use the token; undefined: all. */
  readonly origins?: readonly string[];
}
export interface GrantPrincipal {
  readonly kind: 'grant';
  readonly name: string;
  readonly id: string;
  /** Owner of the sessions, as of the key that issued the grant. */
  readonly owner: string;
  readonly grant: Grant;
}
/**
 * The authenticated caller: an API key acts on what it owns, an admin key on everything, a session token on its session; a grant creates
 * sessions and nothing else.
 */
export type Principal = KeyPrincipal | SessionPrincipal | GrantPrincipal;

/** Who may open a session. */
export type Opener = KeyPrincipal | GrantPrincipal;

export interface IssuedToken {
  readonly token: string;
  readonly tokenExpiresAtMs: number;
}

export interface IssuedGrant {
  readonly grant: string;
  readonly grantExpiresAtMs: number;
}

export interface AuthOptions {
  readonly secrets: Secrets;
  readonly tokenTtlMs: number;
}

const AUDIENCE = 'talkmesh';
const GRANT_AUDIENCE = 'talkmesh-grant';
const MAX_CREDENTIAL_CHARACTERS = 4096;

/** Checks API keys in constant time, issues and checks session tokens (JWT, HS256, RFC 7519). */
export class Auth {
  readonly #tokenTtlMs: number;
  #secrets: Secrets;

  constructor(options: AuthOptions) {
    this.#secrets = options.secrets;
    this.#tokenTtlMs = options.tokenTtlMs;
  }

  /** Secrets of session tokens: the first signs, all are accepted. */
  get tokenSecrets(): readonly string[] {
    return this.#secrets.tokenSecrets;
  }

  /** From now on only these are valid. */
  replaceSecrets(secrets: Secrets): void {
    this.#secrets = secrets;
  }

  /** Issues a token for one session. @param origins pages that may use it; none: all */
  async issue(sessionId: string, origins: readonly string[] = [], nowMs = Date.now()): Promise<IssuedToken> {
    const claims = { sub: sessionId, aud: AUDIENCE, ...(origins.length > 0 && { origins }) };
    const { token, expiresAtMs } = await this.#sign(claims, this.#tokenTtlMs, nowMs);
    return { token, tokenExpiresAtMs: expiresAtMs };
  }

  /** Issues a grant in the name of a key. @throws MeshError ARGUMENT_INVALID when it is too long for a header */
  async issueGrant({ owner }: KeyPrincipal, grant: Grant, ttlSeconds: number): Promise<IssuedGrant> {
    const { token, expiresAtMs } = await this.#sign({ sub: owner, aud: GRANT_AUDIENCE, grant }, ttlSeconds * 1000);
    if (token.length > MAX_CREDENTIAL_CHARACTERS)
      throw new MeshError(
        'ARGUMENT_INVALID',
        'the grant is too long for a header; name fewer avatars, providers or origins',
      );
    return { grant: token, grantExpiresAtMs: expiresAtMs };
  }

  /** `exp` has whole seconds (RFC 7519). */
  async #sign(claims: JWTPayload, ttlMs: number, nowMs = Date.now()): Promise<{ token: string; expiresAtMs: number }> {
    const issuedAtS = Math.floor(nowMs / 1000);
    const expiresAtS = issuedAtS + Math.max(1, Math.round(ttlMs / 1000));
    const token = await new SignJWT(claims)
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
      .setIssuedAt(issuedAtS)
      .setExpirationTime(expiresAtS)
      .setJti(randomUUID())
      .sign(encoded(this.#secrets.tokenSecrets[0] ?? ''));
    return { token, expiresAtMs: expiresAtS * 1000 };
  }

  /**
   * @param header the `authorization` header, `Bearer <key or token>`
   * @throws MeshError TOKEN_MISSING, TOKEN_INVALID, TOKEN_EXPIRED
   */
  async identify(header: string | undefined): Promise<Principal> {
    const credential = /^Bearer +(\S+)$/i.exec(header ?? '')?.[1];
    if (credential === undefined)
      throw new MeshError('TOKEN_MISSING', 'send "authorization: Bearer <API key or session token>"');
    if (credential.length > MAX_CREDENTIAL_CHARACTERS)
      throw new MeshError(
        'TOKEN_INVALID',
        'the token is longer than any this gateway issues; check the authorization header',
      );
    return credential.split('.').length === 3 ? this.#readToken(credential) : this.#findKey(credential);
  }

  #findKey(credential: string): Principal {
    const key = findApiKey(this.#secrets.apiKeys, credential);
    if (key === undefined)
      throw new MeshError('TOKEN_INVALID', 'the API key is unknown to this gateway; check TALKMESH_API_KEYS');
    const { owner, isAdmin } = key;
    return { kind: 'key', name: `key:${owner}`, owner, isAdmin };
  }

  async #readToken(credential: string): Promise<Principal> {
    let isGrant = false;
    try {
      isGrant = decodeJwt(credential).aud === GRANT_AUDIENCE;
      const { payload } = await this.#verify(credential, isGrant ? GRANT_AUDIENCE : AUDIENCE);
      return isGrant ? this.#grantOf(payload) : sessionOf(payload);
    } catch (cause) {
      if (cause instanceof MeshError) throw cause;
      if (cause instanceof errors.JWTExpired)
        throw new MeshError(
          'TOKEN_EXPIRED',
          isGrant
            ? 'the grant has expired; ask the server of this product for another one'
            : 'the session token has expired; renew it in time with POST /v1/sessions/{id}/token',
          { cause },
        );
      throw new MeshError('TOKEN_INVALID', 'the session token is not valid; create a session or renew the token', {
        cause,
      });
    }
  }

  /** A grant is worth as much as the key that issued it: without that key it is worth nothing. */
  #grantOf({ sub: owner = '', jti = '', grant }: JWTPayload): GrantPrincipal {
    if (!this.#secrets.apiKeys.some((key) => key.owner === owner))
      throw new MeshError('TOKEN_INVALID', 'the key that issued the grant is no longer valid; ask for a new grant');
    return { kind: 'grant', name: `grant:${jti}`, id: jti, owner, grant: grant as Grant };
  }

  /** @throws JWTExpired for a token of any of the secrets that has expired, else the error of the last one */
  async #verify(token: string, audience: string): Promise<JWTVerifyResult> {
    let last: unknown;
    for (const secret of this.#secrets.tokenSecrets) {
      try {
        return await jwtVerify(token, encoded(secret), {
          algorithms: ['HS256'],
          audience,
          requiredClaims: ['sub', 'exp', 'iat', 'jti'],
          clockTolerance: 0,
        });
      } catch (error) {
        if (error instanceof errors.JWTExpired) throw error;
        last = error;
      }
    }
    throw last;
  }
}

function sessionOf({ sub: sessionId = '', origins }: JWTPayload): SessionPrincipal {
  const allowed = Array.isArray(origins) ? { origins: origins as string[] } : {};
  return { kind: 'session', name: `session:${sessionId}`, sessionId, ...allowed };
}

const encoded = (secret: string): Uint8Array => new TextEncoder().encode(secret);

/** The only owner whose things a key may see; undefined: every owner's. */
export const ownerFilter = ({ owner, isAdmin }: KeyPrincipal): string | undefined => (isAdmin ? undefined : owner);

/** Only the embedding product's server, which has an API key, may put its requests into a trace of its own; what browsers send is linked. */
export const continuesTrace = (principal: Principal | undefined): boolean => principal?.kind === 'key';

/** @throws MeshError PERMISSION_DENIED */
export function requireKey(principal: Principal): KeyPrincipal {
  if (principal.kind === 'key') return principal;
  const what =
    principal.kind === 'grant' ? 'a grant creates sessions only' : 'a session token is valid for its session only';
  throw new MeshError('PERMISSION_DENIED', `${what}; use an API key`);
}

/** @throws MeshError PERMISSION_DENIED */
export function requireOpener(principal: Principal): Opener {
  return principal.kind === 'grant' ? principal : requireKey(principal);
}

/** @throws MeshError TOKEN_WRONG_SESSION */
export function requireSession(principal: Principal, sessionId: string): void {
  if (principal.kind === 'key' || (principal.kind === 'session' && principal.sessionId === sessionId)) return;
  if (principal.kind === 'grant')
    throw new MeshError('PERMISSION_DENIED', 'a grant creates sessions only; use the token of the session');
  throw new MeshError('TOKEN_WRONG_SESSION', 'the token is for another session; use the token of this one');
}

/** Browsers name the page's origin; a token that leaked to another page is refused there. @throws MeshError PERMISSION_DENIED */
export function requireOrigin(principal: Principal, origin: string | undefined): void {
  const allowed =
    principal.kind === 'grant' ? principal.grant.origins : principal.kind === 'session' ? principal.origins : undefined;
  if (origin === undefined || allowed === undefined || allowed.length === 0 || allowed.includes(origin)) return;
  throw new MeshError(
    'PERMISSION_DENIED',
    `the token may not be used by pages of ${origin.slice(0, 200)}; list the origin in it`,
  );
}
