import type { AddressInfo } from 'node:net';
import {
  AVATARS_BUCKET,
  MAX_AVATAR_TTL_MS,
  MeshError,
  PICTURES_BUCKET,
  SESSIONS_BUCKET,
  WEBHOOKS_BUCKET,
  WORKERS_BUCKET,
} from '@talkmesh/contracts';
import { envName, type RunningService, type ServiceContext } from '@talkmesh/service-kit';
import { IceServers } from '@talkmesh/webrtc';
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { Audit } from './audit.js';
import { Auth } from './auth.js';
import { AvatarCatalogue } from './avatar-catalogue.js';
import type { Config } from './config.js';
import { GrpcAccess } from './grpc/access.js';
import { audioProxy, recordProxy } from './grpc/proxies.js';
import { sessionService } from './grpc/session-service.js';
import { HandOver } from './handover.js';
import { HealthWatch } from './health-watch.js';
import { avatarOperations } from './http/avatar-routes.js';
import { avatarSocketOperations } from './http/avatar-socket-routes.js';
import { eventOperations } from './http/event-routes.js';
import { grantOperations } from './http/grant-routes.js';
import { ownAvatarOperations } from './http/own-avatar-routes.js';
import { providerOperations } from './http/provider-routes.js';
import { qualityOperations } from './http/quality-routes.js';
import { realtimeOperations } from './http/realtime-routes.js';
import { recordingOperations } from './http/recording-routes.js';
import type { Operation } from './http/routes.js';
import { createHttp } from './http/server.js';
import { sessionOperations } from './http/session-routes.js';
import { signallingOperations } from './http/signalling-routes.js';
import type { SocketConnection } from './http/upgrade.js';
import { IdleWatch } from './idle-watch.js';
import { LivekitRooms } from './livekit-rooms.js';
import { followMeshEvents } from './mesh-events.js';
import { MeshReadiness } from './mesh-readiness.js';
import { openApi } from './openapi.js';
import { OwnAvatars } from './own-avatars.js';
import { loadPage, pageOperations } from './page-assets.js';
import { workerInspector } from './picture/face-inspector.js';
import { RateLimit } from './rate-limit.js';
import { Reaper } from './reaper.js';
import { Recordings } from './recordings.js';
import { watchSecrets } from './secrets.js';
import { SessionAccess } from './session-access.js';
import { SessionQualities } from './session-qualities.js';
import { SessionSizes } from './session-sizes.js';
import { SESSION_TTL_MS, SessionStore } from './session-store.js';
import { Sessions } from './sessions.js';
import { StageClient } from './stage-client.js';
import { StreamLimits } from './stream-limits.js';
import { ViewerQuality } from './viewer-quality.js';
import { WEBHOOKS_TTL_MS, Webhooks } from './webhooks/webhooks.js';
import { WorkerDirectory, WorkerRegistry } from './worker-directory.js';

const API_VERSION = '1';
/** An event stream checks its session once in this many heartbeats. */
const CHECK_HEARTBEATS = 15;
const FIRST_MESSAGE_MS = 10_000;

/** Wires the gateway: session store and worker registry in NATS, stages over gRPC, and one `Sessions` behind REST and gRPC. */
export async function startGateway(context: ServiceContext<Config>): Promise<RunningService> {
  const { config, log, metrics, bus, peerSecurity, signal: draining } = context;
  const own = await openOwnAvatars(context);
  const [avatars, page] = await Promise.all([
    AvatarCatalogue.load(config.model, config.chunkLatentFrames, own),
    loadPage(),
  ]);
  const ice = IceServers.load(config);
  const store = new SessionStore(await bus.kv(SESSIONS_BUCKET, { ttlMs: SESSION_TTL_MS }));
  const registry = new WorkerRegistry(await bus.kv(WORKERS_BUCKET, { ttlMs: config.registryTtlMs }));
  const watch = new HealthWatch({
    ...config,
    cutOffMs: config.workerCutOffMs,
    registry,
    bus,
    peerSecurity,
    log,
    metrics,
  });
  const directory = new WorkerDirectory(registry, watch.eligibilityOf, peerSecurity);
  const auth = new Auth(config);
  const audit = new Audit(log);
  const sessionAccess = new SessionAccess(store, audit);
  const limits = new StreamLimits();
  const rateLimit = new RateLimit({ perSecond: config.rateLimitPerSecond, burst: config.rateLimitBurst });
  const stopWatching = watchSecrets(config.secretSettings, (secrets) => auth.replaceSecrets(secrets), log);
  const rooms = new LivekitRooms({ ...config, tokenSecrets: () => auth.tokenSecrets });
  const stages = new StageClient({ ...config, directory, store, manifest: avatars.manifest, rooms, log, metrics });
  const { defaultProvider, disclosureBadge, disclosureLabel } = config;
  const recordings = new Recordings({
    folder: config.recordingsFolder,
    ttlMs: config.recordingTtlHours * 3_600_000,
    log,
  });
  const recordingPolicy = recordingPolicyOf(config);
  const policy = { defaultProvider, disclosureBadge, disclosureLabel, recordingPolicy };
  const qualities = new SessionQualities(avatars.manifest, config);
  const sizes = new SessionSizes(avatars.manifest, config);
  const session = { store, directory, stages, avatars, qualities, sizes, rooms, bus, limits: config, ...policy };
  const webhooks = await openWebhooks(context, store);
  const sessions = new Sessions({ ...session, log, metrics, draining, hasWebhooks: webhooks !== undefined });
  const isBack = (instanceId: string): boolean => watch.stateOf(instanceId) === 'up';
  const handOver = new HandOver({ ...config, store, stages, sessions, bus, isBack, log, metrics });
  watch.start({
    onLost: (place, cause) => void handOver.evacuate(place, cause),
    onDraining: (place) => void handOver.evacuate(place, 'drained'),
    onReturned: (place) => void handOver.verify(place),
  });
  const readiness = new MeshReadiness({ directory, watch, model: avatars.model });
  const stateOf = (instanceId: string) => watch.stateOf(instanceId);
  const reaper = new Reaper({
    ...config,
    store,
    idle: new IdleWatch(bus),
    model: avatars.model,
    sessions,
    directory,
    stages,
    handOver,
    stateOf,
    log,
    metrics,
  });
  const events = followMeshEvents(bus, (event) => reaper.onEvent(event));
  const subscribers = metrics.gauge('talkmesh_event_listeners', 'Open streams of server-sent events');
  const heartbeatMs = config.eventHeartbeatMs;
  const checkMs = CHECK_HEARTBEATS * heartbeatMs;
  const connections = new Set<SocketConnection>();
  const socket = {
    ...{ sessions, directory, limits, checkMs, draining, connections, log },
    ...{ corsOrigins: config.corsOrigins, maxSessionMs: config.maxSessionMs },
    defaultAvatar: avatars.all[0]?.id ?? '',
  };

  const api = [
    ...sessionOperations(sessions, auth),
    ...qualityOperations(new ViewerQuality(metrics)),
    ...grantOperations(auth),
    ...recordingOperations({ recordings, sessions, audit }),
    ...eventOperations({ sessions, limits, heartbeatMs, checkMs, draining, subscribers }),
    ...signallingOperations({ sessions, ice, auth }),
    ...realtimeOperations({ ...socket, bus, ice, auth }),
    ...avatarSocketOperations({ ...socket, auth, access: sessionAccess }),
    ...avatarOperations(avatars),
    ...providerOperations({ directory, defaultProvider, qualities, sizes, model: avatars.model }),
    ...ownAvatarOperations({
      own,
      catalogue: avatars,
      audit,
      inspect: workerInspector({ ...config, directory, model: avatars.model, log }),
      ...config,
    }),
  ];
  const operations = [...api, documentOperation(api), ...pageOperations(page)];
  const http = createHttp({ ...config, operations, auth, access: sessionAccess, rateLimit, log, metrics });
  const httpAddress = await listen(http, config);

  const access = new GrpcAccess(auth, sessionAccess, rateLimit);
  const proxied = {
    sessions,
    directory,
    access,
    maxSessionMs: config.maxSessionMs,
    firstMessageMs: FIRST_MESSAGE_MS,
    log,
  };
  return {
    grpc: [
      sessionService({ sessions, auth, access, limits, recordings, audit, checkMs, draining }),
      audioProxy(proxied),
      recordProxy(proxied),
    ],
    ready: { httpAddress },
    readiness: () => readiness.check(),
    async [Symbol.asyncDispose]() {
      stopWatching();
      watch.stop();
      events.unsubscribe();
      await reaper.stop();
      await handOver.stop();
      await Promise.all([...connections].map((connection) => connection.drain()));
      await http.close();
      await webhooks?.stop();
      own.stop();
      recordings.stop();
      directory.close();
    },
  };
}

async function openWebhooks(
  { bus, config, log, metrics }: ServiceContext<Config>,
  store: SessionStore,
): Promise<Webhooks | undefined> {
  if (config.webhooksFile === '') return undefined;
  const bucket = await bus.kv(WEBHOOKS_BUCKET, { ttlMs: WEBHOOKS_TTL_MS });
  const from = await bus.endOf('event');
  return new Webhooks({ ...config, bus, bucket, from, ownerOf: (id) => store.ownerOf(id), log, metrics });
}

async function openOwnAvatars({ bus, config, log }: ServiceContext<Config>): Promise<OwnAvatars> {
  const [pictures, records] = await Promise.all([
    bus.kv(PICTURES_BUCKET, { ttlMs: MAX_AVATAR_TTL_MS }),
    bus.kv(AVATARS_BUCKET, { ttlMs: MAX_AVATAR_TTL_MS }),
  ]);
  const ttlMs = config.avatarTtlHours * 3_600_000;
  const [idKey = ''] = config.secrets.tokenSecrets;
  const { maxAvatars, maxAvatarsPerKey } = config;
  return new OwnAvatars({ pictures, records, ttlMs, idKey, maxAvatars, maxAvatarsPerKey, log });
}

function recordingPolicyOf({ recordingsFolder, recordingMaxSeconds, recordingMaxMb }: Config) {
  if (recordingsFolder === '') return undefined;
  return { maxMs: recordingMaxSeconds * 1000, maxBytes: recordingMaxMb * 1e6 };
}

function documentOperation(api: readonly Operation[]): Operation {
  const document = openApi(api, API_VERSION);
  return {
    method: 'GET',
    path: '/openapi.json',
    id: 'openApi',
    summary: 'This API as an OpenAPI 3.1 document',
    access: 'public',
    status: 200,
    answer: { schema: z.unknown(), type: 'application/json' },
    errors: [],
    handle: async () => document,
  };
}

async function listen(http: FastifyInstance, { httpHost, httpPort }: Config): Promise<string> {
  try {
    await http.listen({ host: httpHost, port: httpPort });
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new MeshError(
      'CONFIG_INVALID',
      `HTTP cannot listen on ${httpHost}:${httpPort} (${why}): set ${envName('httpHost')}, ${envName('httpPort')}`,
      { cause },
    );
  }
  const { address, port, family } = http.server.address() as AddressInfo;
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}
