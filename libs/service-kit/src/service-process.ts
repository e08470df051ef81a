import type { NatsConnection } from '@nats-io/transport-node';
import {
  MeshError,
  SESSIONS_BUCKET,
  SESSIONS_TTL_MS,
  WORKERS_BUCKET,
  type WorkerName,
  type WorkerRecord,
} from '@talkmesh/contracts';
import { AdminServer } from './admin-http.js';
import { NatsBus } from './bus.js';
import type { BaseConfig } from './config.js';
import type { RunningService, ServiceContext, ServiceDefinitionOf } from './context.js';
import { type RpcFailure, rpcErrors } from './grpc.js';
import { hostPort, KitGrpcServer } from './grpc-server.js';
import { Lifecycle } from './lifecycle.js';
import type { Logger } from './logging.js';
import { createMetrics, exportSessionGauges, type Metrics } from './metrics.js';
import { connectNats } from './nats-connection.js';
import { PlacementWatch } from './placement-watch.js';
import { RegistryHeartbeat } from './registry.js';
import { handleSignals, watchParent } from './signals.js';
import { SessionAdmission, stageService } from './stage-service.js';
import { aborted, waitAtMost, waitUntil } from './waiting.js';

/** Running calls get at least this long to finish after a drain, milliseconds. */
const MIN_GRPC_CLOSE_MS = 1000;
const CLOSE_SESSIONS_MS = 5000;
const PLACEMENT_CHECK_MS = 10_000;
const DISPOSE_MS = 5000;
const NATS_DRAIN_MS = 2000;

interface Cleanup {
  readonly what: string;
  run(): Promise<unknown>;
}

/** One service in one process, step by step; `runService` decides the order and the exit code. */
export class ServiceProcess<C extends BaseConfig> {
  readonly log: Logger;
  readonly lifecycle: Lifecycle;
  /** True when NATS closed for good while the service needed it. */
  lost = false;
  readonly #definition: ServiceDefinitionOf<C>;
  readonly #config: C;
  readonly #version: string;
  readonly #metrics: Metrics = createMetrics();
  /** Undone in reverse order. */
  readonly #cleanups: Cleanup[] = [];
  #bus: NatsBus | undefined;
  #running: RunningService | undefined;
  #admission: SessionAdmission | undefined;
  #registry: RegistryHeartbeat | undefined;
  #placements: PlacementWatch | undefined;
  #drainUntil = 0;

  constructor(definition: ServiceDefinitionOf<C>, config: C, log: Logger, version: string) {
    this.#definition = definition;
    this.#config = config;
    this.#version = version;
    this.log = log;
    this.lifecycle = new Lifecycle(log, this.#metrics);
  }

  listenForEnd(parentPid: string | undefined): void {
    handleSignals(this.lifecycle, this.log);
    watchParent(parentPid, this.lifecycle, this.log);
    rpcErrors.subscribe((message) => {
      const { path, error } = message as RpcFailure;
      if (error.reason === 'INTERNAL') this.log.error({ path, err: error.cause ?? error }, 'call failed');
      else this.log.debug({ path, reason: error.reason, err: error }, 'call refused');
    });
  }

  /** From INITIALIZED to READY. @throws MeshError that says what to do. */
  async start(): Promise<void> {
    const { lifecycle } = this;
    lifecycle.set('WARMING');
    const adminAddress = await this.#startAdmin();
    const bus = await this.#connect();
    const running = await this.#startService(bus);
    const grpcAddress = await this.#startGrpc(running);
    if (running.worker !== undefined) await this.#register(running, bus, grpcAddress);
    if (lifecycle.stopSignal.aborted) return;
    lifecycle.set('READY');
    // Whoever reads the `ready` line may ask a gateway for this worker at once.
    await this.#registry?.settle();
    const ready = { grpcAddress, adminAddress, ...running.ready };
    this.log.child({}, { level: 'info' }).info(ready, 'ready');
  }

  /** Waits for the sessions, closes those that are left, lets the service drain. */
  async drain(): Promise<void> {
    const { forceSignal } = this.lifecycle;
    const { drainDeadlineMs } = this.#config;
    this.#drainUntil = performance.now() + drainDeadlineMs;
    const admission = this.#admission;
    if (admission !== undefined) {
      const empty = await waitUntil(() => admission.size === 0, drainDeadlineMs, forceSignal);
      if (!empty) await this.#closeLeftSessions(admission);
    }
    const drained = this.#running?.drain?.(this.#leftMs());
    if (drained !== undefined) await waitAtMost(drained, this.#leftMs() + MIN_GRPC_CLOSE_MS, forceSignal);
  }

  /** @returns true when this is no failure: it was told to stop while it was starting. */
  failed(thrown: unknown): boolean {
    if (this.lifecycle.stopSignal.aborted && MeshError.from(thrown).reason === 'CANCELLED') return true;
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    const { reason } = MeshError.from(thrown);
    this.log.fatal(reason === 'INTERNAL' ? { reason, err: thrown } : { reason }, message);
    this.lifecycle.set('FAILED');
    this.lifecycle.stop();
    return false;
  }

  /** Undoes everything that was started, last first. @returns how many steps failed. */
  async cleanUp(): Promise<number> {
    let failures = 0;
    for (const { what, run } of this.#cleanups.reverse()) {
      try {
        await run();
      } catch (err) {
        failures++;
        this.log.error({ err, what }, 'cleaning up failed');
      }
    }
    return failures;
  }

  async #startAdmin(): Promise<string> {
    const admin = new AdminServer(this.#metrics, async () => {
      const more = this.#isReady() ? await this.#running?.readiness?.() : undefined;
      const own = { state: this.lifecycle.state, nats: this.#bus?.connected ?? false };
      return { ready: this.#isReady() && (more?.ready ?? true), details: { ...own, ...more?.details } };
    });
    const address = await admin.listen(this.#config.adminHost, this.#config.adminPort);
    this.#cleanups.push({ what: 'admin HTTP', run: () => admin.close() });
    return address;
  }

  async #connect(): Promise<NatsBus> {
    const { log, lifecycle } = this;
    const nc = await connectNats(this.#config, log, lifecycle.stopSignal);
    this.#cleanups.push({ what: 'NATS', run: () => closeNats(nc) });
    const bus = new NatsBus({
      nc,
      service: this.#definition.name,
      instanceId: this.#config.instanceId,
      log,
      metrics: this.#metrics,
      retainedBytes: this.#config.retentionMb * 2 ** 20,
      onConnectionChange: (connected) => {
        this.#refreshHealth();
        if (connected) {
          this.#registry?.notify();
          void this.#placements?.check();
        }
      },
    });
    this.#bus = bus;
    await bus.retain();
    nc.closed().then(
      (cause) => {
        if (lifecycle.stopSignal.aborted) return;
        this.lost = true;
        log.fatal({ err: cause }, 'NATS closed the connection for good');
        lifecycle.force();
      },
      () => undefined,
    );
    return bus;
  }

  async #startService(bus: NatsBus): Promise<RunningService> {
    const { lifecycle, log } = this;
    const { name, start } = this.#definition;
    const context: ServiceContext<C> = {
      name,
      config: this.#config,
      log,
      metrics: this.#metrics,
      bus,
      signal: lifecycle.drainSignal,
    };
    const forced = aborted(lifecycle.forceSignal).then(() => {
      throw new MeshError('INTERNAL', 'a second signal ended the start');
    });
    const running = await Promise.race([start(context), forced]);
    this.#running = running;
    this.#cleanups.push({ what: name, run: () => this.#bounded(running[Symbol.asyncDispose](), DISPOSE_MS, name) });
    return running;
  }

  async #startGrpc(running: RunningService): Promise<string> {
    const { name } = this.#definition;
    const { grpcHost, grpcPort, advertiseHost, instanceId } = this.#config;
    const services = [...running.grpc];
    if (running.worker !== undefined) {
      const identity = { service: name, instanceId, version: this.#version };
      this.#admission = new SessionAdmission(running.worker, name, this.lifecycle);
      services.push(stageService(running.worker, this.#admission, identity, this.lifecycle, this.log));
      exportSessionGauges(this.#metrics, running.worker);
    }
    const server = new KitGrpcServer(services, this.#metrics);
    const port = await server.listen(grpcHost, grpcPort);
    this.#cleanups.push({
      what: 'gRPC',
      run: () => server.close(Math.max(this.#leftMs(), MIN_GRPC_CLOSE_MS), this.lifecycle.forceSignal),
    });
    this.#refreshHealth = () => server.setServing(this.#isReady());
    this.lifecycle.onChange(() => this.#refreshHealth());
    return hostPort(advertiseHost, port);
  }

  async #register(running: RunningService, bus: NatsBus, grpcAddress: string): Promise<void> {
    const { worker } = running;
    if (worker === undefined) return;
    const { registryTtlMs, heartbeatMs, instanceId } = this.#config;
    const bucket = await bus.kv(WORKERS_BUCKET, { ttlMs: registryTtlMs });
    const service = this.#definition.name as WorkerName;
    const record = (): WorkerRecord => ({
      service,
      instanceId,
      grpcAddress,
      version: this.#version,
      state: this.#registryState(),
      sessions: worker.sessions(),
      capacity: worker.capacity,
      model: worker.model,
    });
    const registry = new RegistryHeartbeat({ bucket, record, heartbeatMs, log: this.log });
    await registry.start();
    this.#registry = registry;
    this.#cleanups.push({ what: 'registry', run: () => registry.stop() });
    this.lifecycle.onChange(() => registry.notify());
    const admission = this.#admission;
    if (admission === undefined) return;
    admission.onChange = () => registry.notifyIfChanged();
    await this.#watchPlacements(bus, admission, service, instanceId);
  }

  async #watchPlacements(
    bus: NatsBus,
    admission: SessionAdmission,
    service: WorkerName,
    instanceId: string,
  ): Promise<void> {
    const placements = new PlacementWatch({
      bucket: await bus.kv(SESSIONS_BUCKET, { ttlMs: SESSIONS_TTL_MS }),
      service,
      instanceId,
      sessions: () => admission.openSessions,
      close: (sessionId, reason) => admission.close(sessionId, reason),
      everyMs: PLACEMENT_CHECK_MS,
      log: this.log,
    });
    this.#placements = placements;
    this.#cleanups.push({ what: 'placement watch', run: () => placements.stop() });
  }

  #registryState(): WorkerRecord['state'] {
    if (this.lifecycle.drainSignal.aborted || this.lifecycle.state === 'DRAINING') return 'draining';
    return this.lifecycle.state === 'READY' ? 'ready' : 'warming';
  }

  #refreshHealth: () => void = () => undefined;

  #isReady(): boolean {
    return this.lifecycle.state === 'READY' && (this.#bus?.connected ?? false);
  }

  #leftMs(): number {
    return Math.max(0, this.#drainUntil - performance.now());
  }

  async #closeLeftSessions(admission: SessionAdmission): Promise<void> {
    this.log.warn({ sessions: admission.size }, 'closing the sessions that are left');
    const closing = admission.closeAll('drain').then((failures) => {
      for (const err of failures) this.log.error({ err }, 'closing a session failed');
    });
    await waitAtMost(closing, CLOSE_SESSIONS_MS);
  }

  async #bounded(work: Promise<unknown>, limitMs: number, what: string): Promise<void> {
    if ((await waitAtMost(work, limitMs)) === 'gave-up') throw new Error(`${what} did not end within ${limitMs} ms`);
  }
}

async function closeNats(nc: NatsConnection): Promise<void> {
  const drained = await waitAtMost(nc.isClosed() ? Promise.resolve() : nc.drain(), NATS_DRAIN_MS).catch(
    () => 'gave-up' as const,
  );
  if (drained === 'gave-up') await nc.close();
}
