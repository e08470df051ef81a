export { HealthImplementation } from 'grpc-health-check';
export { createTestContext, type TestContext } from './context.js';
export { type NatsServer, startNatsServer } from './nats-server.js';
