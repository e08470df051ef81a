/** Dashboards, rules and runbooks: generated parts are fresh, every query is valid and asks for metrics that exist, every alert fires and stays silent. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parser } from '@prometheus-io/lezer-promql';
import { generatedFiles } from '../../deploy/monitoring/generate.js';
import { type Alert, GROUPS } from '../../deploy/monitoring/rules.js';
import { globSync } from '../support/glob.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { promtool } from './promtool.js';
import { BOARDS, boardQueries, comparedIn, fillIn, ruleQueries } from './queries.js';
import { ruleTests } from './rule-tests.js';

const RULES = 'deploy/helm/talkmesh/files/rules.json';
const alerts = GROUPS.flatMap(({ rules }) => rules.filter((rule): rule is Alert => 'alert' in rule));
const recorded = new Set(
  GROUPS.flatMap(({ rules }) => rules.flatMap((rule) => ('record' in rule ? [rule.record] : []))),
);

/** Names of the metrics in the sources; prom-client adds those that it knows itself. */
function knownMetrics(): Set<string> {
  const sources = globSync(['libs', 'services'], /(?<!\.test)\.ts$/).map((path) => readFileSync(path, 'utf8'));
  const names = sources.flatMap((text) => text.match(/(?<=')talkmesh_[a-z_]+(?=')/g) ?? []);
  const ofHistograms = names
    .filter((name) => /_(seconds|ratio)$/.test(name))
    .flatMap((name) => [`${name}_bucket`, `${name}_count`, `${name}_sum`]);
  const ofNode = ['process_cpu_seconds_total', 'process_resident_memory_bytes', 'nodejs_eventloop_lag_p99_seconds'];
  return new Set([...names, ...ofHistograms, ...ofNode, ...recorded]);
}

test('the files of the chart are those that the code generates', () => {
  for (const [path, text] of generatedFiles())
    assert.equal(readFileSync(path, 'utf8'), text, `${path} is stale: run npm run monitoring`);
});

test('every query is valid PromQL over metrics that exist', () => {
  const known = knownMetrics();
  for (const query of [...boardQueries(), ...ruleQueries()]) {
    const { place } = query;
    const expr = fillIn(query.expr, '1m', '1h');
    parser
      .parse(expr)
      .iterate({ enter: ({ type, from }) => assert.ok(!type.isError, `${place}: ${expr} is wrong at ${from}`) });
    for (const [name] of expr.matchAll(/\b(?:talkmesh|process|nodejs)[a-z_:0-9]*\b/g))
      assert.ok(known.has(name), `${place}: no metric is called ${name}`);
  }
});

test('an alert is split into what it compares', () => {
  assert.deepEqual(comparedIn('a > 14.4 * 0.01\nand b > 2 and sum(c) / d == 0'), ['a', 'b', 'sum(c) / d']);
  assert.deepEqual(comparedIn('time() - (x > bool 1)'), ['time() - (x > bool 1)']);
});

test('every panel says what it shows, and no two dashboards or alerts are mixed up', () => {
  for (const panel of Object.values(BOARDS).flatMap(({ panels }) => panels))
    if (panel.targets !== undefined) assert.ok(panel.description, panel.title);
  const uids = Object.values(BOARDS).map(({ uid }) => uid);
  assert.equal(new Set(uids).size, uids.length);
});

test('every alert has a runbook that says what it means, what to look at and what to do', () => {
  for (const { alert, annotations } of alerts) {
    assert.ok(existsSync(annotations.runbook_url), `${alert}: ${annotations.runbook_url} is missing`);
    const page = readFileSync(annotations.runbook_url, 'utf8');
    assert.ok(page.includes(`\`${alert}\``), `${annotations.runbook_url} does not name ${alert}`);
    for (const part of ['## What callers notice', '## Look at', '## Do'])
      assert.ok(page.includes(part), `${annotations.runbook_url} has no "${part}"`);
  }
});

test('promtool accepts the rules', async () => {
  assert.match(await promtool('check', 'rules', RULES), /SUCCESS/);
});

test('every alert fires in its incident and stays silent in ordinary operation', async () => {
  const tested = ruleTests(join(process.cwd(), RULES));
  for (const { alert } of alerts)
    for (const isFiring of [true, false])
      assert.ok(
        tested.tests.some(({ promql_expr_test }) =>
          promql_expr_test.some(
            ({ expr, exp_samples: [{ value }] }) => expr.includes(`"${alert}"`) && value === Number(isFiring),
          ),
        ),
        `no test in which ${alert} ${isFiring ? 'fires' : 'is silent'}`,
      );
  const file = join(temporaryFolder('rules'), 'tests.json');
  writeFileSync(file, JSON.stringify(tested));
  assert.match(await promtool('test', 'rules', file), /SUCCESS/);
});
