import type { AddressInfo } from 'node:net';
import {
  AVATARS_BUCKET,
  MAX_AVATAR_TTL_MS,
  MeshError,
  PICTURES_BUCKET,
  SESSIONS_BUCKET,
  WORKERS_BUCKET,
} from '@talkmesh/contracts';
import { envName, type RunningService, type ServiceContext } from '@talkmesh/service-kit';
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { Auth } from './auth.js';
import { AvatarCatalogue } from './avatars.js';
import type { Config } from './config.js';
import { GrpcAccess } from './grpc/access.js';
import { audioProxy, recordProxy } from './grpc/proxies.js';
import { sessionService } from './grpc/session-service.js';
import { HandOver } from './handover.js';
import { avatarOperations } from './http/avatar-routes.js';
import { eventOperations } from './http/event-routes.js';
import { ownAvatarOperations } from './http/own-avatar-routes.js';
import type { Operation } from './http/routes.js';
import { createHttp } from './http/server.js';
import { sessionOperations } from './http/session-routes.js';
import { signallingOperations } from './http/signalling-routes.js';
import { MeshReadiness } from './mesh-readiness.js';
import { openApi } from './openapi.js';
import { OwnAvatars } from './own-avatars.js';
import { buildPage, pageOperations } from './page-assets.js';
import { workerInspector } from './picture/inspect.js';
import { RateLimit } from './rate-limit.js';
import { Reaper } from './reaper.js';
import { SESSION_TTL_MS, SessionStore } from './session-store.js';
import { Sessions } from './sessions.js';
import { Stages } from './stages.js';
import { WorkerDirectory } from './worker-directory.js';
import { WorkerWatch } from './worker-watch.js';

const API_VERSION = '1';
const FIRST_MESSAGE_MS = 10_000;

/** Wires the edge: store and registry in NATS, stages over gRPC, REST and gRPC in front of the same sessions. */
export async function startGateway(context: ServiceContext<Config>): Promise<RunningService> {
  const { config, log, metrics, bus, signal: draining } = context;
  const [avatars, page] = await Promise.all([AvatarCatalogue.load(config.model), buildPage()]);
  const store = new SessionStore(await bus.kv(SESSIONS_BUCKET, { ttlMs: SESSION_TTL_MS }));
  const directory = new WorkerDirectory(await bus.kv(WORKERS_BUCKET, { ttlMs: config.registryTtlMs }));
  const own = await openOwnAvatars(context);
  avatars.own = own;
  const auth = new Auth(config);
  const rateLimit = new RateLimit({ perSecond: config.rateLimitPerSecond, burst: config.rateLimitBurst });
  const stages = new Stages({ ...config, directory, store, manifest: avatars.manifest, log, metrics });
  const sessions = new Sessions({ store, directory, stages, avatars, bus, limits: config, log, metrics, draining });
  const watch = new WorkerWatch({ ...config, cutOffMs: config.workerCutOffMs, directory, bus, log, metrics });
  directory.standingOf = watch.standingOf;
  const isBack = (instanceId: string): boolean => watch.stateOf(instanceId) === 'up';
  const handOver = new HandOver({ ...config, store, stages, sessions, bus, isBack, log, metrics });
  watch.start({
    onLost: (place, cause) => void handOver.evacuate(place, cause),
    onDraining: (place) => void handOver.evacuate(place, 'drained'),
    onReturned: (place) => void handOver.verify(place),
  });
  const readiness = new MeshReadiness({ directory, watch, model: avatars.model });
  const stateOf = (instanceId: string) => watch.stateOf(instanceId);
  const reaper = new Reaper({ ...config, bus, store, sessions, directory, stages, handOver, stateOf, log, metrics });
  const listeners = metrics.gauge('talkmesh_event_listeners', 'Open streams of server-sent events');
  const heartbeatMs = config.eventHeartbeatMs;

  const api = [
    ...sessionOperations(sessions, auth),
    ...eventOperations({ sessions, heartbeatMs, draining, listeners }),
    ...signallingOperations(sessions),
    ...avatarOperations(avatars),
    ...ownAvatarOperations({
      own,
      catalogue: avatars,
      inspect: workerInspector({ ...config, directory, model: avatars.model, log }),
      ...config,
    }),
  ];
  const operations = [...api, documentOperation(api), ...pageOperations(page)];
  const http = createHttp({ ...config, operations, auth, rateLimit, log, metrics });
  const httpAddress = await listen(http, config);

  const access = new GrpcAccess(auth, rateLimit);
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
      sessionService({ sessions, auth, access, heartbeatMs, draining }),
      audioProxy(proxied),
      recordProxy(proxied),
    ],
    ready: { httpAddress },
    readiness: () => readiness.ask(),
    async [Symbol.asyncDispose]() {
      watch.stop();
      await reaper.stop();
      await handOver.stop();
      await http.close();
      own.stop();
      directory.close();
    },
  };
}

async function openOwnAvatars({ bus, config, log }: ServiceContext<Config>): Promise<OwnAvatars> {
  const [pictures, records] = await Promise.all([
    bus.kv(PICTURES_BUCKET, { ttlMs: MAX_AVATAR_TTL_MS }),
    bus.kv(AVATARS_BUCKET, { ttlMs: MAX_AVATAR_TTL_MS }),
  ]);
  const ttlMs = config.avatarTtlHours * 3_600_000;
  return new OwnAvatars({ pictures, records, ttlMs, maxAvatars: config.maxAvatars, log });
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
