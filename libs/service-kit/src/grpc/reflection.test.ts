import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client, credentials } from '@grpc/grpc-js';
import { v1 } from '@talkmesh/contracts/protos';
import { createMetrics } from '../metrics.js';
import { KitGrpcServer } from './grpc-server.js';

/** Fields of ServerReflectionRequest, https://github.com/grpc/grpc/blob/master/doc/server-reflection.md. */
const [FILE_CONTAINING_SYMBOL, LIST_SERVICES] = [4, 7] as const;

function request(field: number, value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from([(field << 3) | 2, bytes.length]), bytes]);
}

for (const version of ['v1', 'v1alpha'])
  test(`reflection ${version} lists the services of the server and describes all types of the mesh`, async () => {
    const definition = v1.StageService.service;
    const server = new KitGrpcServer([{ definition, implementation: {} }], createMetrics({ defaults: false }));
    const port = await server.listen('127.0.0.1', 0);
    const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
    try {
      const call = client.makeBidiStreamRequest(
        `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
        (bytes: Buffer) => bytes,
        (bytes: Buffer) => bytes.toString('latin1'),
      );
      const answers = call[Symbol.asyncIterator]() as AsyncIterator<string>;
      const ask = async (field: number, value: string): Promise<string> => {
        call.write(request(field, value));
        return (await answers.next()).value as string;
      };
      const services = await ask(LIST_SERVICES, '*');
      assert.match(services, /talkmesh\.v1\.StageService/);
      assert.doesNotMatch(services, /talkmesh\.v1\.SessionService/);
      const file = await ask(FILE_CONTAINING_SYMBOL, 'talkmesh.v1.StageService');
      for (const name of ['StageService', 'SessionService', 'CreateSessionRequest'])
        assert.ok(file.includes(name), name);
      call.end();
    } finally {
      client.close();
      await server.close(1000, new AbortController().signal);
    }
  });
