import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listAudioDevices, meterLevel } from './devices.js';
import { onHoldSpace } from './hold.js';
import { PushToTalk } from './push-to-talk.js';
import { FakeDevices, until } from './testing/fakes.js';

test('requests are sent one after the other, in the order of pressing and releasing', async () => {
  const told: string[] = [];
  let release: (() => void) | undefined;
  const call = {
    startInput: async () => {
      await new Promise<void>((resolve) => {
        release = resolve;
      });
      told.push('start');
      return { started: true };
    },
    commitInput: async () => {
      told.push('commit');
      return { committed: true };
    },
    cancelInput: async () => {
      throw new Error('The line is down.');
    },
  };
  const talking: boolean[] = [];
  const errors: string[] = [];
  const push = new PushToTalk({
    call: () => call,
    onTalking: (is) => talking.push(is),
    onError: ({ message }) => errors.push(message),
  });
  push.end();
  push.begin();
  push.begin();
  push.end();
  await until('the first request', () => release !== undefined);
  release?.();
  await until('both requests', () => told.length === 2);
  assert.deepEqual(told, ['start', 'commit']);
  push.begin();
  push.cancel();
  await until('the start', () => {
    release?.();
    return errors.length === 1;
  });
  assert.deepEqual(errors, ['The line is down.']);
  assert.deepEqual(talking, [true, false, true, false]);
});

test('without a call nothing is held, and the end of a call releases', () => {
  const talking: boolean[] = [];
  let call: object | undefined;
  const push = new PushToTalk({
    call: () => call as never,
    onTalking: (is) => talking.push(is),
    onError: () => assert.fail('nothing was asked'),
  });
  push.begin();
  assert.equal(push.talking, false);
  call = { startInput: () => new Promise(() => undefined) };
  push.begin();
  push.reset();
  push.reset();
  assert.deepEqual(talking, [true, false]);
});

test('the space bar is held wherever the focus is, unless it is a space in a text', () => {
  const told: string[] = [];
  const page = new EventTarget();
  let isTaken = false;
  const actions = { begin: () => told.push('begin'), end: () => told.push('end'), cancel: () => told.push('cancel') };
  onHoldSpace(page, actions, () => isTaken);
  const press = (type: string, key: string, repeat = false): boolean =>
    page.dispatchEvent(Object.assign(new Event(type, { cancelable: true }), { key, repeat }));
  isTaken = true;
  assert.equal(press('keydown', ' '), true, 'the text gets its space');
  press('keyup', ' ');
  isTaken = false;
  assert.equal(press('keydown', ' '), false, 'the page does not scroll');
  assert.equal(press('keydown', ' ', true), false);
  press('keydown', 'a');
  press('keyup', ' ');
  press('keydown', ' ');
  press('keydown', 'Escape');
  press('keyup', ' ');
  press('keydown', ' ');
  page.dispatchEvent(new Event('blur'));
  assert.deepEqual(told, ['begin', 'end', 'begin', 'cancel', 'begin', 'end']);
});

test('devices are listed without the names for the one of the system; a level is linear in decibels', async () => {
  const { microphones, speakers } = await listAudioDevices(new FakeDevices('a', 'b') as unknown as MediaDevices);
  assert.deepEqual(microphones, [
    { id: 'a', label: 'Device 1' },
    { id: 'b', label: 'Device 2' },
  ]);
  assert.deepEqual(speakers, microphones);
  assert.deepEqual([meterLevel(0), meterLevel(1), meterLevel(2)], [0, 1, 1]);
  assert.ok(Math.abs(meterLevel(10 ** (-30 / 20)) - 0.5) < 1e-9, '-30 dB is the middle');
});
