/** Who may call a worker: the shared secret, mutual TLS, their rotation, and the limits that hold before a handler starts. */

import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Metadata } from '@grpc/grpc-js';
import { type MeshError, OPEN_ORDER, type ServiceName } from '@talkmesh/contracts';
import { v1 } from '@talkmesh/contracts/protos';
import { createLogger } from '../logging.js';
import { createMetrics } from '../metrics.js';
import { watchHealth } from '../registry/health-watch.js';
import { health } from '../test-fixtures/grpc-probes.js';
import { startFixtureService } from '../test-fixtures/service.js';
import { TestAuthority } from '../testing/index.js';
import { until } from '../testing/until.js';
import { waitUntil } from '../waiting.js';
import type { CertificatePaths } from './certificates.js';
import { callUnary, closeClient, connectClient, PeerConnection, unary } from './grpc.js';
import { KitGrpcServer } from './grpc-server.js';
import { type ClientSecurity, callersOf, GrpcSecurity, PLAIN_CLIENT } from './security.js';

const RELOAD_MS = 50;
const log = createLogger({ service: 'score-model', instanceId: 'x', level: 'silent', pretty: false });
const [SECRET, OTHER] = ['a'.repeat(40), 'b'.repeat(40)];
let folder: string;
let authority: TestAuthority;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'talkmesh-secret-'));
  authority = await TestAuthority.create();
});
after(async () => {
  await rm(folder, { recursive: true });
  await authority[Symbol.asyncDispose]();
});

type Files = Partial<CertificatePaths & { grpcSecretFile: string; grpcHost: string }>;
const securityOf = (service: ServiceName, files: Files, metrics = createMetrics({ defaults: false })): GrpcSecurity =>
  new GrpcSecurity({
    service,
    config: { grpcHost: '127.0.0.1', grpcSecretFile: '', grpcCaFile: '', grpcCertFile: '', grpcKeyFile: '', ...files },
    log,
    metrics,
    reloadMs: RELOAD_MS,
  });

async function secretFile(name: string, ...lines: string[]): Promise<Files> {
  const grpcSecretFile = join(folder, name);
  await writeFile(grpcSecretFile, `${lines.join('\n')}\n`);
  return { grpcSecretFile };
}

async function certificateOf(label: string, names?: readonly string[], from = authority): Promise<Files> {
  const { caFile, certFile, keyFile } = await from.issue(label, names);
  return { grpcCaFile: caFile, grpcCertFile: certFile, grpcKeyFile: keyFile };
}

/** A worker with every service that workers have, and a count of the handlers that started. */
class Worker implements AsyncDisposable {
  started = 0;
  readonly #server: KitGrpcServer;
  readonly #security: GrpcSecurity;
  address = '';

  constructor(service: ServiceName, files: Files) {
    this.#security = securityOf(service, files);
    const handler = unary(async (request: { text?: string }) => {
      this.started += 1;
      return { turn: request.text?.length ?? 0 };
    });
    const start = (call: { emit(name: string, error: Error): void }): void => {
      this.started += 1;
      call.emit('error', new Error('not part of the test'));
    };
    const stage = { Describe: handler, Open: handler, Close: handler, Drain: handler, Stats: handler };
    const talk = { Say: handler, Interrupt: handler, Pause: handler, Resume: handler };
    this.#server = new KitGrpcServer(
      [
        { definition: v1.StageService.service, implementation: stage },
        { definition: v1.ConversationService.service, implementation: talk },
        { definition: v1.SignallingService.service, implementation: { Offer: handler, Hangup: handler } },
        { definition: v1.AudioIngest.service, implementation: { StreamAudio: start } },
        { definition: v1.RecordService.service, implementation: { Record: start } },
      ],
      createMetrics({ defaults: false }),
      this.#security.server,
    );
    this.#server.setServing(true);
  }

  async listen(): Promise<this> {
    this.address = `127.0.0.1:${await this.#server.listen('127.0.0.1', 0)}`;
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.close(0, new AbortController().signal);
    this.#security[Symbol.dispose]();
  }
}

const serve = (service: ServiceName, files: Files): Promise<Worker> => new Worker(service, files).listen();

async function say(address: string, security: ClientSecurity, text = 'hi'): Promise<number> {
  const connection = new PeerConnection(address, security);
  try {
    const client = connection.client(v1.ConversationService);
    return (await callUnary<object, { turn: number }>(client, 'say', { text }, { deadlineMs: 10_000 })).turn;
  } finally {
    connection.close();
  }
}

const METHODS = [
  [v1.StageService, ['describe', 'open', 'close', 'drain', 'stats']],
  [v1.ConversationService, ['say', 'interrupt', 'pause', 'resume', 'startInput', 'commitInput', 'cancelInput']],
  [v1.SignallingService, ['offer', 'hangup']],
] as const;

/** Calls every method without credentials. @returns the reasons of the refusals */
async function callEverything(address: string, security: ClientSecurity): Promise<Set<string>> {
  const reasons = new Set<string>();
  for (const [Service, methods] of METHODS) {
    const client = connectClient(Service as typeof v1.StageService, address, security);
    for (const method of methods) {
      // "close" is also a method of every client, so the RPC is called by the name of its definition.
      const name = `${method[0]?.toUpperCase()}${method.slice(1)}`;
      const call = callUnary(client, name, {}, { deadlineMs: 10_000 });
      reasons.add(
        await call.then(
          () => 'answered',
          (error: MeshError) => error.reason,
        ),
      );
    }
    closeClient(client);
  }
  const audio = connectClient(v1.AudioIngest, address, security);
  reasons.add(
    await new Promise<string>((resolve) => {
      const call = audio.streamAudio(new Metadata(), (error) => resolve(reasonOf(error)));
      call.on('error', () => undefined);
      call.write({ pcm: Buffer.alloc(1000) });
    }),
  );
  closeClient(audio);
  const recorder = connectClient(v1.RecordService, address, security);
  reasons.add(
    await new Promise<string>((resolve) => {
      recorder.record({ sessionId: 'x' }).on('error', (error) => resolve(reasonOf(error)));
    }),
  );
  closeClient(recorder);
  return reasons;
}

const reasonOf = (error: unknown): string =>
  String((error as { metadata?: Metadata } | null)?.metadata?.get('talkmesh-reason')[0] ?? error);

test('every service but the gateway has callers, and those are the gateway', () => {
  assert.deepEqual(callersOf('gateway'), []);
  for (const worker of OPEN_ORDER) assert.deepEqual(callersOf(worker), ['gateway']);
});

test('without the secret no method of a worker starts; health stays open; with it calls are answered', async () => {
  const files = await secretFile('secret', SECRET);
  await using worker = await serve('score-model', files);
  assert.deepEqual(await callEverything(worker.address, PLAIN_CLIENT), new Set(['TOKEN_INVALID']));
  for (const wrong of [OTHER, SECRET.slice(1), `${SECRET}a`]) {
    using guess = securityOf('gateway', await secretFile('guess', wrong));
    await assert.rejects(say(worker.address, guess.client), { reason: 'TOKEN_INVALID', message: /GRPC_SECRET_FILE/ });
  }
  assert.equal(worker.started, 0);
  assert.equal(await health(worker.address, ''), 'SERVING');
  using gateway = securityOf('gateway', files);
  assert.equal(await say(worker.address, gateway.client, 'four'), 4);
});

test('a secret is replaced on both sides without a restart and without a refused call', async () => {
  const workerFiles = await secretFile('rotated-worker', SECRET);
  const gatewayFiles = await secretFile('rotated-gateway', SECRET);
  await using worker = await serve('score-model', workerFiles);
  using gateway = securityOf('gateway', gatewayFiles);
  using old = securityOf('gateway', await secretFile('old', SECRET));
  await secretFile('rotated-worker', SECRET, OTHER);
  using early = securityOf('gateway', await secretFile('early', OTHER));
  const accepts = (security: GrpcSecurity) =>
    say(worker.address, security.client).then(
      () => true,
      () => false,
    );
  await until('it is accepted', () => accepts(early));
  assert.ok(await accepts(gateway));
  await secretFile('rotated-gateway', OTHER);
  await secretFile('rotated-worker', OTHER);
  await until('the old one is refused', async () => !(await accepts(old)));
  await until('it is accepted', () => accepts(gateway));
  await rm(workerFiles.grpcSecretFile as string);
  await new Promise((resolve) => setTimeout(resolve, 3 * RELOAD_MS));
  assert.ok(await accepts(gateway), 'the secret that was read last stays in force');
});

test('with mutual TLS only a certificate of the mesh with the name of the gateway is accepted', async () => {
  await using stranger = await TestAuthority.create();
  await using worker = await serve('score-model', await certificateOf('score-model'));
  using gateway = securityOf('gateway', await certificateOf('gateway'));
  assert.equal(await say(worker.address, gateway.client), 2);
  using egress = securityOf('gateway', await certificateOf('webrtc-egress'));
  assert.deepEqual(await callEverything(worker.address, egress.client), new Set(['PERMISSION_DENIED']));
  const foreign = await certificateOf('gateway', undefined, stranger);
  using forged = securityOf('gateway', { ...foreign, grpcCaFile: authority.caFile });
  await assert.rejects(say(worker.address, forged.client), { reason: 'PERMISSION_DENIED' });
  await assert.rejects(say(worker.address, PLAIN_CLIENT), { reason: 'PEER_LOST' });
  assert.equal(worker.started, 1);
  await using impostor = await serve('score-model', await certificateOf('impostor', ['audio.example']));
  await assert.rejects(say(impostor.address, gateway.client), { reason: 'PEER_LOST' });
  await using unknown = await serve('score-model', await certificateOf('score-model', undefined, stranger));
  await assert.rejects(say(unknown.address, gateway.client), { reason: 'PEER_LOST' });
  const statuses: boolean[] = [];
  const watch = watchHealth(
    worker.address,
    { onStatus: (serving) => void statuses.push(serving), onEnd: (error) => assert.fail(error) },
    { ...forged.client },
  );
  assert.ok(await waitUntil(() => statuses[0] === true, 10_000), 'a probe needs no certificate of the mesh');
  watch.cancel();
});

test('certificates are replaced without a restart; while the files do not fit together the earlier ones stay', async () => {
  const files = await certificateOf('vae-decode');
  const metrics = createMetrics({ defaults: false });
  await using worker = await serve('vae-decode', files);
  using gateway = securityOf('gateway', await certificateOf('gateway'), metrics);
  assert.equal(await say(worker.address, gateway.client), 2);
  await writeFile(files.grpcKeyFile as string, 'half a file');
  await new Promise((resolve) => setTimeout(resolve, 3 * RELOAD_MS));
  assert.equal(await say(worker.address, gateway.client), 2);
  await certificateOf('vae-decode', ['renamed']);
  const isRefused = () =>
    say(worker.address, gateway.client).then(
      () => false,
      () => true,
    );
  await until('the new certificate is in force, and its name is refused', isRefused);
  await certificateOf('vae-decode');
  await until('the good certificate is in force', async () => !(await isRefused()));
  const seconds = Number(/expiry_timestamp_seconds (\d+)/.exec(await metrics.registry.metrics())?.[1]);
  assert.ok(Math.abs(seconds - Date.now() / 1000 - 86_400) < 3600, `expires at ${seconds}`);
});

test('an authority is replaced without a refused call: for a while both sides trust the old one and the new one', async () => {
  await using next = await TestAuthority.create();
  const both = join(folder, 'both.crt');
  await writeFile(both, (await readFile(authority.caFile, 'utf8')) + (await readFile(next.caFile, 'utf8')));
  const trusting = async (service: string, from: TestAuthority): Promise<Files> => ({
    ...(await certificateOf(service, undefined, from)),
    grpcCaFile: both,
  });
  await using worker = await serve('score-model', await trusting('score-model', next));
  using old = securityOf('gateway', await trusting('gateway', authority));
  using renewed = securityOf('gateway', await certificateOf('gateway', undefined, next));
  assert.equal(await say(worker.address, old.client), 2);
  assert.equal(await say(worker.address, renewed.client), 2);
});

test('messages larger than their method needs are refused before they are decoded', async () => {
  await using worker = await serve('score-model', {});
  await assert.rejects(say(worker.address, PLAIN_CLIENT, 'x'.repeat(140_000)), {
    reason: 'BODY_TOO_LARGE',
    message: /at most 131072/,
  });
  assert.equal(worker.started, 0);
  assert.equal(await say(worker.address, PLAIN_CLIENT, 'x'.repeat(100_000)), 100_000);
});

test('a port that others can reach is refused at the start without a secret or certificates, except for the gateway', async () => {
  const files = await secretFile('reachable', SECRET);
  for (const worker of OPEN_ORDER)
    for (const grpcHost of ['0.0.0.0', '::', '10.0.0.7', 'score-model.mesh']) {
      assert.throws(() => securityOf(worker, { grpcHost }), { reason: 'CONFIG_INVALID', message: /GRPC_SECRET_FILE/ });
      securityOf(worker, { grpcHost, ...files })[Symbol.dispose]();
    }
  for (const grpcHost of ['127.0.0.1', '::1', 'localhost']) securityOf('score-model', { grpcHost })[Symbol.dispose]();
  securityOf('gateway', { grpcHost: '0.0.0.0' })[Symbol.dispose]();
  await using service = startFixtureService({ TALKMESH_GRPC_HOST: '0.0.0.0' });
  assert.equal(await service.exit(), 78);
  assert.match(service.stderr, /TALKMESH_GRPC_HOST=0\.0\.0\.0 would let everyone/);
});

test('files that cannot be used are refused at the start', async () => {
  const good = await certificateOf('gateway');
  const wrong: readonly Files[] = [
    await secretFile('short', 'too-short'),
    await secretFile('empty'),
    { grpcSecretFile: join(folder, 'nothing') },
    { ...good, grpcCaFile: join(folder, 'nothing') },
    { ...good, grpcKeyFile: (await certificateOf('another')).grpcKeyFile as string },
  ];
  for (const files of wrong) assert.throws(() => securityOf('gateway', files), { reason: 'CONFIG_INVALID' });
});
