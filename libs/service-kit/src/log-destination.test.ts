import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import { test } from 'node:test';
import { LogDestination } from './log-destination.js';
import { createLogger } from './logging.js';

function failing(code: string): never {
  throw Object.assign(new Error(code), { code });
}

for (const code of ['ENOSPC', 'EPIPE', 'EIO', 'EAGAIN'])
  test(`logging goes on after ${code} and says how many lines were lost`, () => {
    let text = '';
    let broken = false;
    const destination = new LogDestination(1, (_fd, bytes) => {
      if (broken) failing(code);
      text += Buffer.from(bytes).toString();
      return bytes.length;
    });
    const log = createLogger({ service: 'gateway', instanceId: 'g', level: 'info', pretty: false }, destination);
    log.info('first');
    broken = true;
    for (let i = 0; i < 3; i++) log.info('lost');
    broken = false;
    log.info('last');
    log.info('more');
    const lines = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { msg: string; lines?: number });
    assert.deepEqual(
      lines.map(({ msg }) => msg),
      ['first', 'log lines could not be written and are lost', 'last', 'more'],
    );
    assert.equal(lines[1]?.lines, 3);
  });

test('a line that was written in part ends before the next one begins', () => {
  let text = '';
  let room = 10;
  const destination = new LogDestination(1, (_fd, bytes) => {
    if (room === 0) failing('ENOSPC');
    const part = bytes.subarray(0, room);
    room -= part.length;
    text += Buffer.from(part).toString();
    return part.length;
  });
  destination.write('{"msg":"a line that is too long"}\n');
  room = 1000;
  destination.write('{"msg":"whole"}\n');
  const [cut, lost, whole] = text.split('\n');
  assert.equal(cut, '{"msg":"a ');
  assert.equal(JSON.parse(lost ?? '').lines, 1);
  assert.equal(whole, '{"msg":"whole"}');
});

test('a full device stops neither the logger nor the process', () => {
  const fd = openSync('/dev/full', 'w');
  const log = createLogger(
    { service: 'gateway', instanceId: 'g', level: 'info', pretty: false },
    new LogDestination(fd),
  );
  for (let i = 0; i < 100; i++) log.info('lost');
  closeSync(fd);
});
