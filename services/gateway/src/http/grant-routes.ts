import type { Auth } from '../auth.js';
import { grantBody, issuedGrant } from '../grants.js';
import { check } from './problems.js';
import { keyOf, type Operation } from './routes.js';

/** Grants: what a page may open by itself, so that it needs no server of its own for each session. */
export function grantOperations(auth: Pick<Auth, 'issueGrant'>): Operation[] {
  return [
    {
      method: 'POST',
      path: '/v1/grants',
      id: 'createGrant',
      summary: 'Issues a token with which a page may create sessions, within the given bounds',
      access: 'key',
      body: { schema: grantBody },
      status: 201,
      answer: { schema: issuedGrant, type: 'application/json' },
      errors: ['ARGUMENT_INVALID'],
      handle: async (request) => {
        const { ttlSeconds, ...grant } = check(grantBody, request.body ?? {});
        return auth.issueGrant(keyOf(request), grant, ttlSeconds);
      },
    },
  ];
}
