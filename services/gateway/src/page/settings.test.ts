import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ConversationOffer } from '@talkmesh/client';
import { DEFAULTS, forgetSettings, keepSettings, loadSettings, sessionChoices, talkingProviders } from './settings.js';

const both = ['voice-activity', 'push-to-talk'] as const;
const OFFER: ConversationOffer = {
  default: 'parrot',
  providers: [
    { name: 'parrot', input: both, voices: ['en-us'], onlyTheseVoices: false },
    { name: 'external', input: [], voices: [], onlyTheseVoices: false },
    { name: 'cascade', input: both, voices: ['nova'], onlyTheseVoices: true },
  ],
  choices: ['voice', 'language'],
  quality: {
    default: 'balanced',
    choices: [
      { name: 'balanced', size: '3x2', cost: 1 },
      { name: 'best', size: '3x4', cost: 1.5 },
    ],
  },
};

function memory(stored?: string) {
  const values = new Map<string, string>(stored === undefined ? [] : [['talkmesh.settings', stored]]);
  return {
    getItem: (name: string) => values.get(name) ?? null,
    setItem: (name: string, value: string) => void values.set(name, value),
    removeItem: (name: string) => void values.delete(name),
  };
}

test('settings are kept in the browser, forgotten, and read past whatever else is stored there', () => {
  const storage = memory();
  assert.deepEqual(loadSettings(storage), DEFAULTS);
  const chosen = { ...DEFAULTS, voice: 'nova', input: 'push-to-talk', quality: 'best', captions: false } as const;
  keepSettings(storage, chosen);
  assert.deepEqual(loadSettings(storage), chosen);
  forgetSettings(storage);
  assert.deepEqual(loadSettings(storage), DEFAULTS);
  for (const damaged of [
    '{',
    'null',
    '7',
    '{"provider":{},"input":"telepathy","voice":5,"language":"no such!","quality":"superb"}',
    `{"voice":"${'x'.repeat(501)}"}`,
  ])
    assert.deepEqual(loadSettings(memory(damaged)), DEFAULTS, damaged);
});

test('a call asks for what was chosen, and for nothing that the deployment does not offer', () => {
  const chosen = { ...DEFAULTS, provider: 'cascade', voice: 'nova', language: 'de', input: 'push-to-talk' } as const;
  assert.deepEqual(sessionChoices(chosen, OFFER), {
    provider: 'cascade',
    voice: 'nova',
    language: 'de',
    input: 'push-to-talk',
  });
  assert.deepEqual(sessionChoices(DEFAULTS, OFFER), {});
  assert.deepEqual(sessionChoices(chosen, undefined), {});
  assert.deepEqual(sessionChoices(chosen, { ...OFFER, choices: [] }), { provider: 'cascade', input: 'push-to-talk' });
  assert.deepEqual(sessionChoices({ ...chosen, voice: 'gone' }, OFFER).voice, undefined, 'the list is all there is');
  assert.equal(
    sessionChoices({ ...chosen, provider: 'gone', voice: 'en-gb' }, OFFER).voice,
    'en-gb',
    'more voices exist',
  );
  assert.deepEqual(sessionChoices({ ...DEFAULTS, provider: 'gone' }, OFFER), {});
  assert.deepEqual(sessionChoices({ ...DEFAULTS, quality: 'best' }, OFFER), { quality: 'best' });
  const { quality: _, ...older } = OFFER;
  assert.deepEqual(sessionChoices({ ...DEFAULTS, quality: 'best' }, older), {}, 'a gateway of an older version');
  for (const quality of ['balanced', 'fast'] as const)
    assert.deepEqual(sessionChoices({ ...DEFAULTS, quality }, OFFER), {}, `${quality}: the default, or not there`);
  assert.deepEqual(
    talkingProviders(OFFER).map(({ name }) => name),
    ['parrot', 'cascade'],
  );
});
