import type { Metadata } from '@grpc/grpc-js';
import { assertSessionId } from '@talkmesh/contracts';
import { type Auth, type Principal, requireKey, requireSession } from '../auth.js';
import type { RateLimit } from '../rate-limit.js';

/** The gRPC door: API key or session token in `authorization` metadata, the same rules as over HTTP. */
export class GrpcAccess {
  private readonly auth: Auth;
  private readonly rateLimit: RateLimit;

  constructor(auth: Auth, rateLimit: RateLimit) {
    this.auth = auth;
    this.rateLimit = rateLimit;
  }

  /** @throws MeshError TOKEN_*, PERMISSION_DENIED, RATE_LIMITED */
  async key(metadata: Metadata): Promise<void> {
    requireKey(await this.identify(metadata));
  }

  /** @throws MeshError SESSION_ID_INVALID, TOKEN_*, RATE_LIMITED */
  async session(metadata: Metadata, sessionId: string): Promise<void> {
    requireSession(await this.identify(metadata), assertSessionId(sessionId));
  }

  private async identify(metadata: Metadata): Promise<Principal> {
    const [header] = metadata.get('authorization');
    try {
      const principal = await this.auth.identify(header?.toString());
      this.rateLimit.take(principal.name);
      return principal;
    } catch (error) {
      this.rateLimit.take('grpc:unknown');
      throw error;
    }
  }
}
