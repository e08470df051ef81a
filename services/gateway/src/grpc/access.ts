import type { Metadata } from '@grpc/grpc-js';
import type { IdentifiedCaller } from '@talkmesh/service-kit';
import { type Auth, continuesTrace, type Principal, requireOrigin } from '../auth.js';
import type { RateLimit } from '../rate-limit.js';
import type { SessionAccess } from '../session-access.js';

/** Access control of gRPC: API key or session token in `authorization` metadata, with the same rules as HTTP. */
export class GrpcAccess {
  readonly #auth: Auth;
  readonly #sessions: SessionAccess;
  readonly #rateLimit: RateLimit;

  constructor(auth: Auth, sessions: SessionAccess, rateLimit: RateLimit) {
    this.#auth = auth;
    this.#sessions = sessions;
    this.#rateLimit = rateLimit;
  }

  /** For `publicUnary`. @throws MeshError TOKEN_*, RATE_LIMITED */
  async identifyCaller(metadata: Metadata): Promise<IdentifiedCaller<Principal>> {
    const principal = await this.identify(metadata);
    return { principal, continuesTrace: continuesTrace(principal) };
  }

  /** For streams whose request names the session. @throws MeshError SESSION_ID_INVALID, SESSION_NOT_FOUND, TOKEN_*, RATE_LIMITED */
  async requireSession(metadata: Metadata, sessionId: string, operation: string): Promise<void> {
    await this.requireSessionOf(await this.identify(metadata), sessionId, operation);
  }

  /** For callers that are identified. @throws MeshError SESSION_ID_INVALID, SESSION_NOT_FOUND, TOKEN_WRONG_SESSION */
  requireSessionOf(principal: Principal, sessionId: string, operation: string): Promise<void> {
    return this.#sessions.require(principal, sessionId, operation);
  }

  /** @throws MeshError TOKEN_*, PERMISSION_DENIED (proxies of gRPC-Web send the page's origin), RATE_LIMITED */
  async identify(metadata: Metadata): Promise<Principal> {
    const [header] = metadata.get('authorization');
    const [origin] = metadata.get('origin');
    let principal: Principal;
    try {
      principal = await this.#auth.identify(header?.toString());
    } catch (error) {
      this.#rateLimit.take('grpc:unknown');
      throw error;
    }
    this.#rateLimit.take(principal.name);
    requireOrigin(principal, origin?.toString());
    return principal;
  }
}
