import { MeshError } from '@talkmesh/contracts';
import type { Logger, Metrics } from '@talkmesh/service-kit';
import { FRAGMENT_TYPE } from '@talkmesh/webrtc';
import Fastify, { type FastifyBaseLogger, type FastifyInstance, type FastifyRequest, LogController } from 'fastify';
import { type Auth, type Principal, requireKey, requireOpener, requireOrigin } from '../auth.js';
import type { RateLimit } from '../rate-limit.js';
import type { SessionAccess } from '../session-access.js';
import { BODY_LIMIT_BYTES, limitBodies } from './body-limits.js';
import { allowOrigins } from './cors.js';
import { PICTURE_TYPES } from './own-avatar-routes.js';
import { HttpRefusal, sendProblem } from './problems.js';
import { prefixLocations, proxyTrust } from './proxy-trust.js';
import { type Operation, param, serve } from './routes.js';
import { SDP_TYPE } from './signalling-routes.js';
import { routeUpgrades } from './upgrade.js';

export interface HttpOptions {
  readonly operations: readonly Operation[];
  readonly auth: Auth;
  readonly access: SessionAccess;
  readonly rateLimit: RateLimit;
  readonly corsOrigins: readonly string[];
  readonly trustProxy: string;
  readonly keepAliveMs: number;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** Headers of every answer; the page overrides the content security policy. */
const SECURITY_HEADERS = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'x-frame-options': 'SAMEORIGIN',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
};

/** The HTTP server: limits, headers, authentication and errors are the same for every operation. */
export function createHttp(options: HttpOptions): FastifyInstance {
  const trusts = proxyTrust(options.trustProxy);
  const app = Fastify({
    loggerInstance: options.log as unknown as FastifyBaseLogger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: BODY_LIMIT_BYTES,
    trustProxy: trusts,
    connectionTimeout: 60_000,
    // Long enough for the largest body at the least rate; headers get less.
    requestTimeout: 240_000,
    http: { headersTimeout: 10_000, connectionsCheckingInterval: 5000 },
    keepAliveTimeout: options.keepAliveMs,
    forceCloseConnections: true,
    return503OnClosing: false,
    routerOptions: { maxParamLength: 128 },
  });
  app.removeContentTypeParser('text/plain');
  for (const type of [SDP_TYPE, FRAGMENT_TYPE, 'text/plain'])
    app.addContentTypeParser(type, { parseAs: 'string' }, (_request, body, done) => done(null, body));
  app.addContentTypeParser([...PICTURE_TYPES], { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  app.decorateRequest('principal', undefined);
  allowEmptyJson(app);
  app.addHook('onRequest', async (_request, reply) => void reply.headers(SECURITY_HEADERS));
  prefixLocations(app, trusts);
  measure(app, options.metrics);
  allowOrigins(app, options.corsOrigins);
  app.addHook('onRequest', (request) => authorize(request, options));
  limitBodies(app, Math.max(...options.operations.map(({ bodyLimitBytes = BODY_LIMIT_BYTES }) => bodyLimitBytes)));
  app.setErrorHandler((error, request, reply) => sendProblem(error, request, reply));
  app.setNotFoundHandler({ preHandler: [] }, ({ method }) => {
    if (!app.supportedMethods.includes(method))
      throw new HttpRefusal(501, `the method ${method} is not known to this server; GET /openapi.json lists all paths`);
    throw new MeshError('NOT_FOUND', 'there is nothing at this path; GET /openapi.json lists all paths');
  });
  serve(app, options.operations);
  routeUpgrades(app);
  return app;
}

/** Fastify refuses an empty body with a JSON content type; here it counts as no body. */
function allowEmptyJson(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.removeContentTypeParser('application/json');
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') done(null, undefined);
    else void parse(request, body as string, done);
  });
}

/** Authenticates, limits the rate and authorizes, before the body is read. */
async function authorize(
  request: FastifyRequest,
  options: Pick<HttpOptions, 'auth' | 'access' | 'rateLimit'>,
): Promise<void> {
  const { access, operation = '' } = request.routeOptions.config;
  if (access === undefined || access === 'public') return options.rateLimit.take(`address:${request.ip}`);
  const principal = await identify(request, options.auth).catch((error: unknown) => {
    options.rateLimit.take(`address:${request.ip}`);
    throw error;
  });
  options.rateLimit.take(principal.name);
  request.principal = principal;
  requireOrigin(principal, request.headers.origin);
  if (access === 'key') requireKey(principal);
  if (access === 'opener') requireOpener(principal);
  if (access === 'session') await options.access.require(principal, param(request, 'id'), operation);
}

/** The caller by header, or by `?token=` where that is allowed. A key in a URL is refused: proxies, histories and logs keep URLs. */
async function identify(request: FastifyRequest, auth: Auth): Promise<Principal> {
  const { token } = request.query as { token?: unknown };
  const { authorization } = request.headers;
  const mayBeInQuery = request.routeOptions.config.tokenInQuery === true && typeof token === 'string';
  if (authorization !== undefined || !mayBeInQuery) return auth.identify(authorization);
  const principal = await auth.identify(`Bearer ${token}`);
  if (principal.kind === 'session') return principal;
  throw new MeshError(
    'TOKEN_INVALID',
    'API keys and grants do not belong in a URL; send them in the authorization header',
  );
}

function measure(app: FastifyInstance, metrics: Metrics): void {
  const seconds = metrics.histogram(
    'talkmesh_http_request_seconds',
    'Duration of HTTP requests, except event streams',
    ['method', 'route', 'status'],
  );
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'none';
    if (route.endsWith('/events')) return;
    seconds.observe({ method: request.method, route, status: String(reply.statusCode) }, reply.elapsedTime / 1000);
  });
}
