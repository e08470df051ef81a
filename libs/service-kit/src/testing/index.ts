export { HealthImplementation } from 'grpc-health-check';
export { type CertificateFiles, TestAuthority } from './certificates.js';
export { collect, createTestContext, type TestContext } from './context.js';
export { NatsProxy } from './nats-proxy.js';
export { type NatsServer, startNatsServer } from './nats-server.js';
export { assertSeriesStayConstant } from './series.js';
export { type LogLine, ServiceProcess } from './service-process.js';
export { TestWorker } from './test-worker.js';
export { until } from './until.js';
