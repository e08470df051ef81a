/** The training code still runs: its unit tests and the smoke mode of every stage, with the distribution's PyTorch. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test } from 'node:test';

const ENVIRONMENT = { OPENBLAS_NUM_THREADS: '1', OMP_NUM_THREADS: '1', PYTHONDONTWRITEBYTECODE: '1' };

test('training: unit tests and smoke runs', { timeout: 600_000 }, async ({ signal }) => {
  const args = ['-m', 'unittest', 'discover', '-s', 'tests'];
  const python = spawn('/usr/bin/python3', args, { cwd: 'training', env: { ...process.env, ...ENVIRONMENT }, signal });
  let output = '';
  for (const stream of [python.stdout, python.stderr])
    stream.on('data', (text) => {
      output += String(text);
    });
  const code = await new Promise((resolve) => python.once('close', resolve));
  assert.equal(code, 0, output.slice(-6000));
  assert.match(output, /^Ran [1-9]\d* tests/m);
});
