import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Metadata, Server, ServerCredentials, status } from '@grpc/grpc-js';
import { MeshError } from '@talkmesh/contracts';
import { v1 } from '@talkmesh/contracts/protos';
import {
  callUnary,
  closeClient,
  connectClient,
  fromServiceError,
  type RpcFailure,
  rpcErrors,
  toServiceError,
  type UnaryCall,
  unary,
} from './grpc.js';
import { decodeStatusDetails, encodeStatusDetails } from './status-details.js';

type Say = { sessionId: string; text: string };
let handler: (request: Say, call: UnaryCall) => Promise<{ turn: number }>;
const server = new Server();
let client: InstanceType<typeof v1.ConversationService>;

before(async () => {
  const say = unary<Say, { turn: number }>((request, call) => handler(request, call));
  server.addService(v1.ConversationService.service, { Say: say, Interrupt: unary(async () => ({})) });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  client = connectClient(v1.ConversationService, `127.0.0.1:${port}`);
});
after(() => {
  closeClient(client);
  server.forceShutdown();
});

const say = (text: string, deadlineMs = 10_000, signal?: AbortSignal) =>
  callUnary<Say, { turn: number }>(client, 'say', { sessionId: 's', text }, { deadlineMs, ...(signal && { signal }) });

async function failureOf(promise: Promise<unknown>): Promise<MeshError> {
  const thrown = await promise.then(
    () => assert.fail('the call succeeded'),
    (error: unknown) => error,
  );
  assert.ok(thrown instanceof MeshError, String(thrown));
  return thrown;
}

test('the handler receives request and metadata, the caller the response', async () => {
  handler = async (request, call) => ({ turn: request.text.length + Number(call.metadata.get('add')[0]) });
  const metadata = new Metadata();
  metadata.set('add', '10');
  const reply = await callUnary<Say, { turn: number }>(
    client,
    'Say',
    { sessionId: 's', text: 'hi' },
    { deadlineMs: 10_000, metadata },
  );
  assert.deepEqual(reply, { turn: 12, cancelled: false });
});

test('a MeshError reaches the caller with reason, message, metadata and retry delay', async () => {
  handler = async () => {
    throw new MeshError('SESSION_LIMIT', 'full – try "b"', {
      metadata: { capacity: '4', größe: 'ß' },
      retryAfterMs: 2250,
    });
  };
  const error = await failureOf(say('x'));
  assert.equal(error.reason, 'SESSION_LIMIT');
  assert.equal(error.message, 'Full – try "b".');
  assert.deepEqual(error.metadata, { capacity: '4', größe: 'ß' });
  assert.equal(error.retryAfterMs, 2250);
  assert.equal(error.grpcStatus, 'RESOURCE_EXHAUSTED');
});

test('an unknown error reaches the caller as INTERNAL without its message, and is logged in full', async () => {
  const failures: RpcFailure[] = [];
  const onFailure = (message: unknown) => failures.push(message as RpcFailure);
  rpcErrors.subscribe(onFailure);
  handler = async () => {
    throw new Error('password is hunter2');
  };
  const error = await failureOf(say('x'));
  rpcErrors.unsubscribe(onFailure);
  assert.equal(error.reason, 'INTERNAL');
  assert.doesNotMatch(JSON.stringify([error.message, error.metadata, String(error.cause)]), /hunter2/);
  assert.equal(failures[0]?.path, '/talkmesh.v1.ConversationService/Say');
  assert.equal((failures[0]?.error.cause as Error | undefined)?.message, 'password is hunter2');
});

test('the deadline ends the call at the client and at the server', async () => {
  let serverSide: Promise<unknown> | undefined;
  handler = async (_request, call) => {
    serverSide = sleep(30_000, undefined, { signal: call.signal }).catch((error: unknown) => error);
    await serverSide;
    return { turn: 0 };
  };
  assert.equal((await failureOf(say('x', 100))).reason, 'DEADLINE_EXCEEDED');
  assert.equal(((await serverSide) as Error).name, 'AbortError');
});

test('an aborted signal cancels the call, and its reason determines the error', async () => {
  handler = async (_request, call) => {
    await sleep(30_000, undefined, { signal: call.signal }).catch(() => undefined);
    return { turn: 0 };
  };
  assert.equal((await failureOf(say('x', 10_000, AbortSignal.timeout(50)))).reason, 'DEADLINE_EXCEEDED');
  const abort = new AbortController();
  setTimeout(() => abort.abort(), 50);
  assert.equal((await failureOf(say('x', 10_000, abort.signal))).reason, 'CANCELLED');
  assert.equal((await failureOf(say('x', 10_000, AbortSignal.abort()))).reason, 'CANCELLED');
});

test('a message over 4 MiB is refused', async () => {
  handler = async () => ({ turn: 1 });
  assert.equal((await failureOf(say('x'.repeat(5 * 1024 * 1024)))).reason, 'BODY_TOO_LARGE');
});

test('an unreachable peer is PEER_LOST, a peer that does not answer DEADLINE_EXCEEDED', async () => {
  const sockets: Socket[] = [];
  const silent = createServer((socket) => sockets.push(socket)).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const { port } = silent.address() as { port: number };
  const toSilent = connectClient(v1.ConversationService, `127.0.0.1:${port}`);
  const request = { sessionId: 's' };
  const waiting = await failureOf(callUnary(toSilent, 'interrupt', request, { deadlineMs: 200 }));
  assert.equal(waiting.reason, 'DEADLINE_EXCEEDED');
  for (const socket of sockets) socket.destroy();
  silent.close();
  await once(silent, 'close');
  const toClosed = connectClient(v1.ConversationService, `127.0.0.1:${port}`);
  assert.equal(
    (await failureOf(callUnary(toClosed, 'interrupt', request, { deadlineMs: 10_000 }))).reason,
    'PEER_LOST',
  );
  closeClient(toSilent);
  closeClient(toClosed);
});

test('calling a method that the client does not have is a TypeError', async () => {
  await assert.rejects(callUnary(client, 'shout', {}, { deadlineMs: 100 }), TypeError);
});

test('without the details trailer, the error is restored from the reason trailer or the status', () => {
  const full = toServiceError(new MeshError('DRAINING', 'elsewhere please'));
  full.metadata.remove('grpc-status-details-bin');
  assert.equal(fromServiceError(full).reason, 'DRAINING');
  full.metadata.remove('talkmesh-reason');
  assert.equal(fromServiceError(full).reason, 'PEER_LOST');
  full.metadata.set('grpc-status-details-bin', Buffer.from([0xff, 0xff, 0xff]));
  assert.equal(fromServiceError(full).reason, 'PEER_LOST');
});

test('an unknown reason in the details falls back to the status', () => {
  const error = toServiceError(new MeshError('NOT_FOUND', 'x'));
  const details = {
    code: status.NOT_FOUND,
    message: 'm',
    reason: 'FROM_THE_FUTURE',
    metadata: {},
    retryAfterMs: undefined,
  };
  error.metadata.set('grpc-status-details-bin', Buffer.from(encodeStatusDetails(details)));
  assert.equal(fromServiceError(error).reason, 'NOT_FOUND');
});

test('status details are encoded as google.rpc.Status', () => {
  const bytes = encodeStatusDetails({
    code: 8,
    message: 'full',
    reason: 'SESSION_LIMIT',
    metadata: { a: 'b' },
    retryAfterMs: 1500,
  });
  const errorInfo = '0a0d53455353494f4e5f4c494d4954120874616c6b6d6573681a060a0161120162';
  const typeUrl = Buffer.from('type.googleapis.com/google.rpc.ErrorInfo').toString('hex');
  const retryDelay = '08011080cab5ee01';
  const hex = Buffer.from(bytes).toString('hex');
  assert.ok(hex.startsWith(`08081204${Buffer.from('full').toString('hex')}`), hex);
  assert.ok(hex.includes(typeUrl) && hex.includes(errorInfo), hex);
  assert.ok(hex.endsWith(retryDelay), hex);
  assert.deepEqual(decodeStatusDetails(bytes), {
    code: 8,
    message: 'full',
    reason: 'SESSION_LIMIT',
    metadata: { a: 'b' },
    retryAfterMs: 1500,
  });
});
