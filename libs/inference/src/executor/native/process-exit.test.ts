import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

const SOURCE = `
import koffi from 'koffi';
import { skipNativeDestructors } from ${JSON.stringify(new URL('./process-exit.js', import.meta.url).href)};
const libc = koffi.load('libc.so.6');
libc.func('int on_exit(void *handler, void *argument)')(libc.symbol('abort', 'void'), null);
if (process.argv[1] === 'skip') skipNativeDestructors();
process.on('exit', () => console.log('exit handlers ran'));
process.exitCode = 5;
`;

function end(how: 'skip' | 'default') {
  const flags = ['--import', 'tsx', '--conditions=source', '--input-type=module', '-e', SOURCE, how];
  const { status, signal, stdout } = spawnSync(process.execPath, flags, { encoding: 'utf8' });
  return { status, signal, stdout: stdout.trim() };
}

test('a handler of a native library that would crash at the end is not run; exit handlers and the exit code stay', () => {
  assert.deepEqual(end('default'), { status: null, signal: 'SIGABRT', stdout: 'exit handlers ran' });
  assert.deepEqual(end('skip'), { status: 5, signal: null, stdout: 'exit handlers ran' });
});
