import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Holdable, onHold } from './hold.js';

function setUp() {
  const told: string[] = [];
  const target = new EventTarget();
  onHold(target as unknown as Holdable, {
    begin: () => told.push('begin'),
    end: () => told.push('end'),
    cancel: () => told.push('cancel'),
  });
  const press = (type: string, fields: object = {}): void =>
    void target.dispatchEvent(Object.assign(new Event(type, { cancelable: true }), fields));
  return { told, press };
}

test('a button is held by the pointer, and a second pointer or button changes nothing', () => {
  const { told, press } = setUp();
  press('pointerdown', { button: 2 });
  press('pointerdown', { button: 0, pointerId: 1 });
  press('pointerdown', { button: 0, pointerId: 2 });
  press('pointerup');
  press('pointerup');
  press('blur');
  assert.deepEqual(told, ['begin', 'end']);
});

test('a button is held by Space or Enter, whose repetition changes nothing; a button that loses the focus is released', () => {
  const { told, press } = setUp();
  press('keydown', { key: 'a' });
  press('keydown', { key: ' ' });
  press('keydown', { key: ' ', repeat: true });
  press('keyup', { key: ' ' });
  press('keydown', { key: 'Enter' });
  press('blur');
  assert.deepEqual(told, ['begin', 'end', 'begin', 'end']);
});

test('Escape and a pointer that the system takes away cancel', () => {
  const { told, press } = setUp();
  press('keydown', { key: ' ' });
  press('keydown', { key: 'Escape' });
  press('keyup', { key: ' ' });
  press('pointerdown', { button: 0, pointerId: 1 });
  press('pointercancel');
  assert.deepEqual(told, ['begin', 'cancel', 'begin', 'cancel']);
});
