import type { NatsConnection } from '@nats-io/transport-node';
import {
  MeshError,
  SESSIONS_BUCKET,
  SESSIONS_TTL_MS,
  WORKERS_BUCKET,
  type WorkerName,
  type WorkerRecord,
} from '@talkmesh/contracts';
import { NatsBus } from '../bus/bus.js';
import { connectNats } from '../bus/nats-connection.js';
import type { BaseConfig } from '../config.js';
import { type RpcFailure, rpcErrors } from '../grpc/grpc.js';
import { hostPort, KitGrpcServer } from '../grpc/grpc-server.js';
import { GrpcSecurity, PLAIN_CLIENT } from '../grpc/security.js';
import type { Logger } from '../logging.js';
import { createMetrics, exportSessionGauges, type Metrics } from '../metrics.js';
import { PlacementWatch } from '../registry/placement-watch.js';
import { RegistryHeartbeat } from '../registry/registry.js';
import { Lifecycle } from '../stage/lifecycle.js';
import { SessionAdmission, stageService } from '../stage/stage-service.js';
import { aborted, waitAtMost, waitUntil } from '../waiting.js';
import { AdminServer } from './admin-http.js';
import type { RunningService, ServiceContext, ServiceDefinitionOf } from './context.js';
import { handleSignals, watchParent } from './signals.js';

/** Shortest time that running calls get to finish after a drain, milliseconds. */
const MIN_GRPC_CLOSE_MS = 1000;
const CLOSE_SESSIONS_MS = 5000;
const PLACEMENT_CHECK_MS = 10_000;
const DISPOSE_MS = 5000;
/** After the clean-up, when the event loop is still active. */
export const LAST_RESORT_MS = 3000;
const NATS_DRAIN_MS = 2000;
/**
 * Longest time from the drain deadline until the process has exited, milliseconds: what stops a process must not kill it sooner. It ends
 * the sessions that are left, lets the service and gRPC calls finish, and releases everything.
 */
export const SHUTDOWN_AFTER_DRAIN_MS =
  CLOSE_SESSIONS_MS + MIN_GRPC_CLOSE_MS + MIN_GRPC_CLOSE_MS + DISPOSE_MS + NATS_DRAIN_MS + LAST_RESORT_MS;

interface Cleanup {
  readonly what: string;
  run(): Promise<unknown>;
}

/** The steps of running one service in one process; `runService` decides their order and the exit code. */
export class ServiceProcess<C extends BaseConfig> {
  readonly log: Logger;
  readonly lifecycle: Lifecycle;
  /** True when NATS closed for good while the service needed it. */
  lost = false;
  readonly #definition: ServiceDefinitionOf<C>;
  readonly #config: C;
  readonly #version: string;
  readonly #metrics: Metrics = createMetrics();
  /** Run in reverse order. */
  readonly #cleanups: Cleanup[] = [];
  #bus: NatsBus | undefined;
  #security: GrpcSecurity | undefined;
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

  /** Goes from INITIALIZED to READY. @throws MeshError */
  async start(): Promise<void> {
    const { lifecycle } = this;
    lifecycle.set('WARMING');
    this.#openSecurity();
    const adminAddress = await this.#startAdmin();
    const bus = await this.#connect();
    const running = await this.#startService(bus);
    const grpcAddress = await this.#startGrpc(running);
    if (running.worker !== undefined) await this.#register(running, bus, grpcAddress);
    if (lifecycle.stopSignal.aborted) return;
    lifecycle.set('READY');
    // A reader of the `ready` line may create a session at once, so the gateway must already find this worker in the registry.
    await this.#registry?.settle();
    const ready = { grpcAddress, adminAddress, ...running.ready };
    this.log.child({}, { level: 'info' }).info(ready, 'ready');
  }

  /** Waits until the sessions have ended, closes those that are left at the deadline, then lets the service drain. */
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

  /** Logs why the start or the drain failed. @returns true when it was no failure but a signal to stop during the start */
  failed(thrown: unknown): boolean {
    if (this.lifecycle.stopSignal.aborted && MeshError.from(thrown).reason === 'CANCELLED') return true;
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    const { reason } = MeshError.from(thrown);
    this.log.fatal(reason === 'INTERNAL' ? { reason, err: thrown } : { reason }, message);
    this.lifecycle.set('FAILED');
    this.lifecycle.stop();
    return false;
  }

  /** Releases everything that was started, in reverse order. @returns how many steps failed */
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
      const natsRefuses = this.#bus?.violation;
      const own = {
        state: this.lifecycle.state,
        nats: this.#bus?.connected ?? false,
        ...(natsRefuses !== undefined && { natsRefuses }),
      };
      return { ready: this.#isReady() && (more?.ready ?? true), details: { ...own, ...more?.details } };
    });
    const address = await admin.listen(this.#config.adminHost, this.#config.adminPort);
    this.#cleanups.push({ what: 'admin HTTP', run: () => admin.close() });
    return address;
  }

  async #connect(): Promise<NatsBus> {
    const { log, lifecycle } = this;
    const nc = await connectNats(this.#definition.name, this.#config, log, lifecycle.stopSignal);
    this.#cleanups.push({ what: 'NATS', run: () => closeNats(nc) });
    const bus = new NatsBus({
      nc,
      service: this.#definition.name,
      instanceId: this.#config.instanceId,
      log,
      metrics: this.#metrics,
      retainedBytes: this.#config.retentionMb * 2 ** 20,
      replicas: this.#config.natsReplicas,
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
      peerSecurity: this.#security?.client ?? PLAIN_CLIENT,
      config: this.#config,
      log,
      metrics: this.#metrics,
      bus,
      signal: lifecycle.drainSignal,
    };
    const forced = aborted(lifecycle.forceSignal).then(() => {
      throw new MeshError('INTERNAL', 'a second signal arrived during the start');
    });
    const running = await Promise.race([start(context), forced]);
    this.#running = running;
    this.#cleanups.push({ what: name, run: () => this.#bounded(running[Symbol.asyncDispose](), DISPOSE_MS, name) });
    return running;
  }

  #openSecurity(): void {
    const { log } = this;
    const security = new GrpcSecurity({
      service: this.#definition.name,
      config: this.#config,
      log,
      metrics: this.#metrics,
    });
    this.#security = security;
    this.#cleanups.push({ what: 'gRPC files', run: async () => security[Symbol.dispose]() });
  }

  async #startGrpc(running: RunningService): Promise<string> {
    const { name } = this.#definition;
    const { grpcHost, grpcPort, advertiseHost, instanceId } = this.#config;
    const services = [...running.grpc];
    if (running.worker !== undefined) {
      const identity = { service: name, instanceId, version: this.#version };
      this.#admission = new SessionAdmission(running.worker, name, this.lifecycle, () =>
        this.#registry?.notifyIfChanged(),
      );
      services.push(stageService(running.worker, this.#admission, identity, this.lifecycle, this.log));
      exportSessionGauges(this.#metrics, running.worker);
    }
    const server = new KitGrpcServer(services, this.#metrics, this.#security?.server);
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
      ...(worker.offer !== undefined && { offer: worker.offer }),
      ...(worker.recordsCalls !== undefined && { recordsCalls: worker.recordsCalls }),
    });
    const registry = new RegistryHeartbeat({ bucket, record, heartbeatMs, log: this.log });
    await registry.start();
    this.#registry = registry;
    this.#cleanups.push({ what: 'registry', run: () => registry.stop() });
    this.lifecycle.onChange(() => registry.notify());
    const admission = this.#admission;
    if (admission === undefined) return;
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
    const bus = this.#bus;
    return this.lifecycle.state === 'READY' && bus?.connected === true && bus.violation === undefined;
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
    if ((await waitAtMost(work, limitMs)) === 'gave-up')
      throw new Error(`${what} was not released within ${limitMs} ms`);
  }
}

async function closeNats(nc: NatsConnection): Promise<void> {
  const drained = await waitAtMost(nc.isClosed() ? Promise.resolve() : nc.drain(), NATS_DRAIN_MS).catch(
    () => 'gave-up' as const,
  );
  if (drained === 'gave-up') await nc.close();
}
