import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MeshError } from '@talkmesh/contracts';
import { KitGrpcServer } from '../grpc/grpc-server.js';
import { createMetrics } from '../metrics.js';
import { waitUntil } from '../waiting.js';
import { watchHealth } from './health-watch.js';

async function serve() {
  const server = new KitGrpcServer([], createMetrics({ defaults: false }));
  const address = `127.0.0.1:${await server.listen('127.0.0.1', 0)}`;
  return { server, address };
}

function watch(address: string) {
  const statuses: boolean[] = [];
  const ends: MeshError[] = [];
  const { cancel } = watchHealth(address, {
    onStatus: (serving) => void statuses.push(serving),
    onEnd: (error) => void ends.push(error),
  });
  return { statuses, ends, cancel };
}

const soon = async (what: string, isSo: () => boolean): Promise<void> =>
  assert.ok(await waitUntil(isSo, 10_000), `never: ${what}`);

test('the listener is notified of the status at the start and at every change, and of the end when the server shuts down', async () => {
  const { server, address } = await serve();
  const { statuses, ends } = watch(address);
  await soon('the first status', () => statuses.length === 1);
  server.setServing(true);
  await soon('serving', () => statuses.length === 2);
  server.setServing(false);
  await soon('not serving', () => statuses.length === 3);
  assert.deepEqual(statuses, [false, true, false]);
  // The open watch stream must not delay the shutdown until its limit.
  assert.equal(await server.close(60_000, new AbortController().signal), true);
  await soon('the end', () => ends.length === 1);
  server.setServing(true);
  assert.equal(ends[0]?.reason, 'PEER_LOST');
  assert.equal(statuses.length, 3);
});

test('an unreachable server ends the watch with PEER_LOST; cancel does not call the listener', async () => {
  const stopped = await serve();
  await stopped.server.close(1000, new AbortController().signal);
  const refused = watch(stopped.address);
  await soon('the refusal', () => refused.ends.length === 1);
  assert.ok(refused.ends[0] instanceof MeshError);
  assert.match(refused.ends[0].message, /ECONNREFUSED/);
  assert.equal(refused.ends[0].reason, 'PEER_LOST');

  const { server, address } = await serve();
  const cancelled = watch(address);
  await soon('the first status', () => cancelled.statuses.length === 1);
  cancelled.cancel();
  cancelled.cancel();
  assert.equal(await server.close(60_000, new AbortController().signal), true);
  assert.deepEqual(cancelled.ends, []);
});
