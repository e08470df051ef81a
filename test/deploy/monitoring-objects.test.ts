/** The chart delivers the rules and dashboards that deploy/monitoring generates, whole and unchanged. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { SERVICES } from '@talkmesh/contracts';
import { globSync } from '../support/glob.js';
import { CHART, type KubernetesObject, ofKind, podsOf, render } from './chart.js';

interface Rule {
  readonly alert?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}
interface Groups {
  readonly groups: readonly { readonly name: string; readonly rules: readonly Rule[] }[];
}

const written = JSON.parse(readFileSync(`${CHART}/files/rules.json`, 'utf8')) as Groups;
const on = 'monitoring.rules.enabled=true';
const rulesOf = async (...set: string[]): Promise<Groups> =>
  ofKind(await render({ set: [on, ...set] }), 'PrometheusRule')[0].spec as Groups;

test('the rules arrive as they are written', async () => {
  assert.ok(written.groups.flatMap(({ rules }) => rules).some(({ alert }) => alert !== undefined));
  assert.deepEqual(await rulesOf(), written);
});

test('an alert can be left out by name, and runbooks get the address of a deployment', async () => {
  const alerts = written.groups.flatMap(({ rules }) => rules).flatMap(({ alert }) => alert ?? []);
  const [first] = alerts;
  const { groups } = await rulesOf(
    `monitoring.rules.disabled[0]=${first}`,
    'monitoring.rules.runbookUrl=https://git.example.com/talk/',
  );
  const left = groups.flatMap(({ rules }) => rules).filter(({ alert }) => alert !== undefined);
  assert.deepEqual(
    left.map(({ alert }) => alert),
    alerts.filter((alert) => alert !== first),
  );
  for (const { annotations } of left)
    assert.match(annotations?.['runbook_url'] ?? '', /^https:\/\/git\.example\.com\/talk\/docs\/runbooks\/[\w-]+\.md/);
});

test('every dashboard is a ConfigMap that the sidecar of Grafana finds', async () => {
  const objects = await render({
    set: ['monitoring.dashboards.enabled=true', 'monitoring.dashboards.annotations.folder=Calls'],
  });
  const maps = ofKind(objects, 'ConfigMap').filter(({ metadata }) => metadata.labels.grafana_dashboard === '1');
  const files = globSync([`${CHART}/files/dashboards`], /\.json$/);
  assert.ok(files.length >= 4);
  assert.deepEqual(
    maps.flatMap(({ data }) => Object.entries(data)).sort(),
    files.map((path) => [path.split('/').at(-1), readFileSync(path, 'utf8')]).sort(),
  );
  for (const { metadata } of maps) assert.equal(metadata.annotations.folder, 'Calls');
});

test('the ServiceMonitor scrapes the admin port of every service, and names the service as the job', async () => {
  const objects = await render({ set: ['monitoring.serviceMonitor.enabled=true'] });
  const { selector, endpoints } = ofKind(objects, 'ServiceMonitor')[0].spec;
  const services = ofKind(objects, 'Service').filter(({ metadata }) =>
    Object.entries(selector.matchLabels).every(([key, value]) => metadata.labels[key] === value),
  );
  assert.equal(services.length, 1);
  const [{ spec }] = services as [KubernetesObject];
  const pods = podsOf(objects).filter(({ pod }) =>
    Object.entries(spec.selector).every(([key, value]) => pod.metadata.labels[key] === value),
  );
  assert.deepEqual(
    pods.map(({ pod }) => pod.metadata.labels['app.kubernetes.io/component']).sort(),
    [...SERVICES].sort(),
  );
  assert.equal(endpoints[0].port, spec.ports[0].name);
  assert.deepEqual(endpoints[0].relabelings, [
    { sourceLabels: ['__meta_kubernetes_pod_label_app_kubernetes_io_component'], targetLabel: 'job' },
  ]);
});
