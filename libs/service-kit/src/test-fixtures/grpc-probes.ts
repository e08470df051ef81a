/** Does what grpcurl and grpc_health_probe do, with the public .proto files of both protocols. */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { type Client, credentials, loadPackageDefinition, type ServiceClientConstructor } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { protoPath } from 'grpc-health-check';
import { callUnary } from '../grpc/grpc.js';

const require = createRequire(import.meta.url);
const reflectionProto = join(
  dirname(require.resolve('@grpc/reflection')),
  '../proto/grpc/reflection/v1/reflection.proto',
);
const grpc = (path: string) =>
  loadPackageDefinition(loadSync(path, { enums: String })) as never as Record<'grpc', never>;

function connect(Ctor: ServiceClientConstructor, address: string): Client & Record<string, () => never> {
  return new Ctor(address, credentials.createInsecure()) as never;
}

export async function health(address: string, service: string): Promise<string> {
  const { Health } = (grpc(protoPath) as never as { grpc: { health: { v1: { Health: ServiceClientConstructor } } } })
    .grpc.health.v1;
  const client = connect(Health, address);
  try {
    const reply = await callUnary<object, { status: string }>(client, 'check', { service }, { deadlineMs: 10_000 });
    return reply.status;
  } finally {
    client.close();
  }
}

export async function reflectedServices(address: string): Promise<string[]> {
  type Reflection = { grpc: { reflection: { v1: { ServerReflection: ServiceClientConstructor } } } };
  const { ServerReflection } = (grpc(reflectionProto) as never as Reflection).grpc.reflection.v1;
  const client = connect(ServerReflection, address);
  const call = (client['ServerReflectionInfo'] as () => import('@grpc/grpc-js').ClientDuplexStream<object, never>).call(
    client,
  );
  try {
    call.write({ listServices: '*' });
    for await (const reply of call as AsyncIterable<{ listServicesResponse: { service: { name: string }[] } }>)
      return reply.listServicesResponse.service.map(({ name }) => name);
    return [];
  } finally {
    call.end();
    client.close();
  }
}
