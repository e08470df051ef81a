import type { FastifyInstance } from 'fastify';

const HEADERS = {
  'access-control-allow-methods': 'GET, POST, DELETE',
  'access-control-allow-headers': 'authorization, content-type',
  'access-control-expose-headers': 'location, retry-after',
  'access-control-max-age': '600',
};

/** Cross-origin requests (Fetch, 3.2) of the listed origins; without a list browsers keep other origins out. */
export function allowOrigins(app: FastifyInstance, origins: readonly string[]): void {
  const every = origins.includes('*');
  app.addHook('onRequest', async (request, reply) => {
    const { origin } = request.headers;
    if (origin === undefined || !(every || origins.includes(origin))) return;
    reply.headers({ ...HEADERS, 'access-control-allow-origin': every ? '*' : origin });
    if (!every) reply.header('vary', 'origin');
    if (request.method === 'OPTIONS') await reply.code(204).send();
  });
}
