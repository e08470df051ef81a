import { MeshError, type Reason, type SessionRecord, sentence } from '@talkmesh/contracts';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';

/** Maps fastify's own error codes to reasons of the mesh. */
const OF_FASTIFY: Readonly<Record<string, { reason: Reason; status?: number; detail: string }>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: {
    reason: 'BODY_TOO_LARGE',
    detail: 'the body is larger than this path accepts; send less',
  },
  FST_ERR_CTP_INVALID_MEDIA_TYPE: {
    reason: 'ARGUMENT_INVALID',
    status: 415,
    detail:
      'this path does not accept the content type; most take "content-type: application/json", GET /openapi.json lists them',
  },
  FST_ERR_CTP_EMPTY_JSON_BODY: { reason: 'ARGUMENT_INVALID', detail: 'the body is empty; send JSON' },
  FST_ERR_CTP_INVALID_JSON_BODY: { reason: 'ARGUMENT_INVALID', detail: 'the body is not valid JSON' },
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: {
    reason: 'ARGUMENT_INVALID',
    detail: 'Content-Length differs from the length of the body',
  },
};

/** A refusal with a status that no reason of the mesh has: 405, 408, 412, 415, 416, 428, 501. */
export class HttpRefusal extends MeshError {
  readonly status: number;

  constructor(status: number, message: string, reason: Reason = 'ARGUMENT_INVALID') {
    super(reason, message);
    this.status = status;
  }
}

const TITLES: Readonly<Record<number, string>> = {
  400: 'Bad request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not found',
  405: 'Method not allowed',
  406: 'Not acceptable',
  408: 'Request timeout',
  409: 'Conflict',
  410: 'Gone',
  412: 'Precondition failed',
  413: 'Content too large',
  415: 'Unsupported media type',
  416: 'Range not satisfiable',
  422: 'Unprocessable content',
  424: 'Failed dependency',
  428: 'Precondition required',
  429: 'Too many requests',
  499: 'Client closed request',
  500: 'Internal server error',
  501: 'Not implemented',
  502: 'Bad gateway',
  503: 'Service unavailable',
  504: 'Gateway timeout',
};

/** Maps a thrown value to an error for the caller. Details of unknown errors are not disclosed. */
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

/** Answers with application/problem+json (RFC 9457): the reason, and whether and when to try again. */
export function sendProblem(thrown: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const { error, status } = translate(thrown);
  if (status >= 500 && !error.retryable)
    request.log.error(
      { err: error.cause ?? error, reason: error.reason, route: request.routeOptions.url },
      'request failed',
    );
  // The rest of the body is still to come, and would be read as the next request.
  if (status === 408) reply.header('connection', 'close');
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
        detail: sentence(error.message),
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
  throw new MeshError('ARGUMENT_INVALID', `the request is not valid: ${issues.join('; ')}`);
}

/** The public part of a session record: names of instances without their addresses, no owner, and nothing that only the model should read. */
export function publicSession({
  choices,
  limits: _limits,
  ownKey: _key,
  owner: _owner,
  livekit,
  recording,
  ...record
}: SessionRecord) {
  const placed = Object.entries(record.placement).map(([service, place]) => [service, place.instanceId]);
  const { quality = 'balanced' } = record;
  const { voice = '', language = '', input = 'voice-activity' } = choices ?? {};
  const transport = livekit && {
    livekit: { url: livekit.url, room: livekit.room, identity: livekit.identity },
  };
  return {
    ...{ ...record, quality, voice, language, input, placement: Object.fromEntries(placed) as Record<string, string> },
    ...(transport && { transport }),
    ...(recording && {
      recording: { sides: recording.sides, format: recording.format, maxSeconds: recording.maxMs / 1000 },
    }),
  };
}
