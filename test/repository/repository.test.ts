import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { SERVICES } from '@talkmesh/contracts';
import { globSync } from '../support/glob.js';

const execute = promisify(execFile);
const read = (path: string): string => readFileSync(path, 'utf8');
const CODE = /\.(ts|mjs)$/;
const codeFiles = (): string[] =>
  globSync(['libs', 'services', 'deploy', 'test'], CODE).filter((path) => !path.includes('/gen/'));

/** Runs a tool of node_modules; its output becomes the failure message. */
async function passes(...[file, ...args]: string[]): Promise<void> {
  try {
    await execute(process.execPath, [file as string, ...args], { maxBuffer: 16 * 1024 * 1024 });
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    assert.fail(`${stdout}\n${stderr}`.slice(0, 8000));
  }
}

test('format and lint', () => passes('node_modules/@biomejs/biome/bin/biome', 'ci', '.'));
test('types', () => passes('node_modules/typescript/bin/tsc', '--noEmit'));
test('generated types match the protos', () =>
  passes('--import', 'tsx', '--conditions=source', 'libs/contracts/scripts/generate.ts', '--check'));

test('no file has grown past 400 lines', () => {
  const long = codeFiles().filter((path) => read(path).split('\n').length > 401);
  assert.deepEqual(long, []);
});

test('private members are written with #', () => {
  const written = codeFiles().filter((path) => /^\s+private (?!constructor)/m.test(read(path)));
  assert.deepEqual(written, []);
});

test('every service folder reads in data order', () => {
  for (const service of SERVICES) {
    const files = globSync([`services/${service}/src`], /\.ts$/).map((path) => path.split('/').slice(3).join('/'));
    const expected = ['main.ts', 'config.ts', 'service.ts'];
    if (service !== 'gateway') expected.push('inbound.ts', 'outbound.ts', 'control.ts');
    for (const name of expected) assert.ok(files.includes(name), `services/${service}/src/${name}`);
    assert.ok(read(`services/${service}/src/main.ts`).trimEnd().split('\n').length <= 15, `${service} main.ts`);
    assert.ok(read(`services/${service}/README.md`).trimEnd().split('\n').length <= 40, `${service} README.md`);
  }
});

test('services import no service, libs import no service', () => {
  for (const path of codeFiles().filter((file) => /^(libs|services)\//.test(file))) {
    const names = SERVICES.map((service) => `@talkmesh/${service}`);
    const imports = [...read(path).matchAll(/from '([^']+)'/g)].map((match) => match[1] as string);
    for (const name of imports) {
      assert.ok(!names.includes(name), `${path} imports ${name}`);
      assert.ok(!/\.\.\/(\.\.\/)+(services|libs)\//.test(name), `${path} reaches into ${name}`);
    }
  }
});

test('only one package touches each native library and the raw bus', () => {
  const owners: Record<string, RegExp> = {
    'onnxruntime-node': /^libs\/inference\//,
    '@roamhq/wrtc': /^libs\/webrtc\/|^services\/(audio-ingest|webrtc-egress)\/src\/child\//,
    '@livekit/rtc-node': /^libs\/(webrtc|livekit)\/|^services\/(audio-ingest|webrtc-egress)\/src\/child\/|^test\//,
    '@nats-io/transport-node': /^libs\/service-kit\/|^test\//,
  };
  for (const path of codeFiles())
    for (const [library, owner] of Object.entries(owners))
      if (read(path).includes(`from '${library}'`)) assert.match(path, owner, `${path} imports ${library}`);
});

test('the lockfile names no download address, the code no path of a developer machine', () => {
  assert.doesNotMatch(read('package-lock.json'), /"resolved": "http/);
  const self = 'test/repository/repository.test.ts';
  const files = [...codeFiles(), ...globSync(['libs/contracts/src/gen'], CODE)];
  for (const path of files.filter((file) => file !== self))
    assert.doesNotMatch(read(path), /\/(home|work|Users)\/\w/, path);
});
