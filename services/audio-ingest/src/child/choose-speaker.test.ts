import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Candidate, chooseSpeaker } from './choose-speaker.js';

const ANY = { identity: '', attributes: {}, avatar: 'mia' };
const person = (identity: string, joinedAtMs: number, more: Partial<Candidate> = {}): Candidate => ({
  ...{ identity, joinedAtMs, isAgent: false, attributes: {}, hasMicrophone: true },
  ...more,
});

test('without a rule it is the first that has a microphone and is no agent, whatever the order of the list', () => {
  const late = person('late', 30);
  const early = person('early', 20);
  const others = [
    person('watcher', 1, { hasMicrophone: false }),
    person('agent', 2, { isAgent: true }),
    person('mia', 3),
  ];
  assert.equal(chooseSpeaker(ANY, [late, ...others, early], undefined), 'early');
  assert.equal(chooseSpeaker(ANY, [early, late, ...others], undefined), 'early');
  assert.equal(chooseSpeaker(ANY, others, undefined), undefined);
  assert.equal(chooseSpeaker(ANY, [person('b', 5), person('a', 5)], undefined), 'a');
});

test('the one who is heard stays until it leaves, also without a microphone for a while', () => {
  const first = person('first', 10);
  const second = person('second', 20);
  assert.equal(chooseSpeaker(ANY, [first, second], 'second'), 'second');
  assert.equal(chooseSpeaker(ANY, [first, { ...second, hasMicrophone: false }], 'second'), 'second');
  assert.equal(chooseSpeaker(ANY, [first], 'second'), 'first');
});

test('a named participant is heard and no other, also an agent; the avatar never is', () => {
  const rule = { ...ANY, identity: 'caller' };
  assert.equal(chooseSpeaker(rule, [person('other', 1)], undefined), undefined);
  assert.equal(chooseSpeaker(rule, [person('other', 1), person('caller', 2, { isAgent: true })], undefined), 'caller');
  assert.equal(chooseSpeaker({ ...ANY, identity: 'mia' }, [person('mia', 1)], undefined), undefined);
});

test('attributes decide, and may change: who loses them is heard no longer', () => {
  const rule = { ...ANY, attributes: { floor: 'yes' } };
  const has = (identity: string, at: number) => person(identity, at, { attributes: { floor: 'yes', name: identity } });
  assert.equal(chooseSpeaker(rule, [person('a', 1), has('b', 2)], undefined), 'b');
  assert.equal(chooseSpeaker(rule, [has('a', 1), person('b', 2)], 'b'), 'a');
  assert.equal(chooseSpeaker(rule, [person('a', 1, { attributes: { floor: 'no' } })], 'a'), undefined);
});
