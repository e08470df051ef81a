import { REASONS, type Reason } from '@talkmesh/contracts';
import { z } from 'zod';
import type { Operation } from './http/routes.js';
import { problem, sessionId } from './schemas.js';

type Json = Record<string, unknown>;

const PROBLEM = { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } };
/** Errors of every operation that is not public, besides its own. */
const ACCESS_ERRORS: readonly Reason[] = ['TOKEN_MISSING', 'TOKEN_INVALID', 'TOKEN_EXPIRED', 'RATE_LIMITED'];

function schemaOf(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema: _, ...json } = z.toJSONSchema(schema, { io }) as Json;
  return json;
}

function parametersOf(operation: Operation): Json[] {
  const names = [...operation.path.matchAll(/\{(\w+)\}/g)].map((match) => match[1] as string);
  const path = names.map((name) => ({
    name,
    in: 'path',
    required: true,
    schema:
      name === 'id' && !operation.path.startsWith('/v1/avatars') ? schemaOf(sessionId, 'input') : { type: 'string' },
  }));
  const query = operation.query === undefined ? [] : queryOf(operation.query);
  if (operation.tokenInQuery !== true) return [...path, ...query];
  const description = 'Session token; for EventSource, which cannot set headers';
  return [...path, ...query, { name: 'token', in: 'query', required: false, schema: { type: 'string' }, description }];
}

function queryOf(shape: z.ZodObject): Json[] {
  const { properties = {}, required = [] } = schemaOf(shape, 'input') as {
    properties?: Record<string, Json>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, { description, ...schema }]) => {
    const described = description === undefined ? {} : { description };
    return { name, in: 'query', required: required.includes(name), schema, ...described };
  });
}

function errorsOf(operation: Operation): Json {
  const reasons = [...operation.errors];
  if (operation.access !== 'public') reasons.push(...ACCESS_ERRORS);
  if (operation.access === 'session') reasons.push('TOKEN_WRONG_SESSION');
  if (operation.access === 'key') reasons.push('PERMISSION_DENIED');
  const byStatus = new Map<number, Reason[]>();
  for (const reason of new Set(reasons)) {
    const status = REASONS[reason].http;
    byStatus.set(status, [...(byStatus.get(status) ?? []), reason]);
  }
  const entries = [...byStatus].map(([status, names]) => [status, { description: names.join(', '), content: PROBLEM }]);
  return Object.fromEntries(entries) as Json;
}

function successOf(operation: Operation): Json {
  const { answer } = operation;
  if (answer === undefined) return { description: 'Done' };
  const headers = Object.entries(answer.headers ?? {}).map(([name, description]) => [
    name,
    { description, schema: { type: 'string' } },
  ]);
  return {
    description: 'Done',
    ...(headers.length === 0 ? {} : { headers: Object.fromEntries(headers) as Json }),
    content: { [answer.type]: { schema: answer.schema === undefined ? {} : schemaOf(answer.schema, 'output') } },
  };
}

function describe(operation: Operation): Json {
  const { body } = operation;
  const content = body === undefined ? {} : schemaOf(body.schema, 'input');
  return {
    operationId: operation.id,
    summary: operation.summary,
    parameters: parametersOf(operation),
    ...(operation.access === 'public' ? { security: [] } : {}),
    ...(body === undefined
      ? {}
      : {
          requestBody: {
            required: true,
            content: {
              ...Object.fromEntries((body.types ?? ['application/json']).map((type) => [type, { schema: content }])),
              ...Object.fromEntries((body.files ?? []).map((type) => [type, { schema: {} }])),
            },
          },
        }),
    responses: { [operation.status]: successOf(operation), ...errorsOf(operation) },
  };
}

/** Generates the OpenAPI 3.1 document from the schemas that validate the requests. */
export function openApi(operations: readonly Operation[], version: string): Json {
  const paths: Record<string, Json> = {};
  for (const operation of operations) {
    paths[operation.path] ??= {};
    (paths[operation.path] as Json)[operation.method.toLowerCase()] = describe(operation);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'talkmesh',
      version,
      description: 'Make any picture talk, live.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    security: [{ bearer: [] }],
    paths,
    components: {
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', description: 'An API key, or the token of a session' },
      },
      schemas: { Problem: schemaOf(problem, 'output') },
    },
  };
}
