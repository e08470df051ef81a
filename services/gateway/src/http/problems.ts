import { MeshError, type Reason, type SessionRecord } from '@talkmesh/contracts';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';

/** Errors of fastify itself, as the mesh names them. */
const OF_FASTIFY: Readonly<Record<string, { reason: Reason; status?: number; detail: string }>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: { reason: 'BODY_TOO_LARGE', detail: 'the body is larger than this path takes' },
  FST_ERR_CTP_INVALID_MEDIA_TYPE: {
    reason: 'ARGUMENT_INVALID',
    status: 415,
    detail: 'the content type is not one this path takes',
  },
  FST_ERR_CTP_EMPTY_JSON_BODY: { reason: 'ARGUMENT_INVALID', detail: 'the body is empty; send JSON' },
  FST_ERR_CTP_INVALID_JSON_BODY: { reason: 'ARGUMENT_INVALID', detail: 'the body is not JSON' },
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: { reason: 'ARGUMENT_INVALID', detail: 'Content-Length and the body differ' },
};

/** A refusal that HTTP has a status for and the mesh has none: 405, 415. */
export class HttpRefusal extends MeshError {
  readonly status: number;

  constructor(status: number, message: string) {
    super('ARGUMENT_INVALID', message);
    this.status = status;
  }
}

const TITLES: Readonly<Record<number, string>> = {
  400: 'Bad request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not found',
  405: 'Method not allowed',
  409: 'Conflict',
  410: 'Gone',
  413: 'Content too large',
  415: 'Unsupported media type',
  422: 'Unprocessable content',
  424: 'Failed dependency',
  429: 'Too many requests',
  499: 'Client closed request',
  500: 'Internal server error',
  502: 'Bad gateway',
  503: 'Service unavailable',
  504: 'Gateway timeout',
};

/** What a thrown value means to an HTTP caller; nothing of an unknown error leaks. */
function translate(thrown: unknown): { error: MeshError; status: number } {
  const fastify = thrown as Partial<FastifyError>;
  const known = typeof fastify?.code === 'string' ? OF_FASTIFY[fastify.code] : undefined;
  if (known !== undefined) {
    const error = new MeshError(known.reason, known.detail, { cause: thrown });
    return { error, status: known.status ?? error.httpStatus };
  }
  if (thrown instanceof HttpRefusal) return { error: thrown, status: thrown.status };
  if (!(thrown instanceof MeshError) && fastify?.statusCode === 400) {
    const error = new MeshError('ARGUMENT_INVALID', 'the request is not valid HTTP for this path', { cause: thrown });
    return { error, status: 400 };
  }
  const error = MeshError.from(thrown);
  return { error, status: error.httpStatus };
}

/** Answers with application/problem+json (RFC 9457): reason, whether and when to try again. */
export function sendProblem(thrown: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const { error, status } = translate(thrown);
  if (status >= 500 && !error.retryable)
    request.log.error(
      { err: error.cause ?? error, reason: error.reason, route: request.routeOptions.url },
      'request failed',
    );
  if (status === 401) reply.header('www-authenticate', 'Bearer realm="talkmesh"');
  if (error.retryAfterMs !== undefined) reply.header('retry-after', Math.max(1, Math.ceil(error.retryAfterMs / 1000)));
  reply
    .code(status)
    .type('application/problem+json')
    .send(
      JSON.stringify({
        type: `urn:talkmesh:reason:${error.reason}`,
        title: TITLES[status] ?? 'Error',
        status,
        detail: error.message,
        reason: error.reason,
        retryable: error.retryable,
        ...(error.retryAfterMs === undefined ? {} : { retryAfterMs: error.retryAfterMs }),
      }),
    );
}

/** @throws MeshError ARGUMENT_INVALID naming every field that is wrong */
export function check<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'body'}: ${issue.message}`);
  throw new MeshError('ARGUMENT_INVALID', issues.join('; '));
}

/** A session as callers see it: instances by name, no addresses. */
export function publicSession(record: SessionRecord) {
  const placed = Object.entries(record.placement).map(([service, place]) => [service, place.instanceId]);
  return { ...record, placement: Object.fromEntries(placed) as Record<string, string> };
}
