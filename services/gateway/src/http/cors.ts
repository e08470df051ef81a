import type { FastifyInstance } from 'fastify';

const HEADERS = {
  'access-control-allow-methods': 'GET, POST, PATCH, DELETE',
  'access-control-allow-headers': 'authorization, content-type, if-match, last-event-id',
  'access-control-expose-headers': 'accept-patch, etag, link, location, retry-after',
  'access-control-max-age': '600',
};

/** Allows cross-origin requests (Fetch, section 3.2) from the listed origins; browsers block all others. OPTIONS is answered by each path. */
export function allowOrigins(app: FastifyInstance, origins: readonly string[]): void {
  const allowsAll = origins.includes('*');
  app.addHook('onRequest', async (request, reply) => {
    const { origin } = request.headers;
    if (origin === undefined || !(allowsAll || origins.includes(origin))) return;
    reply.headers({ ...HEADERS, 'access-control-allow-origin': allowsAll ? '*' : origin });
    if (!allowsAll) reply.header('vary', 'origin');
  });
}
