export * from './bounded-queue.js';
export type { KvEntryOf } from './bus/bucket-view.js';
export {
  type Bus,
  type EventToPublish,
  INSTANCE_HEADER,
  type MessageHandler,
  type MessageMeta,
  type Subscription,
} from './bus/bus.js';
export { BEGINNING, type FollowedMessage, type FollowHandler, type StreamPosition } from './bus/follower.js';
export { HeldInlet } from './bus/held-inlet.js';
export type { KvBucket } from './bus/kv-bucket.js';
export { type NatsUserFiles, writeNatsUsers } from './bus/nats-users.js';
export type { ReadBackOptions, RetainedMessage } from './bus/retention.js';
export * from './config.js';
export {
  type CallOptions,
  callUnary,
  closeClient,
  connectClient,
  fromServiceError,
  type GrpcServiceImpl,
  type IdentifiedCaller,
  MAX_GRPC_MESSAGE_BYTES,
  PeerConnection,
  type PublicCall,
  publicUnary,
  toServiceError,
  type UnaryCall,
  unary,
} from './grpc/grpc.js';
export { type ClientSecurity, GrpcSecurity, PLAIN_CLIENT, SECRET_KEY } from './grpc/security.js';
export { readJson } from './json-file.js';
export { createLogger, type Logger } from './logging.js';
export {
  type Counter,
  createMetrics,
  type Gauge,
  type Histogram,
  type KnownLabels,
  type Metrics,
  type Registry,
  readGauge,
  SECONDS_BUCKETS,
} from './metrics.js';
export * from './networks.js';
export * from './process/child.js';
export type { RunningService, ServiceContext, ServiceDefinitionOf } from './process/context.js';
export { runService } from './process/run.js';
export { SHUTDOWN_AFTER_DRAIN_MS } from './process/service-process.js';
export { type HealthListener, watchHealth } from './registry/health-watch.js';
export { readSecret } from './secret-file.js';
export { SERVICE_STATES, type ServiceState } from './stage/lifecycle.js';
export { mapHandlers, type OpenRequest, type SessionStats, type WorkerHandlers } from './stage/worker.js';
export { RollingPercentiles } from './stats.js';
export { tracingEnabled, withHttpSpan, withSpan } from './telemetry/spans.js';
export { isTraced, isTracedNow, NO_TRACE, StageSpan, setUpLinks } from './telemetry/stage-span.js';
export { ledgerAfter, readBackTrail, type Trail, traceOf, trailOf } from './telemetry/trail.js';
export { aborted, afterSilence, waitAtMost, waitUntil } from './waiting.js';
