import { MeshError, type Reason } from '@talkmesh/contracts';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import type { Principal } from '../auth.js';
import { HttpRefusal } from './problems.js';

/** Who may call: `key` an API key, `session` an API key or the token of the session in the path, `any` either, `public` everybody. */
export type Access = 'key' | 'session' | 'any' | 'public';

/** One operation: fastify serves it, the OpenAPI document describes it, from the same lines. */
export interface Operation {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** With OpenAPI's braces: `/v1/sessions/{id}`. */
  readonly path: string;
  readonly id: string;
  readonly summary: string;
  readonly access: Access;
  readonly body?: {
    readonly schema: z.ZodType;
    readonly types?: readonly string[];
    /** Types of files that may be sent as they are, instead. */
    readonly files?: readonly string[];
  };
  /** For bodies larger than the gateway takes elsewhere. */
  readonly bodyLimitBytes?: number;
  readonly status: number;
  readonly answer?: {
    readonly schema?: z.ZodType;
    readonly type: string;
    readonly headers?: Readonly<Record<string, string>>;
  };
  readonly errors: readonly Reason[];
  /** The token may come as `?token=`, for EventSource. */
  readonly tokenInQuery?: boolean;
  handle(request: FastifyRequest, reply: FastifyReply): Promise<unknown>;
}

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access;
    tokenInQuery?: boolean;
  }
  interface FastifyRequest {
    /** Who asks; undefined where everybody may. */
    principal: Principal | undefined;
  }
}

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;

export function serve(app: FastifyInstance, operations: readonly Operation[]): void {
  const toUrl = (path: string): string => path.replace(/\{(\w+)\}/g, ':$1');
  for (const operation of operations)
    app.route({
      method: operation.method,
      url: toUrl(operation.path),
      config: { access: operation.access, tokenInQuery: operation.tokenInQuery === true },
      ...(operation.bodyLimitBytes === undefined ? {} : { bodyLimit: operation.bodyLimitBytes }),
      handler: async (request, reply) => {
        const answer = await operation.handle(request, reply);
        if (reply.sent) return reply;
        return reply.code(operation.status).send(answer);
      },
    });
  for (const path of new Set(operations.map((operation) => operation.path))) {
    const allowed = operations.filter((operation) => operation.path === path).map(({ method }) => method as string);
    app.route({
      method: METHODS.filter((method) => !allowed.includes(method)),
      url: toUrl(path),
      config: { access: 'public' },
      handler: async (_request, reply) => {
        reply.header('allow', allowed.join(', '));
        throw new HttpRefusal(405, `this path takes ${allowed.join(', ')} only`);
      },
    });
  }
}

export function param(request: FastifyRequest, name: string): string {
  return (request.params as Record<string, string>)[name] ?? '';
}

/** To whom a request's pictures belong. @throws MeshError PERMISSION_DENIED without an API key */
export function ownerOf({ principal }: FastifyRequest): string {
  if (principal?.kind === 'key') return principal.owner;
  throw new MeshError('PERMISSION_DENIED', 'own pictures belong to API keys: send one');
}

/** Aborted when the caller goes away before the answer; `request.signal` would abort as soon as the body was read. */
export function callerSignal(reply: FastifyReply): AbortSignal {
  const abort = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) abort.abort(new DOMException('the caller went away', 'AbortError'));
  });
  return abort.signal;
}
