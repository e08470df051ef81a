import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ConversationOffer } from '@talkmesh/client';
import {
  DEFAULTS,
  forgetSettings,
  keepSettings,
  loadSettings,
  sessionChoices,
  sizeOf,
  talkingProviders,
} from './settings.js';

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
  size: {
    default: 256,
    choices: [256, 512].map((size) => ({ size, width: size, height: size, cost: size / 256 })),
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
  const chosen = {
    ...DEFAULTS,
    voice: 'nova',
    input: 'push-to-talk',
    quality: 'best',
    size: 512,
    captions: false,
  } as const;
  keepSettings(storage, chosen);
  assert.deepEqual(loadSettings(storage), chosen);
  forgetSettings(storage);
  assert.deepEqual(loadSettings(storage), DEFAULTS);
  for (const damaged of [
    '{',
    'null',
    '7',
    '{"provider":{},"input":"telepathy","voice":5,"language":"no such!","quality":"superb","size":"512"}',
    `{"voice":"${'x'.repeat(501)}"}`,
  ])
    assert.deepEqual(loadSettings(memory(damaged)), DEFAULTS, damaged);
});

test('a call asks for what was chosen, and for nothing that the deployment does not offer', () => {
  const chosen = { ...DEFAULTS, provider: 'cascade', voice: 'nova', language: 'de', input: 'push-to-talk' } as const;
  assert.deepEqual(sessionChoices(chosen, OFFER, 0), {
    provider: 'cascade',
    voice: 'nova',
    language: 'de',
    input: 'push-to-talk',
  });
  assert.deepEqual(sessionChoices(DEFAULTS, OFFER, 0), {});
  assert.deepEqual(sessionChoices(chosen, undefined, 0), {});
  assert.deepEqual(sessionChoices(chosen, { ...OFFER, choices: [] }, 0), {
    provider: 'cascade',
    input: 'push-to-talk',
  });
  assert.deepEqual(sessionChoices({ ...chosen, voice: 'gone' }, OFFER, 0).voice, undefined, 'the list is all there is');
  assert.equal(
    sessionChoices({ ...chosen, provider: 'gone', voice: 'en-gb' }, OFFER, 0).voice,
    'en-gb',
    'more voices exist',
  );
  assert.deepEqual(sessionChoices({ ...DEFAULTS, provider: 'gone' }, OFFER, 0), {});
  assert.deepEqual(sessionChoices({ ...DEFAULTS, quality: 'best' }, OFFER, 0), { quality: 'best' });
  const { quality: _, ...older } = OFFER;
  assert.deepEqual(sessionChoices({ ...DEFAULTS, quality: 'best' }, older, 0), {}, 'a gateway of an older version');
  for (const quality of ['balanced', 'fast'] as const)
    assert.deepEqual(sessionChoices({ ...DEFAULTS, quality }, OFFER, 0), {}, `${quality}: the default, or not there`);
  assert.deepEqual(
    talkingProviders(OFFER).map(({ name }) => name),
    ['parrot', 'cascade'],
  );
});

test('the picture is as large as it is shown, or as chosen, and never of a size that the deployment does not offer', () => {
  const shownAt = (pixels: number, size = 0): number | undefined => sizeOf({ ...DEFAULTS, size }, OFFER, pixels);
  assert.deepEqual(
    [0, 200, 340, 400, 600, 2000].map((pixels) => shownAt(pixels)),
    [256, 256, 256, 512, 512, 512],
  );
  assert.deepEqual([shownAt(2000, 256), shownAt(200, 512), shownAt(2000, 1024)], [256, 512, 512]);
  assert.deepEqual(sessionChoices(DEFAULTS, OFFER, 600), { size: 512 });
  assert.deepEqual(sessionChoices(DEFAULTS, OFFER, 200), {}, 'the default');
  const only = { default: 256, choices: OFFER.size?.choices.slice(0, 1) ?? [] };
  assert.deepEqual(sessionChoices({ ...DEFAULTS, size: 512 }, { ...OFFER, size: only }, 600), {});
  const { size: _, ...older } = OFFER;
  assert.deepEqual(sessionChoices({ ...DEFAULTS, size: 512 }, older, 600), {}, 'a gateway of an older version');
});
