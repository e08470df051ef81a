import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { before, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { ServiceName } from '@talkmesh/contracts';
import { ServiceProcess, startNatsServer } from '@talkmesh/service-kit/testing';
import { buildPackages } from '../../deploy/local/src/build.js';

const PACKAGES = ['libs', 'services'].flatMap((root) => readdirSync(root).map((name) => `${root}/${name}`));

interface Manifest {
  readonly exports?: Readonly<Record<string, { readonly source: string; readonly default: string }>>;
  readonly dependencies: Readonly<Record<string, string>>;
  /** What the program that uses the package brings along, such as React. */
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

const OF_TESTS = /(^|\/)(testing|test-fixtures)\/|\.test\.js$/;
const manifestOf = (folder: string): Manifest => JSON.parse(readFileSync(`${folder}/package.json`, 'utf8')) as Manifest;
const compiledFiles = (folder: string): string[] =>
  readdirSync(`${folder}/dist`, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.js') && !path.startsWith('page/') && !OF_TESTS.test(path))
    .map((path) => `${folder}/dist/${path}`);
/** Static and dynamic imports. */
const importsOf = (file: string): string[] =>
  [...readFileSync(file, 'utf8').matchAll(/(?:^|\s)(?:from|import) "([^"]+)"|\bimport\("([^"]+)"\)/gm)]
    .map((match) => (match[1] ?? match[2]) as string)
    .filter((name) => !name.startsWith('node:'));
const packageOf = (name: string): string =>
  name
    .split('/')
    .slice(0, name.startsWith('@') ? 2 : 1)
    .join('/');
const packagesImportedBy = (file: string): string[] =>
  importsOf(file)
    .filter((name) => !name.startsWith('.'))
    .map(packageOf);

/** Packages of the registry that are loaded with a compiled file, through our own packages too. */
function loadedWith(file: string, seen = new Set<string>()): string[] {
  if (seen.has(file)) return [];
  seen.add(file);
  return importsOf(file).flatMap((name) => {
    if (name.startsWith('.')) return loadedWith(join(dirname(file), name), seen);
    if (!name.startsWith('@talkmesh/')) return [packageOf(name)];
    const own = packageOf(name);
    const folder = own.replace('@talkmesh', 'libs');
    const entry = manifestOf(folder).exports?.[name.replace(own, '.')]?.default;
    assert.ok(entry !== undefined, `${file} imports ${name}, which is not exported`);
    return loadedWith(join(folder, entry), seen);
  });
}

before(async () => {
  assert.ok((await buildPackages()).files > 100);
});

test('a build leaves the temporary files of one that runs beside it, and removes abandoned ones', async () => {
  const [inUse, abandoned] = ['libs/contracts/dist/ids.js.1.tmp', 'libs/contracts/dist/ids.js.2.tmp'];
  for (const path of [inUse, abandoned]) writeFileSync(path, '');
  const anHourAgo = Date.now() / 1000 - 3600;
  utimesSync(abandoned, anHourAgo, anHourAgo);
  await buildPackages();
  assert.deepEqual([existsSync(inUse), existsSync(abandoned)], [true, false]);
  rmSync(inUse);
});

test('every entry that a package exports is compiled', () => {
  for (const folder of PACKAGES)
    for (const [name, entry] of Object.entries(manifestOf(folder).exports ?? {})) {
      assert.ok(existsSync(join(folder, entry.source)), `${folder} ${name} has no source`);
      if (name !== './testing') assert.ok(existsSync(join(folder, entry.default)), `${folder} ${name}`);
    }
});

test('compiled code imports only packages that a production install has', () => {
  let seen = 0;
  for (const folder of PACKAGES) {
    const manifest = manifestOf(folder);
    const dependencies = { ...manifest.dependencies, ...manifest.peerDependencies };
    for (const file of compiledFiles(folder))
      for (const name of packagesImportedBy(file)) {
        seen++;
        assert.ok(name in dependencies, `${file} imports ${name}, which is no dependency of ${folder}`);
      }
  }
  assert.ok(seen > 100, 'the imports were found');
});

test('child processes that play media load no gRPC, NATS or metrics: they start in a third of the time', () => {
  for (const service of ['audio-ingest', 'webrtc-egress'])
    for (const [child, media] of [
      ['main', '@roamhq/wrtc'],
      ['room-main', '@livekit/rtc-node'],
    ] as const) {
      const loaded = new Set(loadedWith(`services/${service}/dist/child/${child}.js`));
      loaded.delete('zod');
      assert.deepEqual([...loaded], [media], `${service} ${child}`);
    }
});

test('compiled code has source maps', () => {
  for (const folder of PACKAGES) for (const file of compiledFiles(folder)) assert.ok(existsSync(`${file}.map`), file);
});

test('tests are compiled when they are asked for, of packages that are not published', async () => {
  const [ofContracts, ofClient] = ['libs/contracts/dist/ledger.test.js', 'libs/client/dist/hold.test.js'];
  for (const path of [ofContracts, ofClient]) rmSync(path, { force: true });
  await buildPackages();
  assert.deepEqual([existsSync(ofContracts), existsSync(ofClient)], [false, false]);
  await buildPackages({ tests: true });
  assert.deepEqual([existsSync(ofContracts), existsSync(ofClient)], [true, false]);
});

const mainOf = (service: ServiceName): URL => pathToFileURL(`services/${service}/dist/main.js`);

test('compiled services run their threads and child processes without TypeScript', async () => {
  await using nats = await startNatsServer();
  const env = { TALKMESH_NATS_URL: nats.url, TALKMESH_MODEL: 'models/nano', TALKMESH_DRAIN_DEADLINE_MS: '0' };
  // audio-ingest has a WebRTC child and an inference thread, score-model the threads of its ranks.
  await using ingest = await ServiceProcess.start(mainOf('audio-ingest'), env);
  await using score = await ServiceProcess.start(mainOf('score-model'), { ...env, TALKMESH_SEQUENCE_RANKS: '2' });
  const children = await readFile(`/proc/${ingest.pid}/task/${ingest.pid}/children`, 'utf8');
  const commands = await Promise.all(
    [ingest.pid, score.pid, ...children.trim().split(' ').map(Number)].map((pid) =>
      readFile(`/proc/${pid}/cmdline`, 'utf8'),
    ),
  );
  assert.equal(commands.length, 3, 'audio-ingest has one child');
  for (const command of commands) assert.match(command.replaceAll('\0', ' '), /dist\/\S+\.js $/);
  assert.doesNotMatch(commands.join(), /tsx|--conditions/);
});

test('the compiled gateway serves the page that the build bundled', async () => {
  await using nats = await startNatsServer();
  await using gateway = await ServiceProcess.start(mainOf('gateway'), {
    TALKMESH_NATS_URL: nats.url,
    TALKMESH_MODEL: 'models/nano',
    TALKMESH_API_KEYS: 'a-key-of-this-test-only',
    TALKMESH_TOKEN_SECRET: 'a secret of this test only, long enough',
    TALKMESH_HTTP_PORT: '0',
  });
  const ready = gateway.log.split('\n').find((line) => line.includes('"msg":"ready"')) as string;
  const { httpAddress } = JSON.parse(ready) as { httpAddress: string };
  const read = async (path: string): Promise<string> => (await fetch(`${httpAddress}${path}`)).text();
  assert.equal(await read('/page.js'), readFileSync('services/gateway/dist/page/page.js', 'utf8'));
  assert.equal(await read('/talk-mesh.js'), readFileSync('services/gateway/dist/page/talk-mesh.js', 'utf8'));
  assert.match(await read('/'), /<html/);
  assert.match(await read('/page.css'), /\{/);
});
