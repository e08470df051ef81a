/** What `npm publish` of the browser SDK would upload, and that a stranger's project can use it. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { installPackage, type PackedPackage, packPackage } from '../support/packed-package.js';

const execute = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), 'talkmesh-client-'));
let packed: PackedPackage;
before(async () => {
  packed = await packPackage('client', folder);
  await installPackage(folder, packed, ['react', '@types/react', 'csstype', '@types/node', 'undici-types']);
});
after(() => rmSync(folder, { recursive: true, force: true }));

interface Manifest {
  readonly exports: Readonly<Record<string, Readonly<Record<'source' | 'types' | 'default', string>>>>;
  readonly dependencies?: object;
  readonly private?: boolean;
}

test('the package has code, types and sources of every export, the licence, and no test', () => {
  const manifest = JSON.parse(readFileSync('libs/client/package.json', 'utf8')) as Manifest;
  assert.equal(manifest.private, undefined);
  assert.deepEqual(manifest.dependencies, {}, 'the SDK has no dependencies');
  for (const [name, entry] of Object.entries(manifest.exports))
    for (const path of Object.values(entry)) assert.ok(packed.files.includes(path.slice(2)), `${name}: ${path}`);
  for (const path of ['LICENSE', 'README.md', 'dist/index.js.map', 'dist/index.d.ts.map'])
    assert.ok(packed.files.includes(path), path);
  const unexpected = packed.files.filter((path) => !/^(dist|src)\/|^(LICENSE|README\.md|package\.json)$/.test(path));
  assert.deepEqual(unexpected, []);
  assert.deepEqual(
    packed.files.filter((path) => /test|testing|scripts/.test(path)),
    [],
  );
  assert.equal(readFileSync('libs/client/LICENSE', 'utf8'), readFileSync('LICENSE', 'utf8'));
});

const CONSUMER = `
import { TalkMeshClient, type Call, type CallStats } from '@talkmesh/client';
import { TalkMeshElement, defineTalkMesh } from '@talkmesh/client/element';
import { TalkMesh, type TalkMeshProps } from '@talkmesh/client/react';
import { tokenHandler } from '@talkmesh/client/server';
import { createElement } from 'react';

defineTalkMesh();
const call: Call = new TalkMeshClient({ baseUrl: '', token: '' }).join();
export const stats: Promise<CallStats> = call.stats();
export const element: TalkMeshElement = document.createElement('talk-mesh');
const props: TalkMeshProps = { tokenUrl: '/token', onState: (state) => state satisfies string };
export const node = createElement(TalkMesh, props);
export const handler = tokenHandler({ baseUrl: '', apiKey: '', session: ({ avatar }) => (avatar ? { avatar } : undefined) });
// @ts-expect-error: the token server must be named
export const wrong: TalkMeshProps = { avatar: 'mia' };
`;

for (const moduleResolution of ['Bundler', 'Node16'] as const)
  test(`a TypeScript project with module resolution ${moduleResolution} gets its types, strictly`, async () => {
    const module = moduleResolution === 'Bundler' ? 'ES2022' : 'Node16';
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
    writeFileSync(join(folder, 'consumer.ts'), CONSUMER);
    const options = { strict: true, noEmit: true, target: 'ES2022', lib: ['ES2022', 'DOM', 'DOM.Iterable'] };
    const config = {
      compilerOptions: { ...options, module, moduleResolution, types: ['node'] },
      files: ['consumer.ts'],
    };
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config));
    const tsc = resolve('node_modules/typescript/bin/tsc');
    await execute(process.execPath, [tsc, '-p', folder]).catch((error: { stdout: string }) =>
      assert.fail(error.stdout),
    );
  });

test('Node imports what runs on a server; a bundler leaves out what a page does not use', async () => {
  const names = async (entry: string): Promise<string[]> => {
    const program = `console.log(Object.keys(await import('${entry}')).join())`;
    const { stdout } = await execute(process.execPath, ['--input-type=module', '-e', program], { cwd: folder });
    return stdout.trim().split(',');
  };
  assert.deepEqual(await names('@talkmesh/client/server'), ['readWebhook', 'tokenHandler']);
  assert.ok((await names('@talkmesh/client')).includes('TalkMeshClient'));
  assert.ok((await names('@talkmesh/client/element')).includes('TalkMeshElement'));
  assert.ok((await names('@talkmesh/client/react')).includes('TalkMesh'));
  const bundled = await build({
    stdin: { contents: `export { TalkMeshError } from '@talkmesh/client'`, resolveDir: folder },
    ...({ bundle: true, format: 'esm', minify: true, write: false } as const),
  });
  assert.doesNotMatch(bundled.outputFiles[0]?.text ?? '', /RTCPeerConnection|talk-mesh/);
});
