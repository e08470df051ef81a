/** The chart renders for every profile and release name, refuses wrong values, and its generated files are not stale. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { generatedFiles } from '../../deploy/helm/generated.js';
import {
  CHART,
  containersOf,
  EVERYTHING,
  helm,
  type KubernetesObject,
  ofKind,
  PROFILES,
  podsOf,
  RELEASES,
  refusal,
  render,
} from './chart.js';
import { typeFaults } from './object-types.js';

test('the generated files are those of the code', () => {
  for (const [path, content] of generatedFiles())
    assert.ok(readFileSync(path, 'utf8') === content, `${path} is stale: run npm run chart`);
});

test('helm lint finds nothing to warn of', async () => {
  await helm('lint', '--strict', CHART);
  for (const profile of PROFILES) await helm('lint', '--strict', CHART, `--values=${profile}`);
});

test('objects of every profile have only fields and types of the Kubernetes API', async () => {
  assert.deepEqual(
    PROFILES.map((path) => path.split('/').at(-1)),
    ['cpu-nano.yaml', 'gpu.yaml', 'ha.yaml', 'livekit.yaml'],
  );
  const all = await Promise.all([
    render({ set: EVERYTHING }),
    ...PROFILES.map((profile) => render({ valuesFiles: [profile] })),
  ]);
  assert.deepEqual(await typeFaults(all.flat()), []);
});

test('an unknown field, a wrong type and a value outside of its pattern are found', async () => {
  const objects = await render({ set: EVERYTHING });
  const first = (kind: string): KubernetesObject => structuredClone(ofKind(objects, kind)[0]);
  const [misspelt, wrong, outside] = [first('Deployment'), first('Service'), first('ServiceMonitor')];
  misspelt.spec.template.spec.containers[0].imagePulPolicy = 'Always';
  wrong.spec.ports[0].port = '80';
  outside.spec.endpoints[0].interval = '15sec';
  const faults = (await typeFaults([misspelt, wrong, outside])).join('\n');
  assert.match(faults, /imagePulPolicy.*does not exist/);
  assert.match(faults, /'string' is not assignable to type 'number'/);
  assert.match(faults, /interval must match pattern/);
});

test('every release name gives valid names, and labels and environment that are texts', async () => {
  const NAME = /^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/;
  const LABEL = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;
  const longest = 'a-release-whose-name-has-as-many-characters-as-it-may';
  assert.equal(longest.length, 53);
  for (const release of [...RELEASES, 'talkmesh.blue', longest])
    for (const valuesFiles of release === longest ? [[]] : PROFILES.map((profile) => [profile])) {
      const objects = await render({ release, valuesFiles });
      assert.ok(objects.length > 25, release);
      for (const object of objects) {
        assert.match(object.metadata.name, NAME);
        assert.equal(object.metadata.labels['app.kubernetes.io/instance'], release);
      }
      for (const set of textsOf(objects))
        for (const [key, value] of Object.entries(set)) {
          assert.equal(typeof value, 'string', `${release}: ${key} is ${JSON.stringify(value)}`);
          assert.match(value as string, LABEL, `${release}: ${key}`);
        }
      for (const { pod } of podsOf(objects))
        for (const { value } of containersOf(pod).flatMap((container) => container.env ?? []))
          assert.ok(value === undefined || typeof value === 'string', `${release}: ${value}`);
    }
});

/** Every set of labels and of selectors. */
function textsOf(value: unknown, key = ''): object[] {
  if (typeof value !== 'object' || value === null) return [];
  if (/^(labels|matchLabels|nodeSelector)$/.test(key)) return [value];
  if (key === 'selector' && !('matchLabels' in value)) return [value];
  return Object.entries(value).flatMap(([name, inner]) => textsOf(inner, name));
}

test('the schema refuses typing mistakes and values outside of their range', async () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['replica=2', /additional properties 'replica' not allowed/],
    ['services.score-modell.replicas=2', /additional properties 'score-modell' not allowed/],
    ['services.gateway.replicas=two', /got string, want integer/],
    ['services.gateway.config.maxSesions=5', /additional properties 'maxSesions' not allowed/],
    ['services.gateway.config.maxSessions=0', /minimum: got 0, want 1/],
    ['services.score-model.config.maxSessions=5', /additional properties 'maxSessions' not allowed/],
    ['services.score-model.config.inferenceProvider=gpu', /does not match pattern/],
    ['config.capacity=5', /additional properties 'capacity' not allowed/],
    ['config.natsUrl=nats://x', /additional properties 'natsUrl' not allowed/],
    ['config.logLevel=verbose', /value must be one of/],
    ['defaults.env.TALKMESH_LOG_LEVEL=debug', /'not' failed/],
    ['image.tag=latest', /'not' failed/],
    ['nats.image=nats:latest', /'not' failed/],
    ['services.gateway.image.digest=sha256:12', /does not match pattern/],
    ['services.gateway.autoscaling.kind=keda', /value must be one of/],
    ['services.vae-decode.rtcPorts.min=5000', /additional properties 'rtcPorts' not allowed/],
    ['config.grpcCertFile=/etc/talkmesh/mine/tls.crt', /additional properties 'grpcCertFile' not allowed/],
    ['grpc.tlsSecret=Mesh_TLS', /does not match pattern/],
    ['grpc.tlsSecret=mesh-tls-{stage}', /does not match pattern/],
    ['grpc.secret=mesh-tls', /additional properties 'secret' not allowed/],
    ['media.mode=host', /value must be one of/],
    ['auth.apiKeys[0]=short', /minLength: got 5, want 16/],
    ['model.sha256=abc', /does not match pattern/],
    ['expose.ingress.path=talk', /does not match pattern/],
    ['services.gateway.secretMounts.auth=mine', /'not' failed|value must not be/],
    ['services.gateway.secretMounts.grpc-tls=mine', /'not' failed|value must not be/],
  ];
  for (const [set, message] of cases) assert.match(await refusal({ set: [set] }), message, set);
});

test('values that do not fit together are refused with what to do', async () => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [['nats.enabled=false'], /set nats\.url to the address/],
    [['model.source=pvc'], /set model\.claimName/],
    [['model.source=download'], /set model\.url .* and model\.sha256/],
    [['media.mode=hostNetwork'], /set media\.nodeCidrs/],
    [['media.iceUrls[0]=turn:turn.example.com'], /set media\.iceUsername and media\.iceCredentialSecret/],
    [['services.audio-ingest.rtcPorts.max=2000'], /rtcPorts\.min must not be above max/],
    [['services.gateway.rollout.maxSurge=0'], /maxSurge and maxUnavailable cannot both be 0/],
    [['defaults.autoscaling.kind=keda'], /services\.gateway\.autoscaling\.kind can be none or hpa/],
    [['services.score-model.autoscaling.minReplicas=20'], /minReplicas must not be above maxReplicas/],
  ];
  for (const [set, message] of cases) assert.match(await refusal({ set }), message, set.join(' '));
});
