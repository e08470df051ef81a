import { assertSessionId } from '@talkmesh/contracts';
import type { Audit } from './audit.js';
import { type Principal, requireSession } from './auth.js';
import { type SessionStore, sessionNotFound } from './session-store.js';

/** Decides who may act on a session; HTTP and gRPC ask here. */
export class SessionAccess {
  readonly #store: Pick<SessionStore, 'ownerOf'>;
  readonly #audit: Audit;

  constructor(store: Pick<SessionStore, 'ownerOf'>, audit: Audit) {
    this.#store = store;
    this.#audit = audit;
  }

  /**
   * A token acts on its own session, a key on the sessions that it made, an admin key on all. To other keys a session does not exist.
   * @param operation name for the audit log
   * @throws MeshError SESSION_ID_INVALID, TOKEN_WRONG_SESSION, SESSION_NOT_FOUND, NATS_UNAVAILABLE
   */
  async require(principal: Principal, id: string, operation: string): Promise<void> {
    const sessionId = assertSessionId(id);
    requireSession(principal, sessionId);
    if (principal.kind !== 'key') return;
    const owner = await this.#store.ownerOf(sessionId);
    if (owner === principal.owner) return;
    if (!principal.isAdmin) throw sessionNotFound();
    this.#audit.record(principal, operation, { sessionId, owner });
  }
}
