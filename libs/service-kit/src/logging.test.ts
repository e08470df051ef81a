import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLogger } from './logging.js';

function logged(level: string, write: (log: ReturnType<typeof createLogger>) => void): Record<string, unknown>[] {
  const lines: string[] = [];
  const settings = { service: 'gateway', instanceId: 'gateway-1', level, pretty: false };
  write(createLogger(settings, { write: (line) => lines.push(line) }));
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

test('a log line contains service, instance, time and level', () => {
  const [line] = logged('info', (log) => log.warn({ sessions: 2 }, 'full'));
  assert.deepEqual([line?.['service'], line?.['instanceId'], line?.['level']], ['gateway', 'gateway-1', 'warn']);
  assert.deepEqual([line?.['msg'], line?.['sessions']], ['full', 2]);
  assert.ok(Number.isFinite(Date.parse(String(line?.['time']))));
});

test('secrets are not logged', () => {
  const fields = {
    token: 'hunter2',
    config: { password: 'hunter2', apiKey: 'hunter2', natsUrl: 'x' },
    headers: { authorization: 'hunter2' },
  };
  const [line] = logged('info', (log) => log.info(fields, 'config'));
  assert.doesNotMatch(JSON.stringify(line), /hunter2/);
  assert.deepEqual((line?.['config'] as { natsUrl: string } | undefined)?.natsUrl, 'x');
});

test('lines below the level are dropped; errors are logged with stack and cause', () => {
  const cause = new Error('deep');
  const lines = logged('warn', (log) => {
    log.info('no');
    log.error({ err: new Error('shallow', { cause }) }, 'failed');
  });
  assert.equal(lines.length, 1);
  assert.match(JSON.stringify(lines[0]?.['err']), /shallow.*deep/);
});
