import type { Logger } from '@talkmesh/service-kit';
import type { Principal } from './auth.js';

/**
 * The audit log: what admin keys do to what other keys own, and everything done with pictures, which are personal data. Its lines are
 * part of the log, have `audit: true`, and are written at every log level. They hold names and ids, no pictures and no secrets.
 */
export class Audit {
  readonly #log: Logger;

  constructor(log: Logger) {
    this.#log = log.child({ audit: true }, { level: 'info' });
  }

  record(caller: Principal, action: string, fields: Readonly<Record<string, unknown>>): void {
    const scope = caller.kind === 'key' && caller.isAdmin ? 'admin' : caller.kind;
    this.#log.info({ action, caller: caller.name, scope, ...fields }, 'audit');
  }
}
