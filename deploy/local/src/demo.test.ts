/** Runs `talkmesh demo` as a user does: the link works, and no process is left however the demo ends. */

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { until } from '@talkmesh/service-kit/testing';
import { isRunning } from './testing.js';

const TALKMESH = fileURLToPath(new URL('../bin/talkmesh.mjs', import.meta.url));
const START_BUDGET_MS = 120_000;

interface Demo {
  readonly process: ChildProcess;
  readonly said: () => string;
}

function startDemo(): Demo {
  const child = spawn(process.execPath, [TALKMESH, 'demo', '--port', '0'], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const pipe of [child.stdout, child.stderr])
    pipe.on('data', (part: Buffer) => {
      output += part.toString();
    });
  return { process: child, said: () => output };
}

/** All descendants of a process, read from /proc. */
function descendants(pid: number): number[] {
  const parentOf = new Map<number, number>();
  for (const entry of readdirSync('/proc').filter((name) => /^\d+$/.test(name)))
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'utf8');
      parentOf.set(Number(entry), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
    } catch {
      // The process exited between the listing and the reading.
    }
  const below = [pid];
  for (const parent of below) for (const [child, of] of parentOf) if (of === parent) below.push(child);
  return below.slice(1);
}

async function ready(demo: Demo): Promise<number[]> {
  await until('the link', () => demo.said().includes('#key=') || demo.process.exitCode !== null, START_BUDGET_MS);
  assert.match(demo.said(), /#key=/, demo.said());
  const pids = descendants(demo.process.pid ?? 0);
  assert.ok(pids.length >= 9, `the program, NATS and its watchdog, six services: ${pids.length} processes`);
  return pids;
}

test('the demo reports its progress and serves its page, and Ctrl-C ends all processes', {
  timeout: 240_000,
}, async () => {
  const demo = startDemo();
  try {
    const pids = await ready(demo);
    const said = demo.said();
    for (const name of [
      'nats-server',
      'gateway',
      'audio-ingest',
      'audio-llm-bridge',
      'score-model',
      'vae-decode',
      'webrtc-egress',
    ])
      assert.match(said, new RegExp(`${name}\\s+ready\\s+\\d+\\.\\d s`));
    const [, url, key] = /(http:\/\/\S+)\/#key=(\S+)/.exec(said) ?? [];
    const page = await fetch(`${url}/`);
    assert.equal(page.status, 200);
    const headers = { authorization: `Bearer ${key}` };
    assert.equal((await fetch(`${url}/v1/avatars`, { headers })).status, 200);
    demo.process.kill('SIGINT');
    const [code] = (await once(demo.process, 'exit')) as [number | null];
    assert.equal(code, 0, demo.said());
    assert.match(demo.said(), /Stopped\./);
    await until('every process gone', () => !pids.some(isRunning));
  } finally {
    demo.process.kill('SIGKILL');
  }
});

test('a demo that is killed while it runs or interrupted while it starts leaves no process behind', {
  timeout: 240_000,
}, async () => {
  const running = startDemo();
  const pids = await ready(running);
  running.process.kill('SIGKILL');
  await until('every process gone', () => !pids.some(isRunning), 40_000);

  const starting = startDemo();
  await until('it begins', () => /nats-server\s+ready/.test(starting.said()), START_BUDGET_MS);
  const early = descendants(starting.process.pid ?? 0);
  assert.ok(early.length > 2);
  starting.process.kill('SIGINT');
  const [code] = (await once(starting.process, 'exit')) as [number | null];
  assert.equal(code, 0, starting.said());
  await until('every process gone', () => !early.some(isRunning));
});
