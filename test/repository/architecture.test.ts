/** The structure of the repository: which package may import which, and the page that shows it. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { SERVICES } from '@talkmesh/contracts';
import { globSync } from '../support/glob.js';
import { PAGE, withGeneratedParts } from './architecture.js';
import { LAYERS, packageImports } from './packages.js';

const read = (path: string): string => readFileSync(path, 'utf8');
const layerOf = (folder: string): number => LAYERS.findIndex((folders) => folders.includes(folder));

test('packages import only packages of lower layers, so there is no cycle and services never import services', () => {
  const upwards = packageImports().filter(({ from, to }) => from !== to && layerOf(to) >= layerOf(from));
  assert.deepEqual(upwards, []);
});

test('no relative import leaves its package', () => {
  for (const folder of LAYERS.flat())
    for (const path of globSync([`${folder}/src`], /\.ts$/)) {
      const depth = path.slice(`${folder}/src/`.length).split('/').length;
      for (const [, up] of read(path).matchAll(/from '((?:\.\.\/)+)/g))
        assert.ok((up as string).length / 3 < depth, `${path} imports from outside ${folder}/src`);
    }
});

test('test support imports services only through their testing door', () => {
  for (const path of globSync(['test/support', 'test/integration', 'test/e2e'], /\.ts$/))
    for (const [, target] of read(path).matchAll(/from '([^']*services\/[^']+)'/g))
      assert.match(target as string, /\/testing(\/|\.js$)/, `${path} imports ${target}`);
});

test('every library and service has a README of at most 40 lines that says in which order to read it', () => {
  for (const folder of LAYERS.flat()) {
    const readme = read(`${folder}/README.md`).trimEnd();
    assert.ok(readme.split('\n').length <= 40, `${folder}/README.md is longer than 40 lines`);
    assert.match(readme, /Read in this order/i, `${folder}/README.md`);
  }
});

test('the pure files of every worker are listed in the lint configuration and exist', () => {
  const { overrides } = JSON.parse(read('biome.json')) as {
    overrides: { includes: string[]; linter: { rules: { style: Record<string, unknown> } } }[];
  };
  const pure = overrides.find(({ linter }) => 'noRestrictedImports' in linter.rules.style)?.includes ?? [];
  const files = new Set(globSync(['services', 'libs'], /\.ts$/));
  for (const path of pure) assert.ok(files.has(path), `biome.json lists ${path}, which does not exist`);
  for (const service of SERVICES.filter((name) => name !== 'gateway'))
    assert.ok(
      pure.some((path) => path.startsWith(`services/${service}/src/`)),
      `biome.json lists no pure file of ${service}`,
    );
});

test('docs/architecture.md shows the package graph of today', () => {
  assert.equal(read(PAGE), withGeneratedParts(read(PAGE)), 'run npm run docs');
});
