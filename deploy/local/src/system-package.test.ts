import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { missingVoice } from './demo.js';
import { findOrInstall } from './system-package.js';
import { findProgram } from './tools.js';

const folder = mkdtempSync(join(tmpdir(), 'talkmesh-apt-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const write = (name: string, script: string): void => {
  writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`);
  chmodSync(join(folder, name), 0o755);
};
const env = { PATH: `${folder}:/bin:/usr/bin` };
/** Sees only this folder, so that the programs of this machine play no part. */
const here: typeof findProgram = (name) => findProgram(name, { PATH: folder });
const tool = { program: 'some-tool', missing: 'this test needs the program some-tool', elsewhere: 'get it elsewhere' };
const isRoot = process.getuid?.() === 0;

test('a program that is there is used; without apt-get the message says what to do', async () => {
  const said: string[] = [];
  await assert.rejects(
    findOrInstall(tool, env, (line) => said.push(line), here),
    {
      reason: 'TOOL_MISSING',
      message: /needs the program some-tool; get it elsewhere/,
    },
  );
  write('some-tool', 'exit 0');
  assert.equal(await findOrInstall(tool, env, (line) => said.push(line), here), join(folder, 'some-tool'));
  assert.deepEqual(said, []);
  rmSync(join(folder, 'some-tool'));
});

test('a missing program is installed as a package, and said', async () => {
  write(
    'apt-get',
    `echo "$DEBIAN_FRONTEND $@" >> ${folder}/log; [ "$1" = update ] || cp ${folder}/apt-get ${folder}/$4`,
  );
  const said: string[] = [];
  const found = findOrInstall(tool, env, (line) => said.push(line), here);
  if (!isRoot) {
    await assert.rejects(found, { message: /run: sudo apt-get install -y --no-install-recommends some-tool/ });
    return;
  }
  assert.equal(await found, join(folder, 'some-tool'));
  assert.deepEqual(readFileSync(join(folder, 'log'), 'utf8').trim().split('\n'), [
    'noninteractive update',
    'noninteractive install -y --no-install-recommends some-tool',
  ]);
  assert.match(said.join(), /some-tool +installing/);
});

test('the demo installs the voice of typed lines, and goes on without it when it cannot', async () => {
  write('apt-get', 'echo "E: Unable to locate package"; exit 100');
  const failed = await missingVoice(env, () => undefined, here);
  assert.match(failed ?? '', isRoot ? /Unable to locate package[\s\S]*espeak-ng/ : /sudo apt-get install/);
  write('espeak-ng', 'exit 0');
  assert.equal(await missingVoice(env, () => undefined, here), undefined);
});
