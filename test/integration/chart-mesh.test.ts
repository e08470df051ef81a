/**
 * The mesh as the chart configures it, in processes instead of pods: the rendered environment, Secrets as files, and a real nats-server with the
 * rendered configuration, users and permissions, with mutual TLS between gateway and workers. A call must go through.
 */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { after, test } from 'node:test';
import { OPEN_ORDER, SERVICES, type ServiceName } from '@talkmesh/contracts';
import { startNatsServer, TestAuthority } from '@talkmesh/service-kit/testing';
import { buildPackages } from '../../deploy/local/src/build.js';
import type { ServiceSpec } from '../../deploy/local/src/managed-service.js';
import { Supervisor } from '../../deploy/local/src/supervisor.js';
import { CHART, type KubernetesObject, ofKind, podsOf, render } from '../deploy/chart.js';
import { talkmesh } from '../support/cli.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const folder = temporaryFolder('chart-mesh');
const objects = await render({
  valuesFiles: [`${CHART}/profiles/cpu-nano.yaml`],
  set: ['grpc.tlsSecret=mesh-tls-{service}'],
});
await using authority = await TestAuthority.create();
const certificates = new Map<string, Record<string, string>>(
  await Promise.all(SERVICES.map(async (service) => [`mesh-tls-${service}`, await certificateOf(service)] as const)),
);
const podOf = (component: string): KubernetesObject =>
  podsOf(objects).find(({ name }) => name === `talkmesh-${component}`)?.pod.spec;
const secretOf = (name: string): Record<string, string> =>
  certificates.get(name) ?? ofKind(objects, 'Secret').find(({ metadata }) => metadata.name === name).stringData;

/** A Secret as cert-manager makes it. */
async function certificateOf(service: ServiceName): Promise<Record<string, string>> {
  const { caFile, certFile, keyFile } = await authority.issue(service);
  const files = { 'ca.crt': caFile, 'tls.crt': certFile, 'tls.key': keyFile };
  return Object.fromEntries(Object.entries(files).map(([key, path]) => [key, readFileSync(path, 'utf8')]));
}

/** Writes the Secrets of a pod where its containers would find them. @returns the paths that stand for the mounted folders */
function mountSecrets(component: string): ReadonlyMap<string, string> {
  const { containers, volumes } = podOf(component);
  const mounted = new Map<string, string>();
  for (const { name, mountPath } of containers[0].volumeMounts) {
    const { secret } = volumes.find((volume: KubernetesObject) => volume.name === name);
    if (secret === undefined) continue;
    const data = secretOf(secret.secretName);
    const items = secret.items ?? Object.keys(data).map((key) => ({ key, path: key }));
    const target = join(folder, component, mountPath);
    for (const { key, path } of items) {
      mkdirSync(dirname(join(target, path)), { recursive: true });
      writeFileSync(join(target, path), data[key] as string, { mode: secret.defaultMode });
    }
    mounted.set(mountPath, target);
  }
  return mounted;
}

function environmentOf(service: ServiceName, natsUrl: string): NodeJS.ProcessEnv {
  const mounted = mountSecrets(service);
  const entries = podOf(service).containers[0].env.map(({ name, value }: KubernetesObject) => {
    const mount = [...mounted.keys()].find((path) => value?.startsWith(`${path}/`));
    return [name, mount === undefined ? value : value.replace(mount, mounted.get(mount))];
  });
  return {
    PATH: process.env['PATH'],
    ...Object.fromEntries(entries),
    // What pods have and processes of one machine have not: an address and a file system each.
    TALKMESH_NATS_URL: natsUrl,
    TALKMESH_ADVERTISE_HOST: '127.0.0.1',
    TALKMESH_GRPC_HOST: '127.0.0.1',
    TALKMESH_ADMIN_HOST: '127.0.0.1',
    TALKMESH_HTTP_HOST: '127.0.0.1',
    TALKMESH_GRPC_PORT: '0',
    TALKMESH_ADMIN_PORT: '0',
    TALKMESH_HTTP_PORT: '0',
    TALKMESH_MODEL: resolve('models/nano'),
    TALKMESH_DRAIN_DEADLINE_MS: '500',
    TALKMESH_PARENT_PID: String(process.pid),
  };
}

test('a call goes through services and NATS that are configured by the chart', { timeout: 180_000 }, async () => {
  await buildPackages();
  const users = secretOf('talkmesh-nats-users');
  for (const { name, valueFrom } of podOf('nats').containers[0].env)
    process.env[name] = valueFrom.secretKeyRef === undefined ? 'talkmesh-nats-0' : users[valueFrom.secretKeyRef.key];
  const map = ofKind(objects, 'ConfigMap').find(({ metadata }) => metadata.name === 'talkmesh-nats');
  // The harness chooses the ports and the folder itself.
  const config = (map.data['nats.conf'] as string)
    .replace('http_port: 8222', 'http: "127.0.0.1:-1"')
    .replace('store_dir: /data, ', '');
  await using nats = await startNatsServer({ config });
  const specs = [...OPEN_ORDER, 'gateway' as const].map(
    (name): ServiceSpec => ({
      name,
      entry: resolve(`services/${name}/dist/main.js`),
      env: environmentOf(name, nats.url),
      logFile: join(folder, `${name}.log`),
    }),
  );
  const lines: string[] = [];
  const supervisor = new Supervisor(specs, { parallel: 2, say: (line) => lines.push(line), onFailed: () => {} });
  after(() => supervisor.kill());
  await supervisor.start();
  const gateway = supervisor.services.at(-1)?.facts;
  const keys = join(folder, 'gateway/etc/talkmesh/auth/api-keys');
  const address = [
    '--url',
    gateway?.httpAddress?.replace(/^(?!http)/, 'http://') ?? '',
    '--grpc',
    gateway?.grpcAddress ?? '',
  ];
  const result = await talkmesh(['smoke', ...address, '--key-file', keys, '--seconds', '2']);
  assert.equal(result.code, 0, `${result.stderr}\n${lines.join('\n')}`);
  assert.match(result.stdout, /The call is good/);
  await supervisor.stop();
});
