import { createHash, randomUUID, timingSafeEqual } from 'node:crypto';
import { MeshError } from '@talkmesh/contracts';
import { errors, jwtVerify, SignJWT } from 'jose';

/** Who is asking: the holder of an API key may do everything, the holder of a token may use one session. */
export type Principal =
  | {
      readonly kind: 'key';
      readonly name: string;
      /** Tells what belongs to this key, whatever its place among the keys. */
      readonly owner: string;
    }
  | { readonly kind: 'session'; readonly name: string; readonly sessionId: string };

export interface IssuedToken {
  readonly token: string;
  readonly tokenExpiresAtMs: number;
}

export interface AuthOptions {
  readonly apiKeys: readonly string[];
  /** At least 32 bytes. */
  readonly tokenSecret: string;
  readonly tokenTtlMs: number;
}

const AUDIENCE = 'talkmesh';
const MAX_CREDENTIAL_CHARACTERS = 4096;
const OWNER_CHARACTERS = 16;

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** Checks API keys in constant time, issues and checks session tokens (JWT, HS256, RFC 7519). */
export class Auth {
  private readonly keys: readonly Buffer[];
  private readonly secret: Uint8Array;
  private readonly tokenTtlMs: number;

  constructor(options: AuthOptions) {
    this.keys = options.apiKeys.map(digest);
    this.secret = new TextEncoder().encode(options.tokenSecret);
    this.tokenTtlMs = options.tokenTtlMs;
  }

  /** A token for one session; `exp` is whole seconds, as JWT has it. */
  async issue(sessionId: string, nowMs = Date.now()): Promise<IssuedToken> {
    const issuedAtS = Math.floor(nowMs / 1000);
    const expiresAtS = issuedAtS + Math.max(1, Math.round(this.tokenTtlMs / 1000));
    const token = await new SignJWT()
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
      .setSubject(sessionId)
      .setAudience(AUDIENCE)
      .setIssuedAt(issuedAtS)
      .setExpirationTime(expiresAtS)
      .setJti(randomUUID())
      .sign(this.secret);
    return { token, tokenExpiresAtMs: expiresAtS * 1000 };
  }

  /**
   * @param header the `authorization` header, `Bearer <key or token>`
   * @throws MeshError TOKEN_MISSING, TOKEN_INVALID, TOKEN_EXPIRED
   */
  async identify(header: string | undefined): Promise<Principal> {
    const credential = /^Bearer +(\S+)$/i.exec(header ?? '')?.[1];
    if (credential === undefined)
      throw new MeshError('TOKEN_MISSING', 'send "authorization: Bearer <API key or session token>"');
    if (credential.length > MAX_CREDENTIAL_CHARACTERS) throw new MeshError('TOKEN_INVALID', 'the token is too long');
    return credential.split('.').length === 3 ? this.readToken(credential) : this.findKey(credential);
  }

  private findKey(credential: string): Principal {
    const given = digest(credential);
    let found = -1;
    this.keys.forEach((key, index) => {
      if (timingSafeEqual(key, given)) found = index;
    });
    if (found < 0) throw new MeshError('TOKEN_INVALID', 'the API key is not known to this gateway');
    return { kind: 'key', name: `key:${found}`, owner: given.toString('hex').slice(0, OWNER_CHARACTERS) };
  }

  private async readToken(credential: string): Promise<Principal> {
    try {
      const { payload } = await jwtVerify(credential, this.secret, {
        algorithms: ['HS256'],
        audience: AUDIENCE,
        requiredClaims: ['sub', 'exp', 'iat', 'jti'],
        clockTolerance: 0,
      });
      const sessionId = payload.sub ?? '';
      return { kind: 'session', name: `session:${sessionId}`, sessionId };
    } catch (cause) {
      if (cause instanceof errors.JWTExpired)
        throw new MeshError(
          'TOKEN_EXPIRED',
          'the session token expired; renew it in time with POST /v1/sessions/{id}/token',
          { cause },
        );
      throw new MeshError('TOKEN_INVALID', 'the session token is not valid', { cause });
    }
  }
}

/** @throws MeshError PERMISSION_DENIED */
export function requireKey(principal: Principal): void {
  if (principal.kind !== 'key')
    throw new MeshError('PERMISSION_DENIED', 'a session token may use its session only; this needs an API key');
}

/** @throws MeshError TOKEN_WRONG_SESSION */
export function requireSession(principal: Principal, sessionId: string): void {
  if (principal.kind === 'session' && principal.sessionId !== sessionId)
    throw new MeshError('TOKEN_WRONG_SESSION', 'the token is for another session');
}
