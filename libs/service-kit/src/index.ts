export * from './bounded-queue.js';
export {
  type Bus,
  type EventToPublish,
  INSTANCE_HEADER,
  type MessageHandler,
  type MessageMeta,
  type Subscription,
} from './bus.js';
export * from './child.js';
export * from './child-endpoint.js';
export * from './chunk-worker.js';
export * from './config.js';
export type { RunningService, ServiceContext, ServiceDefinitionOf } from './context.js';
export {
  type CallOptions,
  callUnary,
  closeClient,
  connectClient,
  fromServiceError,
  type GrpcServiceImpl,
  MAX_GRPC_MESSAGE_BYTES,
  PeerConnection,
  toServiceError,
  type UnaryCall,
  unary,
} from './grpc.js';
export { type HealthListener, watchHealth } from './health-watch.js';
export type { BucketName, KvBucket, KvEntryOf } from './kv-bucket.js';
export { SERVICE_STATES, type ServiceState } from './lifecycle.js';
export { createLogger, type Logger } from './logging.js';
export {
  type Counter,
  createMetrics,
  type Gauge,
  type Histogram,
  type Metrics,
  type Registry,
  SECONDS_BUCKETS,
} from './metrics.js';
export { ownPictures, type ReadOwnPicture } from './own-pictures.js';
export { type Dated, RetainedReader } from './retained-session.js';
export type { RecallOptions, RetainedMessage } from './retention.js';
export { runService } from './run.js';
export { RollingPercentiles } from './stats.js';
export { tracingEnabled, withSpan } from './telemetry/spans.js';
export { aborted, waitAtMost, waitUntil } from './waiting.js';
export type { OpenRequest, SessionStats, WorkerHandlers } from './worker.js';
