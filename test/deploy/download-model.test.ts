/** The script with which a pod downloads its model (model.source: download). */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { temporaryFolder } from '../support/temporary-folder.js';
import { CHART } from './chart.js';

const folder = temporaryFolder('download');
const sha256Of = (bytes: string | Buffer): string => createHash('sha256').update(bytes).digest('hex');
const weights = Buffer.alloc(200_000, 7);
const manifestOf = (path: string, sha256 = sha256Of(weights)): string =>
  JSON.stringify({ name: 'nano', version: '1', files: [{ path, bytes: weights.length, sha256 }] });

const files = new Map<string, string | Buffer>();
let requests: string[] = [];
const server = createServer((request, response) => {
  requests.push(request.url ?? '');
  const content = files.get(request.url ?? '');
  response.writeHead(content === undefined ? 404 : 200).end(content);
}).listen(0, '127.0.0.1');
await once(server, 'listening');
after(() => server.close());
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/nano/`;

function download(manifest: string, target: string): Promise<{ code: number; output: string }> {
  files.set('/nano/model.json', manifest);
  requests = [];
  const args = [`${CHART}/files/download-model.mjs`, url, sha256Of(manifest), join(folder, target)];
  return new Promise((resolve) => {
    execFile(process.execPath, args, (error, stdout, stderr) =>
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, output: stdout + stderr }),
    );
  });
}

test('all files arrive; a second start downloads nothing again', async () => {
  files.set('/nano/parts/weights.bin', weights);
  const manifest = manifestOf('parts/weights.bin');
  const first = await download(manifest, 'good');
  assert.deepEqual(first, { code: 0, output: 'nano@1: 1 files are complete\n' });
  assert.deepEqual(readFileSync(join(folder, 'good/parts/weights.bin')), weights);
  assert.deepEqual(requests, ['/nano/model.json', '/nano/parts/weights.bin']);
  assert.equal((await download(manifest, 'good')).code, 0);
  assert.deepEqual(requests, []);
});

test('a changed, a missing and a misplaced file are refused and not kept', async () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    [manifestOf('parts/weights.bin', sha256Of('other')), /has the SHA-256 \w+ instead of/],
    [manifestOf('parts/none.bin'), /answers 404: set model\.url/],
    [manifestOf('../outside.bin'), /not a path inside the model folder/],
    [manifestOf('/etc/outside.bin'), /not a path inside the model folder/],
  ];
  for (const [manifest, message] of cases) {
    const { code, output } = await download(manifest, 'bad');
    assert.equal(code, 1, output);
    assert.match(output, message);
    assert.ok(!existsSync(join(folder, 'bad/parts/weights.bin')));
    assert.ok(!existsSync(join(folder, 'outside.bin')));
  }
});
