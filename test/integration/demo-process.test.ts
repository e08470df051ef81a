/** `talkmesh demo` as a process: it prints a link that works, and Ctrl-C leaves nothing behind. */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { until } from '@talkmesh/service-kit/testing';
import { talkmesh } from '../support/cli.js';

/** Processes whose environment says that they belong to this demo. */
function processesOf(mark: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/environ`, 'utf8').includes(mark);
    } catch {
      return false;
    }
  });
}

for (const [signal, how] of [
  ['SIGINT', 'Ctrl-C'],
  ['SIGTERM', 'SIGTERM'],
  ['SIGKILL', 'its own sudden death'],
] as const)
  test(`${how} of the demo leaves no process behind`, { timeout: 120_000 }, async () => {
    const mark = `TALKMESH_TEST_MARK=${signal}-${process.pid}`;
    const [name, value] = mark.split('=') as [string, string];
    let pid = 0;
    let printed = '';
    const running = talkmesh(['demo'], {
      env: { [name]: value, TALKMESH_HTTP_PORT: '0' },
      onStart: (started) => {
        pid = started;
      },
      onOutput: (text) => {
        printed += text;
      },
    });
    await until('the link', () => /http:\/\/127\.0\.0\.1:\d+\/#key=\w+/.test(printed), 90_000);
    assert.ok(processesOf(mark).length >= 8, 'demo, nats-server and six services run');
    const [, url] = /(http:\/\/127\.0\.0\.1:\d+\/)#key=/.exec(printed) ?? [];
    assert.match(await (await fetch(url ?? '')).text(), /<html/i);
    process.kill(pid, signal);
    const result = await running;
    if (signal !== 'SIGKILL') assert.equal(result.code, 0, result.stderr);
    await until('no process left', () => processesOf(mark).length === 0, 20_000);
  });
