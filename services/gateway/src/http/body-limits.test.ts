import assert from 'node:assert/strict';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { until } from '@talkmesh/service-kit/testing';
import { API_KEY, FakeMesh } from '../testing/fake-mesh.js';
import { plainPng } from '../testing/pictures.js';
import { BodyBudget, notSlowerThan } from './body-limits.js';

const OTHER_KEY = 'another-key-of-the-test-987654';
const LARGEST = 200_000;

let mesh: FakeMesh;
before(async () => {
  mesh = await FakeMesh.start({
    TALKMESH_API_KEYS: `${API_KEY},${OTHER_KEY}`,
    TALKMESH_MAX_PICTURE_BYTES: String(LARGEST),
  });
});
after(() => mesh[Symbol.asyncDispose]());

/** Announces a picture and sends only its first byte. */
function slowUpload(bearer = API_KEY) {
  const request = httpRequest(`${mesh.gateway.url}/v1/avatars`, {
    method: 'POST',
    headers: { authorization: `Bearer ${bearer}`, 'content-type': 'image/png', 'content-length': LARGEST },
  });
  request.on('error', () => undefined);
  const answer = new Promise<IncomingMessage>((resolve) => request.once('response', resolve));
  request.write(Buffer.alloc(1));
  return { request, answer };
}

const upload = (bearer: string) =>
  fetch(`${mesh.gateway.url}/v1/avatars`, {
    method: 'POST',
    headers: { authorization: `Bearer ${bearer}`, 'content-type': 'image/png' },
    body: new Uint8Array(plainPng(100, 100)),
  });

test('a key that announces more than its share is refused before its bodies are read; other keys are not', async () => {
  const slow = Array.from({ length: 8 }, () => slowUpload());
  const answers = slow.map(({ answer }) => answer);
  let refused = 0;
  for (const answer of answers)
    answer.then(
      ({ statusCode }) => {
        if (statusCode === 429) refused += 1;
      },
      () => undefined,
    );
  await until('the share of the key is used up', () => refused > 0);
  assert.equal((await upload(OTHER_KEY)).status, 201);
  for (const { request } of slow) request.destroy();
  await until('the bytes of callers that left are free again', async () => (await upload(API_KEY)).status === 201);
});

test('the budget counts each caller and all of them, and gets back exactly what was taken', () => {
  const budget = new BodyBudget({ callerBytes: 10, totalBytes: 15 });
  const release = budget.reserve('a', 10);
  assert.throws(() => budget.reserve('a', 1), { reason: 'RATE_LIMITED' });
  budget.reserve('b', 5);
  assert.throws(() => budget.reserve('c', 1), { reason: 'RATE_LIMITED' });
  release();
  release();
  budget.reserve('a', 10);
  assert.throws(() => budget.reserve('c', 1), { reason: 'RATE_LIMITED' }, 'a second release gives nothing back');
});

test('a body that stops arriving is given up; a steady one passes whole', async () => {
  const stalled = new Readable({ read() {} });
  stalled.push('first');
  await assert.rejects(buffer(notSlowerThan({ bytesPerSecond: 1000, graceMs: 20 }, stalled)), {
    status: 408,
    reason: 'DEADLINE_EXCEEDED',
  });
  const steady = Readable.from([Buffer.from('one '), Buffer.from('two')]);
  assert.equal((await buffer(notSlowerThan({ bytesPerSecond: 1, graceMs: 10_000 }, steady))).toString(), 'one two');
});

test('a body that is cut off fails its reader', async () => {
  const cut = new Readable({ read() {} });
  const reading = buffer(notSlowerThan({ bytesPerSecond: 1, graceMs: 10_000 }, cut));
  cut.destroy();
  await assert.rejects(reading);
});
