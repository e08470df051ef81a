import { MeshError } from '@talkmesh/contracts';
import type { Logger, Metrics } from '@talkmesh/service-kit';
import Fastify, { type FastifyBaseLogger, type FastifyInstance, type FastifyRequest, LogController } from 'fastify';
import { type Auth, requireKey, requireSession } from '../auth.js';
import type { RateLimit } from '../rate-limit.js';
import { sessionId } from '../schemas.js';
import { allowOrigins } from './cors.js';
import { PICTURE_TYPES } from './own-avatar-routes.js';
import { sendProblem } from './problems.js';
import { type Operation, param, serve } from './routes.js';
import { SDP_TYPE } from './signalling-routes.js';

export const BODY_LIMIT_BYTES = 65_536;

export interface HttpOptions {
  readonly operations: readonly Operation[];
  readonly auth: Auth;
  readonly rateLimit: RateLimit;
  readonly corsOrigins: readonly string[];
  readonly trustProxy: boolean;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** Headers every answer has; the page adds its own policy. */
const SECURITY_HEADERS = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'x-frame-options': 'SAMEORIGIN',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
};

/** The HTTP edge: limits, headers, authentication and errors, the same for every operation. */
export function createHttp(o: HttpOptions): FastifyInstance {
  const app = Fastify({
    loggerInstance: o.log as unknown as FastifyBaseLogger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: BODY_LIMIT_BYTES,
    trustProxy: o.trustProxy,
    connectionTimeout: 60_000,
    requestTimeout: 30_000,
    keepAliveTimeout: 30_000,
    forceCloseConnections: true,
    return503OnClosing: false,
    routerOptions: { maxParamLength: 128 },
  });
  app.removeContentTypeParser('text/plain');
  for (const type of [SDP_TYPE, 'text/plain'])
    app.addContentTypeParser(type, { parseAs: 'string' }, (_request, body, done) => done(null, body));
  app.addContentTypeParser([...PICTURE_TYPES], { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  app.decorateRequest('principal', undefined);
  allowEmptyJson(app);
  app.addHook('onRequest', async (_request, reply) => void reply.headers(SECURITY_HEADERS));
  measure(app, o.metrics);
  allowOrigins(app, o.corsOrigins);
  app.addHook('onRequest', (request) => admit(request, o));
  app.setErrorHandler((error, request, reply) => sendProblem(error, request, reply));
  app.setNotFoundHandler({ preHandler: [] }, () => {
    throw new MeshError('NOT_FOUND', 'there is nothing at this path; GET /openapi.json lists what there is');
  });
  serve(app, o.operations);
  return app;
}

/** An empty body with a JSON content type is an empty body. */
function allowEmptyJson(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.removeContentTypeParser('application/json');
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') done(null, undefined);
    else void parse(request, body as string, done);
  });
}

/** Who asks, may they, and not too often. Runs before a body is read. */
async function admit(request: FastifyRequest, o: Pick<HttpOptions, 'auth' | 'rateLimit'>): Promise<void> {
  const { access, tokenInQuery } = request.routeOptions.config;
  if (access === undefined || access === 'public') return o.rateLimit.take(`address:${request.ip}`);
  const { token } = request.query as { token?: unknown };
  const fromQuery = tokenInQuery === true && typeof token === 'string' ? `Bearer ${token}` : undefined;
  const principal = await o.auth.identify(request.headers.authorization ?? fromQuery).catch((error: unknown) => {
    o.rateLimit.take(`address:${request.ip}`);
    throw error;
  });
  o.rateLimit.take(principal.name);
  request.principal = principal;
  if (access === 'key') requireKey(principal);
  if (access === 'session') {
    const id = sessionId.safeParse(param(request, 'id'));
    if (!id.success)
      throw new MeshError('SESSION_ID_INVALID', 'a session id is 20 characters of 0-9 and a-z without i, l, o, u');
    requireSession(principal, id.data);
  }
}

function measure(app: FastifyInstance, metrics: Metrics): void {
  const seconds = metrics.histogram('talkmesh_http_request_seconds', 'HTTP requests, streams of events left out', [
    'method',
    'route',
    'status',
  ]);
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'none';
    if (route.endsWith('/events')) return;
    seconds.observe({ method: request.method, route, status: String(reply.statusCode) }, reply.elapsedTime / 1000);
  });
}
