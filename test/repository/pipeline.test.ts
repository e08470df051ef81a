/** pipeline.ts against the code: each service publishes and subscribes to what the table says and nothing else. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { PIPELINE, SERVICES, type ServiceName } from '@talkmesh/contracts';
import { globSync } from '../support/glob.js';

/** Code that runs in production: no tests, nothing that only tests use. */
const sourcesOf = (service: ServiceName): string[] =>
  globSync([`services/${service}/src`], /(?<!\.test)\.ts$/).filter((path) => !/\/testing(\/|\.ts$)/.test(path));

interface Used {
  readonly publishes: Set<string>;
  readonly subscribes: Set<string>;
  readonly readsBack: Set<string>;
  readonly follows: Set<string>;
}

/** Streams a service's source names in calls of the bus. The bus has no other door: it takes literal stream names only. */
function streamsUsed(service: ServiceName): Used {
  const files = sourcesOf(service);
  const source = files.map((path) => readFileSync(path, 'utf8')).join('\n');
  const calls = (pattern: RegExp): string[] => [...source.matchAll(pattern)].map((match) => match[1] as string);
  const publishes = new Set(calls(/\bbus\.publish\(\s*'(\w+)'/g));
  const subscribes = new Set(calls(/\bbus\.subscribe(?:All)?\(\s*'(\w+)'/g));
  if (/\bbus\.publishEvent\(/.test(source)) publishes.add('event');
  if (/\bbus\.subscribeEvents\(/.test(source)) subscribes.add('event');
  const readsBack = new Set(calls(/\bbus\s*\.readBack\(\s*'(\w+)'/g));
  const follows = new Set(calls(/\bbus\s*\.follow\(\s*'(\w+)'/g));
  const calledIndirectly = /\bbus\.(publish|subscribe|subscribeAll|readBack|follow)\(\s*[^'\s]/.exec(source);
  assert.equal(
    calledIndirectly,
    null,
    `${service} calls the bus with a stream that is not a literal: ${calledIndirectly?.[0]}`,
  );
  return { publishes, subscribes, readsBack, follows };
}

for (const service of SERVICES)
  test(`${service} uses the streams of the pipeline table and no other`, () => {
    const used = streamsUsed(service);
    assert.deepEqual([...used.publishes].sort(), [...PIPELINE[service].publishes].sort(), 'publishes');
    assert.deepEqual([...used.subscribes].sort(), [...PIPELINE[service].subscribes].sort(), 'subscribes');
    assert.deepEqual([...used.readsBack].sort(), [...PIPELINE[service].readsBack].sort(), 'readsBack');
    assert.deepEqual([...used.follows].sort(), [...PIPELINE[service].follows].sort(), 'follows');
  });

test('every gRPC service of the table is registered by its owner', () => {
  for (const service of SERVICES) {
    const source = sourcesOf(service)
      .map((path) => readFileSync(path, 'utf8'))
      .join('\n');
    const own = PIPELINE[service].serves.filter((name) => name !== 'StageService');
    for (const name of own) assert.match(source, new RegExp(`\\bv1\\.${name}\\.service`), `${service} serves ${name}`);
    if (PIPELINE[service].serves.includes('StageService')) assert.match(source, /\bworker\b/, `${service} is a worker`);
  }
});
