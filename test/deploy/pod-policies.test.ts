/** What must hold for every pod that the chart makes. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { SERVICES, type ServiceName } from '@talkmesh/contracts';
import { SHUTDOWN_AFTER_DRAIN_MS } from '@talkmesh/service-kit';
import { parseConfigOf, settingsOf } from '../../deploy/helm/settings.js';
import { containersOf, EVERYTHING, type KubernetesObject, ofKind, PROFILES, podsOf, render } from './chart.js';

const everything = await render({ set: EVERYTHING });
const profiles = await Promise.all(PROFILES.map((profile) => render({ valuesFiles: [profile] })));
const all = [everything, ...profiles];
const deployment = (objects: readonly KubernetesObject[], service: string): KubernetesObject =>
  ofKind(objects, 'Deployment').find(({ metadata }) => metadata.name === `talkmesh-${service}`);
const envOf = (container: KubernetesObject): Record<string, string | undefined> =>
  Object.fromEntries(container.env.map((entry: KubernetesObject) => [entry.name, entry.value]));

test('every container runs without root, privileges and a writable root file system', () => {
  for (const { name, pod } of all.flatMap(podsOf)) {
    const { securityContext, automountServiceAccountToken, enableServiceLinks, hostNetwork } = pod.spec;
    assert.equal(automountServiceAccountToken, false, name);
    assert.equal(enableServiceLinks, false, name);
    assert.equal(hostNetwork, undefined, name);
    assert.equal(securityContext.runAsNonRoot, true, name);
    assert.ok(securityContext.runAsUser > 0, name);
    assert.deepEqual(securityContext.seccompProfile, { type: 'RuntimeDefault' }, name);
    for (const container of containersOf(pod))
      assert.deepEqual(
        container.securityContext,
        { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
        `${name}/${container.name}`,
      );
  }
});

test('ports of nodes are used only when media.mode asks for them, and then an upgrade frees them first', async () => {
  const hostPorts = (objects: readonly KubernetesObject[]): number[] =>
    podsOf(objects).flatMap(({ pod }) =>
      containersOf(pod).flatMap(({ ports = [] }) => ports.flatMap((port: KubernetesObject) => port.hostPort ?? [])),
    );
  for (const objects of profiles) assert.deepEqual(hostPorts(objects), []);
  assert.equal(new Set(hostPorts(everything)).size, 200);
  for (const service of ['audio-ingest', 'webrtc-egress'])
    assert.deepEqual(deployment(everything, service).spec.strategy.rollingUpdate, { maxSurge: 0, maxUnavailable: 1 });
  const set = ['media.mode=hostNetwork', 'media.nodeCidrs[0]=10.0.0.0/8'];
  const onHost = await render({ set });
  const ports = podsOf(onHost)
    .filter(({ pod }) => pod.spec.hostNetwork === true)
    .flatMap(({ pod }) => pod.spec.containers[0].ports.map((port: KubernetesObject) => port.containerPort));
  assert.equal(ports.length, 4);
  assert.equal(new Set(ports).size, 4, 'two services would bind the same port of a node');
});

test('every container has its resources bounded, an image with a version, and probes on ports that exist', () => {
  for (const { name, pod } of all.flatMap(podsOf))
    for (const container of containersOf(pod)) {
      const label = `${name}/${container.name}`;
      assert.ok(container.resources.requests.cpu && container.resources.requests.memory, label);
      assert.ok(container.resources.limits.memory, label);
      assert.match(container.image, /[^/]:[\w.-]+$|@sha256:[0-9a-f]{64}$/, label);
      assert.doesNotMatch(container.image, /:latest$/, label);
      const ports = (container.ports ?? []).map((port: KubernetesObject) => port.name);
      for (const probe of ['startupProbe', 'readinessProbe', 'livenessProbe'])
        if (pod.spec.initContainers?.includes(container) !== true && pod.kind !== 'Pod') {
          const { port, path } = container[probe].httpGet;
          assert.ok(ports.includes(port), `${label}: ${probe} asks port ${port}`);
          assert.match(path, /^\/(livez|readyz|healthz(\?js-(enabled|server)-only=true)?)$/);
        }
      for (const { mountPath, name: volume } of container.volumeMounts ?? [])
        assert.ok(
          pod.spec.volumes.some((item: KubernetesObject) => item.name === volume),
          `${label}: ${mountPath}`,
        );
    }
});

test('a container that loads a model has the time that is set for it', async () => {
  const objects = await render({ set: ['services.score-model.startupSeconds=1801'] });
  const { periodSeconds, failureThreshold } = deployment(objects, 'score-model').spec.template.spec.containers[0]
    .startupProbe as KubernetesObject;
  assert.ok(periodSeconds * failureThreshold >= 1801);
  assert.ok(deployment(objects, 'score-model').spec.progressDeadlineSeconds > 1801);
});

test('a pod is killed only after its drain and everything that follows it', async () => {
  for (const drainDeadlineMs of [0, 20_000, 90_500, 3_600_000]) {
    const objects = await render({ set: [`config.drainDeadlineMs=${drainDeadlineMs}`] });
    for (const service of SERVICES) {
      const { terminationGracePeriodSeconds, containers } = deployment(objects, service).spec.template.spec;
      const preStopSeconds = containers[0].lifecycle?.preStop.sleep.seconds ?? 0;
      assert.equal(preStopSeconds > 0, service === 'gateway', service);
      const needed = preStopSeconds + (drainDeadlineMs + SHUTDOWN_AFTER_DRAIN_MS) / 1000;
      assert.ok(terminationGracePeriodSeconds >= needed, `${service}: ${terminationGracePeriodSeconds} of ${needed} s`);
      assert.equal(envOf(containers[0])['TALKMESH_DRAIN_DEADLINE_MS'], String(drainDeadlineMs));
    }
  }
  const longer = await render({ set: ['services.webrtc-egress.config.drainDeadlineMs=600000'] });
  assert.ok(deployment(longer, 'webrtc-egress').spec.template.spec.terminationGracePeriodSeconds > 600);
  assert.ok(deployment(longer, 'gateway').spec.template.spec.terminationGracePeriodSeconds < 60);
});

test('disruption budgets, services and policies select pods that exist', () => {
  for (const objects of all) {
    const labels = podsOf(objects).map(({ pod }) => pod.metadata.labels);
    const matches = (selector: object): number =>
      labels.filter((set) => Object.entries(selector).every(([key, value]) => set[key] === value)).length;
    const budgets = ofKind(objects, 'PodDisruptionBudget');
    const servers = ofKind(objects, 'StatefulSet')[0].spec.replicas;
    assert.equal(budgets.length, SERVICES.length + (servers > 1 ? 1 : 0));
    for (const { metadata, spec } of budgets) {
      assert.equal(matches(spec.selector.matchLabels), 1, metadata.name);
      assert.equal(spec.unhealthyPodEvictionPolicy, 'AlwaysAllow');
    }
    for (const { metadata, spec } of ofKind(objects, 'Service')) assert.ok(matches(spec.selector) > 0, metadata.name);
    for (const { metadata, spec } of ofKind(objects, 'NetworkPolicy'))
      assert.ok(matches(spec.podSelector.matchLabels) > 0, metadata.name);
    for (const { metadata, spec } of ofKind(objects, 'Deployment')) {
      assert.equal(matches(spec.selector.matchLabels), 1, metadata.name);
      for (const { labelSelector } of spec.template.spec.topologySpreadConstraints)
        assert.equal(matches(labelSelector.matchLabels), 1, metadata.name);
    }
  }
});

test('a Service targets ports that its pods have', () => {
  for (const objects of all)
    for (const { metadata, spec } of ofKind(objects, 'Service')) {
      const targets = podsOf(objects).filter(({ pod }) =>
        Object.entries(spec.selector).every(([key, value]) => pod.metadata.labels[key] === value),
      );
      for (const { targetPort } of spec.ports)
        for (const { name, pod } of targets)
          assert.ok(
            pod.spec.containers[0].ports.some((port: KubernetesObject) => port.name === targetPort),
            `${metadata.name} -> ${name}: ${targetPort}`,
          );
    }
});

test('what scales pods automatically owns their number', () => {
  for (const objects of all) {
    const scaled = [...ofKind(objects, 'HorizontalPodAutoscaler'), ...ofKind(objects, 'ScaledObject')];
    const targets = scaled.map(({ spec }) => spec.scaleTargetRef.name);
    for (const { metadata, spec } of ofKind(objects, 'Deployment'))
      assert.equal(spec.replicas === undefined, targets.includes(metadata.name), metadata.name);
    for (const { spec } of ofKind(objects, 'ScaledObject'))
      assert.ok(spec.fallback.replicas >= spec.minReplicaCount - 1);
  }
});

test('a target of sessions is a share of the places that a pod has', async () => {
  const target = async (...set: string[]): Promise<string> => {
    const kind = 'services.audio-llm-bridge.autoscaling.kind=hpa';
    const objects = await render({ set: [kind, ...set] });
    return ofKind(objects, 'HorizontalPodAutoscaler')[0].spec.metrics[0].pods.target.averageValue;
  };
  assert.equal(await target(), `${0.7 * 64 * 1000}m`, 'the capacity that the code has by default');
  const path = 'services.audio-llm-bridge';
  assert.equal(await target(`${path}.config.capacity=10`, `${path}.autoscaling.target=0.5`), '5000m');
});

test('the services accept the environment that the chart gives them', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'chart-secrets-'));
  const secret = join(folder, 'secret');
  writeFileSync(secret, 'a'.repeat(48), { mode: 0o600 });
  const configured = await render({
    set: [
      ...EVERYTHING,
      'services.gateway.config.corsOrigins={https://a.example.com,https://b.example.com}',
      'services.score-model.config.stateBytesMax=68719476736',
      'services.audio-ingest.config.vadStartProbability=0.6',
      'config.logPretty=true',
    ],
  });
  try {
    for (const objects of [configured, ...profiles])
      for (const service of SERVICES) {
        const env = envOf(deployment(objects, service).spec.template.spec.containers[0]);
        for (const [name, value] of Object.entries(env)) {
          if (/_FILE$/.test(name) && value !== undefined) env[name] = secret;
          if (value !== undefined) env[name] = env[name]?.replace(/\$\((POD|HOST)_IP\)/, '10.0.0.1');
        }
        const names = new Set(settingsOf(service).map((setting) => setting.env));
        const unknown = Object.keys(env).filter((name) => name.startsWith('TALKMESH_') && !names.has(name));
        assert.deepEqual(unknown, [], `${service} does not read these`);
        parseConfigOf(service)(env);
      }
    const parsed = (service: ServiceName): Record<string, unknown> => {
      const env = envOf(deployment(configured, service).spec.template.spec.containers[0]);
      for (const name of Object.keys(env)) if (name.endsWith('_FILE')) env[name] = secret;
      env['TALKMESH_RTC_ADVERTISE'] = '10.0.0.1';
      return parseConfigOf(service)(env) as unknown as Record<string, unknown>;
    };
    assert.deepEqual(parsed('gateway')['corsOrigins'], ['https://a.example.com', 'https://b.example.com']);
    assert.equal(parsed('score-model')['stateBytesMax'], 68_719_476_736);
    assert.equal(parsed('audio-ingest')['vadStartProbability'], 0.6);
    assert.equal(parsed('vae-decode')['logPretty'], true);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('a command of the chart is a file that the image of a service holds', () => {
  const copied = readFileSync('deploy/docker/Dockerfile', 'utf8').match(/^COPY --from=build .*$/gm) ?? [];
  const services = new Set<string>(SERVICES);
  let found = 0;
  for (const { pod } of all.flatMap(podsOf))
    for (const { command = [], image } of containersOf(pod))
      for (const file of command.filter((part: string) => part.startsWith('/app/'))) {
        assert.ok(
          copied.some((line) => line.includes(`/out/${basename(file)} `)),
          `${file} is in no image`,
        );
        assert.ok(services.has(image.replace(/^.*\/|:.*$/g, '')), `${image} is built by no Dockerfile`);
        found += 1;
      }
  assert.equal(found, all.length, 'the command of helm test');
});

test('secrets are files, and pods restart when they change', async () => {
  for (const objects of all) {
    const values = podsOf(objects).flatMap(({ pod }) =>
      containersOf(pod).flatMap(({ env = [], args = [] }) => [...env, ...args]),
    );
    const secrets = ofKind(objects, 'Secret').flatMap(({ stringData }) => Object.values(stringData) as string[]);
    assert.ok(secrets.length >= 8 && new Set(secrets).size === secrets.length);
    for (const secret of secrets) assert.ok(!JSON.stringify(values).includes(secret));
  }
  const checksum = async (...set: string[]): Promise<string> => {
    const fixed = ['auth.existingSecret=mine', 'nats.existingSecret=users'];
    const objects = await render({ set: [...fixed, ...set] });
    return deployment(objects, 'gateway').spec.template.metadata.annotations['checksum/auth'];
  };
  const templates = async (key: string): Promise<Map<string, string>> => {
    const fixed = ['auth.meshSecret=mesh', 'nats.existingSecret=users', `auth.apiKeys={${key.repeat(32)}}`];
    const workloads = podsOf(await render({ set: fixed })).filter(({ pod }) => pod.kind !== 'Pod');
    return new Map(workloads.map(({ name, pod }) => [name, JSON.stringify(pod)]));
  };
  const [before, after] = [await templates('a'), await templates('b')];
  const restarted = [...before.keys()].filter((name) => before.get(name) !== after.get(name));
  assert.deepEqual(restarted, ['talkmesh-gateway'], 'a new API key restarts what reads it, not NATS and the calls');
  assert.equal(await checksum(), await checksum());
  assert.notEqual(await checksum(), await checksum('auth.rotation=2026-11'));
  assert.notEqual(await checksum(), await checksum('auth.existingSecret=other'));
});

test('with mutual TLS each service has the certificate that names it, in a folder whose files are replaced without a restart', async () => {
  const podOf = async (service: string, ...set: string[]): Promise<KubernetesObject> =>
    deployment(await render({ set: ['auth.meshSecret=mesh', 'auth.existingSecret=keys', ...set] }), service).spec
      .template;
  for (const [tlsSecret, nameOf] of [
    ['mesh-tls-{service}', (service: string) => `mesh-tls-${service}`],
    ['mesh-tls', () => 'mesh-tls'],
  ] as const)
    for (const service of SERVICES) {
      const { metadata, spec } = await podOf(service, `grpc.tlsSecret=${tlsSecret}`);
      const [container] = spec.containers;
      const env = envOf(container);
      const { name, mountPath } = container.volumeMounts.find(
        (mount: KubernetesObject) => env['TALKMESH_GRPC_CERT_FILE'] === `${mount.mountPath}/tls.crt`,
      );
      assert.equal(env['TALKMESH_GRPC_CA_FILE'], `${mountPath}/ca.crt`);
      assert.equal(env['TALKMESH_GRPC_KEY_FILE'], `${mountPath}/tls.key`);
      // A file that is mounted by subPath never changes.
      assert.ok(container.volumeMounts.every((mount: KubernetesObject) => mount.subPath === undefined));
      const { secret } = spec.volumes.find((volume: KubernetesObject) => volume.name === name);
      assert.equal(secret.secretName, nameOf(service));
      assert.equal(secret.defaultMode, 0o440);
      assert.deepEqual(
        secret.items.map(({ key }: KubernetesObject) => key),
        ['ca.crt', 'tls.crt', 'tls.key'],
      );
      assert.ok(!JSON.stringify(metadata.annotations).includes('tls'));
      for (const probe of ['startupProbe', 'readinessProbe', 'livenessProbe'])
        assert.equal(container[probe].httpGet.port, 'admin', 'probes bring no certificate');
    }
  const plain = envOf((await podOf('gateway')).spec.containers[0]);
  assert.equal(plain['TALKMESH_GRPC_CERT_FILE'], undefined);
});
