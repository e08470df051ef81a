/** What may talk to what in the cluster and on the bus is exactly what libs/contracts/src/pipeline.ts says. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { natsAuthorization, PIPELINE, SERVICES } from '@talkmesh/contracts';
import { requireTool } from '../support/tools.js';
import { type KubernetesObject, ofKind, podsOf, render } from './chart.js';

const objects = await render({
  set: [
    'networkPolicy.monitoring[0].namespaceSelector.matchLabels.name=monitoring',
    'networkPolicy.clients[0].ipBlock.cidr=192.0.2.0/24',
  ],
});
const policies = ofKind(objects, 'NetworkPolicy');
const PARTIES = [...SERVICES, 'nats', 'test'] as const;
const labelsOf = (party: string): Record<string, string> =>
  podsOf(objects).find(({ name }) => name === `talkmesh-${party}`)?.pod.metadata.labels;
const selects = (selector: KubernetesObject, labels: Record<string, string>): boolean =>
  Object.entries(selector?.matchLabels ?? {}).every(([key, value]) => labels[key] === value);
const portOf = (party: string, port: string | number): number => {
  if (typeof port === 'number') return port;
  const { containers } = podsOf(objects).find(({ name }) => name === `talkmesh-${party}`)?.pod.spec ?? {};
  return containers[0].ports.find((item: KubernetesObject) => item.name === port).containerPort;
};

/** Evaluates the policies of one pod in one direction as a cluster would. */
function allows(direction: 'ingress' | 'egress', own: string, other: string, at: string, port: number): boolean {
  const mine = policies.filter(({ spec }) => selects(spec.podSelector, labelsOf(own)));
  const isolated = mine.some(({ spec }) => spec.policyTypes.includes(direction === 'ingress' ? 'Ingress' : 'Egress'));
  assert.ok(isolated, `${own} is open for ${direction}`);
  return mine
    .flatMap(({ spec }) => spec[direction] ?? [])
    .some((rule: KubernetesObject) => {
      const peers = rule.from ?? rule.to;
      const isPeer =
        peers === undefined ||
        peers.some((peer: KubernetesObject) => peer.podSelector && selects(peer.podSelector, labelsOf(other)));
      return isPeer && rule.ports.some((item: KubernetesObject) => portOf(at, item.port) === port);
    });
}

const reaches = (from: string, to: string, port: number): boolean =>
  allows('egress', from, to, to, port) && allows('ingress', to, from, to, port);

test('gRPC goes along the calls of the pipeline and nowhere else', () => {
  for (const from of PARTIES)
    for (const to of SERVICES) {
      const isCall = from !== 'nats' && from !== 'test' && PIPELINE[from].calls.includes(to);
      assert.equal(reaches(from, to, 9090), isCall || (from === 'test' && to === 'gateway'), `${from} -> ${to}`);
    }
});

test('every service reaches NATS, and nothing else does', () => {
  for (const from of PARTIES) {
    assert.equal(reaches(from, 'nats', 4222), from !== 'nats' && from !== 'test', from);
    assert.equal(reaches(from, 'nats', 8222), false, from);
  }
});

test('servers of NATS reach each other, and the services know all of them', async () => {
  const cluster = await render({ set: ['nats.replicas=3'] });
  const { ingress, egress } = ofKind(cluster, 'NetworkPolicy').find(
    ({ metadata }) => metadata.name === 'talkmesh-nats',
  ).spec;
  const isNats = ({ podSelector }: KubernetesObject): boolean => selects(podSelector, labelsOf('nats'));
  assert.ok(ingress.some(({ from, ports }: KubernetesObject) => isNats(from[0]) && ports[0].port === 'cluster'));
  assert.ok(egress.some(({ to, ports }: KubernetesObject) => isNats(to[0]) && ports[0].port === 6222));
  const { env } = podsOf(cluster).find(({ name }) => name === 'talkmesh-gateway')?.pod.spec.containers[0] ?? {};
  const settingOf = (name: string): string => env.find((entry: KubernetesObject) => entry.name === name).value;
  const host = (index: number): string => `nats://talkmesh-nats-${index}.talkmesh-nats:4222`;
  assert.equal(settingOf('TALKMESH_NATS_URL'), [0, 1, 2].map(host).join());
  assert.equal(settingOf('TALKMESH_NATS_REPLICAS'), '3');
});

test('metrics are for the named monitoring only, HTTP for the named clients', () => {
  for (const from of PARTIES) {
    for (const to of SERVICES) assert.equal(reaches(from, to, 9091), false, `${from} -> ${to}`);
    assert.equal(reaches(from, 'gateway', 8080), from === 'test', from);
  }
  const rules = policies.flatMap(({ spec }) => spec.ingress ?? []);
  const admin = rules.filter(({ ports }) => ports.some((item: KubernetesObject) => item.port === 'admin'));
  assert.equal(admin.length, SERVICES.length);
  for (const { from } of admin)
    assert.deepEqual(from, [{ namespaceSelector: { matchLabels: { name: 'monitoring' } } }]);
  assert.ok(rules.some(({ from }) => from?.[0]?.ipBlock?.cidr === '192.0.2.0/24'));
});

test('what leaves the cluster is only what the values name', async () => {
  const open = (all: readonly KubernetesObject[], service: string): number[] =>
    ofKind(all, 'NetworkPolicy')
      .filter(({ metadata }) => metadata.name === `talkmesh-${service}`)
      .flatMap(({ spec }) => spec.egress)
      .filter(({ to }) => to === undefined)
      .flatMap(({ ports }) => ports.map((item: KubernetesObject) => item.port));
  for (const service of SERVICES) assert.deepEqual(open(objects, service), [], service);
  const named = await render({
    set: [
      'telemetry.otlpEndpoint=http://collector:4318',
      'model.source=download',
      'model.url=https://models.example.com/nano',
      `model.sha256=${'0'.repeat(64)}`,
      'media.iceUrls={turn:a.example.com:3479?transport=udp,turns:b.example.com}',
      'media.iceCredentialSecret=turn',
    ],
  });
  assert.deepEqual(open(named, 'audio-llm-bridge'), [4318]);
  assert.deepEqual(open(named, 'score-model'), [4318, 443]);
  assert.deepEqual(open(named, 'webrtc-egress'), [4318, 3479, 3479, 5349, 5349]);
});

test('nats-server accepts the configuration, whose users are those of the pipeline', () => {
  const config = ofKind(objects, 'ConfigMap').find(({ metadata }) => metadata.name === 'talkmesh-nats').data[
    'nats.conf'
  ] as string;
  const { containers } = podsOf(objects).find(({ name }) => name === 'talkmesh-nats')?.pod.spec ?? {};
  const folder = mkdtempSync(join(tmpdir(), 'chart-nats-'));
  try {
    writeFileSync(join(folder, 'nats.conf'), config);
    writeFileSync(
      join(folder, 'expected.conf'),
      natsAuthorization(() => 'p1e5'),
    );
    const names = containers[0].env.map((entry: KubernetesObject) => entry.name) as string[];
    const env = { ...process.env, ...Object.fromEntries(names.map((name) => [name, 'p1e5'])) };
    const check = (file: string): string =>
      execFileSync(requireTool('nats-server'), ['-t', '-c', join(folder, file)], {
        env,
        encoding: 'utf8',
        stdio: 'pipe',
      });
    check('nats.conf');
    check('expected.conf');
    for (const service of SERVICES) {
      const expected = JSON.parse(natsAuthorization(() => '').replace(/^authorization: /, '')).users;
      const { permissions } = expected.find(({ user }: { user: string }) => user === service);
      assert.ok(config.includes(`{user: "${service}",`), service);
      assert.ok(config.includes(sorted(permissions)), service);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

/** JSON with sorted keys, as helm writes it. */
const sorted = (value: unknown): string =>
  JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );

test('with LiveKit the workers that join rooms may reach its server, and no other service may', async () => {
  const rooms = await render({ valuesFiles: ['deploy/helm/talkmesh/profiles/livekit.yaml'] });
  for (const service of SERVICES) {
    const policy = ofKind(rooms, 'NetworkPolicy').find(({ metadata }) => metadata.name === `talkmesh-${service}`);
    const udp = policy.spec.egress
      .flatMap(({ ports }: KubernetesObject) => ports)
      .map(({ port }: KubernetesObject) => port);
    assert.equal(udp.includes(7882), service === 'audio-ingest' || service === 'webrtc-egress', service);
  }
  const { env, volumeMounts } =
    podsOf(rooms).find(({ name }) => name === 'talkmesh-gateway')?.pod.spec.containers[0] ?? {};
  const file = env.find(({ name }: KubernetesObject) => name === 'TALKMESH_LIVEKIT_API_SECRET_FILE').value;
  assert.ok(volumeMounts.some(({ mountPath }: KubernetesObject) => file.startsWith(`${mountPath}/`)));
});
