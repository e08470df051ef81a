import { MeshError, type Reason } from '@talkmesh/contracts';
import { withHttpSpan } from '@talkmesh/service-kit';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import { continuesTrace, type KeyPrincipal, type Opener, type Principal, requireKey, requireOpener } from '../auth.js';
import { HttpRefusal } from './problems.js';

/** Who may call: `key` an API key, `session` an API key or the token of the session in the path, `any` either of them or a grant, `opener` a key or a grant, `public` needs no credential. */
export type Access = 'key' | 'opener' | 'session' | 'any' | 'public';

/** One operation: fastify serves it and the OpenAPI document describes it from the same declaration. */
export interface Operation {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** With OpenAPI's braces: `/v1/sessions/{id}`. */
  readonly path: string;
  readonly id: string;
  readonly summary: string;
  readonly access: Access;
  /** Parameters of the query, which `handle` checks. */
  readonly query?: z.ZodObject;
  readonly body?: {
    readonly schema: z.ZodType;
    readonly types?: readonly string[];
    /** Media types of files that may be sent as the body instead. */
    readonly files?: readonly string[];
  };
  /** Where larger bodies than BODY_LIMIT_BYTES are accepted. */
  readonly bodyLimitBytes?: number;
  readonly status: number;
  readonly answer?: {
    readonly schema?: z.ZodType;
    readonly type: string;
    readonly headers?: Readonly<Record<string, string>>;
  };
  readonly errors: readonly Reason[];
  /** The token may be sent as `?token=`, because EventSource cannot set headers. */
  readonly tokenInQuery?: boolean;
  /** Adds headers to the answer to OPTIONS. */
  describe?(request: FastifyRequest, reply: FastifyReply): Promise<void>;
  handle(request: FastifyRequest, reply: FastifyReply): Promise<unknown>;
}

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access;
    /** Id of the operation, for the audit log. */
    operation?: string;
    tokenInQuery?: boolean;
  }
  interface FastifyRequest {
    /** The authenticated caller; undefined for public operations. */
    principal: Principal | undefined;
  }
}

/** Methods that some path may have; any other is not implemented at all. */
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'TRACE'] as const;

export function serve(app: FastifyInstance, operations: readonly Operation[]): void {
  const toUrl = (path: string): string => path.replace(/\{(\w+)\}/g, ':$1');
  for (const operation of operations)
    app.route({
      method: operation.method,
      url: toUrl(operation.path),
      config: {
        access: operation.access,
        operation: operation.id,
        tokenInQuery: operation.tokenInQuery === true,
      },
      ...(operation.bodyLimitBytes === undefined ? {} : { bodyLimit: operation.bodyLimitBytes }),
      handler: async (request, reply) => {
        const handle = () => operation.handle(request, reply);
        const { method, path: route } = operation;
        const { headers, principal } = request;
        // A connection that stays open has no duration of its own: what happens on it has spans.
        const answer = await (staysOpen(operation)
          ? handle()
          : withHttpSpan({ method, route, headers, continuesTrace: continuesTrace(principal) }, handle));
        if (reply.sent) return reply;
        return reply.code(operation.status).send(answer);
      },
    });
  for (const path of new Set(operations.map((operation) => operation.path)))
    serveOtherMethods(
      app,
      toUrl(path),
      operations.filter((operation) => operation.path === path),
    );
}

const staysOpen = ({ status, answer }: Operation): boolean => status === 101 || answer?.type === 'text/event-stream';

/** OPTIONS says what a path takes (RFC 9110, 9.3.7), and every method that it does not have is refused before its body is read. */
function serveOtherMethods(app: FastifyInstance, url: string, operations: readonly Operation[]): void {
  const own = operations.flatMap(({ method }) => (method === 'GET' ? ['GET', 'HEAD'] : [method as string]));
  const allow = [...own, 'OPTIONS'].join(', ');
  app.route({
    method: METHODS.filter((method) => !own.includes(method)),
    url,
    config: { access: 'public' },
    onRequest: async (_request, reply) => {
      reply.header('allow', allow);
      throw new HttpRefusal(405, `this path takes only ${allow}; use one of them`);
    },
    handler: async () => undefined,
  });
  const bodyOf = (wanted: string) => operations.find(({ method }) => method === wanted)?.body;
  const [posted, patched] = [bodyOf('POST'), bodyOf('PATCH')];
  app.route({
    method: 'OPTIONS',
    url,
    config: { access: 'public' },
    // A body is of no use here; it is not read, so that no content type is refused.
    onRequest: async (request, reply) => {
      reply.header('allow', allow);
      if (posted !== undefined) reply.header('accept-post', acceptedTypes(posted).join(', '));
      if (patched !== undefined) reply.header('accept-patch', acceptedTypes(patched).join(', '));
      for (const operation of operations) await operation.describe?.(request, reply);
      return reply.code(204).send();
    },
    handler: async () => undefined,
  });
}

/** Media types of the body of an operation. */
export function acceptedTypes({ types, files }: NonNullable<Operation['body']>): string[] {
  return [...(types ?? ['application/json']), ...(files ?? [])];
}

export function param(request: FastifyRequest, name: string): string {
  return (request.params as Record<string, string>)[name] ?? '';
}

/** The API key of a request to an operation with the access `key`. */
export function keyOf({ principal }: FastifyRequest): KeyPrincipal {
  if (principal === undefined) throw new MeshError('TOKEN_MISSING', 'this operation needs an API key; send one');
  return requireKey(principal);
}

/** The key or grant of a request to an operation with the access `opener`. */
export function openerOf({ principal }: FastifyRequest): Opener {
  if (principal === undefined)
    throw new MeshError('TOKEN_MISSING', 'this operation needs an API key or a grant; send one');
  return requireOpener(principal);
}

/** Aborted when the caller disconnects before the answer. `request.signal` is no use: it aborts as soon as the body was read. */
export function callerSignal(reply: FastifyReply): AbortSignal {
  const abort = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) abort.abort(new DOMException('the caller disconnected', 'AbortError'));
  });
  return abort.signal;
}
