import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import type { Operation } from './http/routes.js';
import { openApi } from './openapi.js';

const operation = (change: Partial<Operation>): Operation => ({
  method: 'POST',
  path: '/v1/things/{id}',
  id: 'makeThing',
  summary: 'Makes a thing',
  access: 'session',
  status: 201,
  errors: ['SESSION_NOT_FOUND', 'SESSION_ENDED'],
  handle: async () => undefined,
  ...change,
});

// biome-ignore lint/suspicious/noExplicitAny: a JSON document is read here
const documentOf = (...operations: Operation[]): any => openApi(operations, '1');

test('the document contains the schemas that validate the requests', () => {
  const schema = z.strictObject({ name: z.string().min(1).max(9), count: z.number().int().default(3) });
  const { post } = documentOf(operation({ body: { schema } })).paths['/v1/things/{id}'];
  const body = post.requestBody.content['application/json'].schema;
  assert.deepEqual(body.required, ['name'], 'a field with a default may be left out');
  assert.equal(body.properties.name.maxLength, 9);
  assert.equal(body.additionalProperties, false);
  assert.deepEqual(
    post.parameters.map((parameter: { name: string; in: string }) => [parameter.name, parameter.in]),
    [['id', 'path']],
  );
});

test('parameters of the query are listed with their limits', () => {
  const query = z.object({ limit: z.coerce.number().int().max(9).default(3).describe('Of a page'), more: z.string() });
  const { parameters } = documentOf(operation({ query })).paths['/v1/things/{id}'].post;
  const [, limit, more] = parameters;
  assert.deepEqual([limit.name, limit.in, limit.required, limit.description], ['limit', 'query', false, 'Of a page']);
  assert.deepEqual([limit.schema.type, limit.schema.maximum, limit.schema.default], ['integer', 9, 3]);
  assert.deepEqual([more.name, more.required], ['more', true]);
});

test('every error is listed by its status', () => {
  const { responses } = documentOf(operation({})).paths['/v1/things/{id}'].post;
  assert.deepEqual(Object.keys(responses).sort(), ['201', '401', '403', '404', '410', '429']);
  assert.equal(responses['401'].description, 'TOKEN_MISSING, TOKEN_INVALID, TOKEN_EXPIRED');
  assert.equal(responses['403'].description, 'TOKEN_WRONG_SESSION');
});

test('public operations need no credentials, all others do', () => {
  const { paths, security, components } = documentOf(
    operation({}),
    operation({ path: '/v1/open', access: 'public', method: 'GET' }),
  );
  assert.deepEqual(paths['/v1/open'].get.security, []);
  assert.equal(paths['/v1/things/{id}'].post.security, undefined);
  assert.deepEqual(security, [{ bearer: [] }]);
  assert.ok(components.schemas.Problem.properties.reason.enum.includes('NO_WORKER'));
});
