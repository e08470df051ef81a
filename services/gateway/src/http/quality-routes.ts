import { qualityBody, type ViewerQuality } from '../viewer-quality.js';
import { check } from './problems.js';
import type { Operation } from './routes.js';

/** Reports of how a call plays at the viewer; they end in metrics and change nothing in the session, so it is not looked up. */
export function qualityOperations(quality: ViewerQuality): Operation[] {
  return [
    {
      method: 'POST',
      path: '/v1/sessions/{id}/quality',
      id: 'reportQuality',
      summary:
        'Reports how the call plays at the viewer: lip sync, freezes, delays; the client SDK sends it every 10 s',
      access: 'session',
      body: { schema: qualityBody },
      bodyLimitBytes: 8192,
      status: 204,
      errors: ['ARGUMENT_INVALID', 'SESSION_NOT_FOUND'],
      handle: async (request) => quality.record(check(qualityBody, request.body ?? {})),
    },
  ];
}
