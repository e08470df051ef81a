/** The rules of compatibility find every kind of breaking change, and let through what may be added. */
import assert from 'node:assert/strict';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '../support/temporary-folder.js';
import { brokenProtos } from './proto-rules.js';
import { loadProtos } from './proto-samples.js';
import { brokenRest, type OpenApi } from './rest-rules.js';
import { faultsOf, type Rules, type Schema } from './schema-rules.js';
import { folderOf, minorVersion } from './wire-format.js';

const text = { type: 'string', maxLength: 9 };
const object = (properties: Record<string, Schema>, required: readonly string[] = [], more: Schema = {}): Schema => ({
  ...{ type: 'object', properties, required },
  ...more,
});

test('what a reader would refuse or misread is found', () => {
  const was = object({ name: text, cause: { enum: ['a', 'b'] }, at: { type: 'number', minimum: 0 } }, ['name']);
  const cases: readonly (readonly [Schema, RegExp, Rules?])[] = [
    [object({ name: text }), /^name may be missing and is required$/],
    [object({ name: { type: 'number' } }, ['name']), /^name is number and not string$/],
    [object({ name: { type: ['string', 'null'], maxLength: 9 } }, ['name']), /name is string or null and not string/],
    [object({ name: { type: 'string' } }, ['name']), /name has the maxLength none and not 9/],
    [object({ name: text, cause: { enum: ['a', 'c'] } }, ['name']), /cause may be c, which is not known/],
    [object({ name: text, cause: { type: 'string' } }, ['name']), /cause may be any value/],
    [object({ name: text, at: { type: 'number', minimum: -1 } }, ['name']), /at has the minimum -1 and not 0/],
  ];
  for (const [is, message, rules] of cases) assert.match(faultsOf(was, is, rules).join('\n'), message);
  assert.match(
    faultsOf({ ...was, additionalProperties: false }, object({ name: text, more: text }, ['name'])).join(),
    /more is refused/,
  );
  const list = { type: 'array', items: was };
  assert.match(faultsOf(list, { type: 'array', items: object({ name: text }) }).join(), /^\[\]\.name may be missing/);
});

test('what may be added is let through', () => {
  const was = object({ name: text, cause: { enum: ['a', 'b'] } }, ['name']);
  const more = object({ name: text, cause: { enum: ['a'] }, later: { type: 'object' } }, ['name', 'later']);
  assert.deepEqual(faultsOf(was, more), []);
  const longer = object({ name: text, cause: { enum: ['a', 'z'] } }, ['name']);
  assert.deepEqual(faultsOf(was, longer, { openEnumerations: true }), []);
  const closed = { ...was, additionalProperties: false };
  assert.deepEqual(faultsOf(closed, more, { ignoresUnknownFields: true }), []);
});

test('kinds of messages are compared one by one; a new kind is left out by its reader', () => {
  const kind = (name: string, properties: Record<string, Schema> = {}): Schema =>
    object({ type: { type: 'string', const: name }, ...properties }, ['type', ...Object.keys(properties)]);
  const rules = { newKindsBy: 'type' };
  const was = { oneOf: [kind('a', { n: { type: 'integer' } }), kind('b')] };
  assert.deepEqual(faultsOf(was, { oneOf: [kind('a', { n: { type: 'integer' } }), kind('c')] }, rules), []);
  assert.match(faultsOf(was, { oneOf: [kind('a')] }, rules).join(), /^<a>\.n may be missing/);
  assert.match(faultsOf(was, { oneOf: [kind('c')] }).join(), /c, which is not known/);
});

test('a removed, renumbered, renamed or retyped field, value, method or message of a proto is found', () => {
  const folder = temporaryFolder('protos');
  const planted = (file: string, from: string | RegExp, to: string): string => {
    cpSync('protos', folder, { recursive: true });
    const path = join(folder, 'talkmesh/v1', file);
    const before = readFileSync(path, 'utf8');
    const after = before.replace(from, to);
    assert.notEqual(after, before, String(from));
    writeFileSync(path, after);
    return brokenProtos(loadProtos('protos'), loadProtos(folder)).join('\n');
  };
  assert.match(planted('stage.proto', '  bool take_over = 3;\n', ''), /OpenRequest field 3 .*takeOver.* was removed/);
  assert.match(planted('stage.proto', 'bool take_over = 3', 'bool take_over = 33'), /field 3 .* was removed/);
  assert.match(planted('stage.proto', 'uint32 epoch = 2', 'string epoch = 2'), /TYPE_UINT32 epoch.*TYPE_STRING epoch/);
  assert.match(planted('session.proto', 'string avatar = 3', 'string face = 3'), /Session field 3 was .*avatar.*face/);
  assert.match(planted('session.proto', 'repeated Session sessions', 'Session sessions'), /LABEL_REPEATED/);
  assert.match(planted('stage.proto', 'SINK_FRAMES = 4', 'SINK_FRAMES = 5'), /Sink value 4 .*removed/);
  assert.match(planted('session.proto', /.*rpc EndSession.*\n/, ''), /EndSession .* was removed/);
  assert.match(
    planted('session.proto', 'returns (stream SessionEvent)', 'returns (SessionEvent)'),
    /stream SessionEvent/,
  );
  assert.equal(
    planted('session.proto', 'message GetSessionRequest {', 'message GetSessionRequest {\n  bool later = 9;'),
    '',
  );
});

test('a path, parameter, field or status that clients of REST miss is found', () => {
  const released = readFileSync(join(folderOf(minorVersion()), 'openapi.json'), 'utf8');
  // biome-ignore lint/suspicious/noExplicitAny: a JSON document is changed here
  const planted = (change: (document: any) => void): string => {
    const document = JSON.parse(released);
    change(document);
    return brokenRest(JSON.parse(released) as OpenApi, document as OpenApi).join('\n');
  };
  const body = (paths: Record<string, never>, path: string, method: string, status: string) =>
    // biome-ignore lint/suspicious/noExplicitAny: as above
    (paths as any)[path][method].responses[status].content['application/json'].schema;
  assert.equal(
    planted(() => undefined),
    '',
  );
  assert.match(
    planted(({ paths }) => delete paths['/v1/grants']),
    /^POST \/v1\/grants was removed$/m,
  );
  assert.match(
    planted(({ paths }) => delete paths['/v1/sessions'].get),
    /GET \/v1\/sessions was removed/,
  );
  assert.match(
    planted(({ paths }) => delete paths['/v1/sessions'].post.responses['201']),
    /answers 201 no more/,
  );
  const required = ({ paths }: { paths: Record<string, never> }, path: string) => body(paths, path, 'post', '201');
  assert.match(
    planted((document) => required(document, '/v1/sessions').required.splice(0, 1)),
    /may be missing and is required/,
  );
  const schemaOf = (paths: Record<string, never>) =>
    // biome-ignore lint/suspicious/noExplicitAny: as above
    (paths as any)['/v1/sessions'].post.requestBody.content['application/json'].schema;
  assert.match(
    planted(({ paths }) => delete schemaOf(paths).properties.seed),
    /request: seed is refused/,
  );
  assert.match(
    planted(({ paths }) => (schemaOf(paths).required = ['seed'])),
    /request: seed may be missing/,
  );
  assert.match(
    planted(({ paths }) => paths['/v1/sessions'].get.parameters.push({ name: 'of', in: 'query', required: true })),
    /the parameter query of is required now/,
  );
  assert.equal(
    planted(({ paths }) => (schemaOf(paths).properties.later = { type: 'string' })),
    '',
  );
});
