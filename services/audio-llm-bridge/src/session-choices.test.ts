import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MeshError } from '@talkmesh/contracts';
import { offerOf } from './offer.js';
import { sessionChoicesOf } from './session-choices.js';

const CONFIG = { sessionChoices: ['instructions', 'voice', 'language', 'tools'], instructions: 'Be kind.' } as const;
const bridge = {
  ...{ provider: 'openai-realtime', voice: '', instructions: '', language: '', tools: [] },
  ...{ providerKey: '', ownKey: false, input: '' },
};
type Config = Parameters<typeof sessionChoicesOf>[1];
const choose = (
  change: object,
  config: Config = { ...CONFIG, sessionChoices: [...CONFIG.sessionChoices], voices: [] },
) => sessionChoicesOf({ ...bridge, ...change }, config);

function reasonOf(attempt: () => unknown): string {
  try {
    attempt();
  } catch (error) {
    assert.ok(error instanceof MeshError);
    return `${error.reason}: ${error.message}`;
  }
  return 'accepted';
}

test('a session chooses how the turns of its user are found', () => {
  assert.equal(choose({ input: 'push-to-talk' }).choices.input, 'push-to-talk');
  assert.match(
    reasonOf(() => choose({ input: 'telepathy' })),
    /^ARGUMENT_INVALID: .*input/,
  );
});

test('a session without wishes gets the instructions of the deployment', () => {
  const { choices, key } = choose({});
  assert.deepEqual(
    [choices, key],
    [{ instructions: 'Be kind.', voice: '', language: '', input: 'voice-activity', tools: [] }, ''],
  );
  assert.equal(choose({ instructions: 'Be brief.' }).choices.instructions, 'Be brief.');
});

test('tools arrive with their schema, and invalid ones are refused', () => {
  const tool = { name: 'weather', description: 'd', parametersJson: '{"type":"object"}' };
  assert.deepEqual(choose({ tools: [tool] }).choices.tools, [
    { name: 'weather', description: 'd', parameters: { type: 'object' } },
  ]);
  const refused = (change: object) => reasonOf(() => choose({ tools: [{ ...tool, ...change }] }));
  assert.match(refused({ parametersJson: '{' }), /^ARGUMENT_INVALID: .*weather are not valid JSON/);
  assert.match(refused({ name: 'has a space' }), /^ARGUMENT_INVALID/);
  assert.match(refused({ parametersJson: '[1]' }), /^ARGUMENT_INVALID/);
  assert.match(
    reasonOf(() => choose({ tools: [tool, tool] })),
    /same name twice/,
  );
  assert.match(
    reasonOf(() => choose({ language: 'de_DE!' })),
    /BCP 47/,
  );
});

test('what the deployment does not allow is refused by name', () => {
  assert.match(
    reasonOf(() => choose({ providerKey: 'sk-planted' })),
    /^PERMISSION_DENIED: .*choose their key\. Leave it out, or add it to TALKMESH_SESSION_CHOICES/,
  );
  assert.doesNotMatch(
    reasonOf(() => choose({ providerKey: 'sk-planted' })),
    /planted/,
  );
  const strict = { instructions: '', sessionChoices: [], voices: [] };
  for (const change of [{ voice: 'x' }, { language: 'de' }, { instructions: 'x' }])
    assert.match(
      reasonOf(() => choose(change, strict)),
      /^PERMISSION_DENIED/,
    );
});

test('the deployment may name the voices of a provider; others of it are refused, and the rest stays free', () => {
  const config: Config = {
    instructions: '',
    sessionChoices: ['voice'],
    voices: ['openai-realtime/marin', 'openai-realtime/cedar', 'parrot-two/en-gb'],
  };
  assert.equal(choose({ voice: 'cedar' }, config).choices.voice, 'cedar');
  assert.equal(choose({}, config).choices.voice, '');
  assert.match(
    reasonOf(() => choose({ voice: 'alloy' }, config)),
    /^PERMISSION_DENIED: .*marin, cedar of openai-realtime/,
  );
  assert.equal(choose({ provider: 'parrot', voice: 'de' }, config).choices.voice, 'de');
  const known = { vad: 'mesh', knownVoices: ['a'] } as const;
  const offer = offerOf(
    [
      { name: 'openai-realtime', ...known },
      { name: 'parrot', ...known },
      { name: 'external', ...known, vad: 'none' },
    ],
    config,
  );
  const input = ['voice-activity', 'push-to-talk'];
  assert.deepEqual(offer, {
    providers: [
      { name: 'openai-realtime', input, voices: ['marin', 'cedar'], onlyTheseVoices: true },
      { name: 'parrot', input, voices: ['a'], onlyTheseVoices: false },
      { name: 'external', input: [], voices: ['a'], onlyTheseVoices: false },
    ],
    choices: ['voice'],
  });
});

test('a session whose own key was lost in a takeover cannot go on', () => {
  const config: Config = { instructions: '', sessionChoices: ['key'], voices: [] };
  assert.match(
    reasonOf(() => choose({ ownKey: true }, config)),
    /^PROVIDER_FAILED: .*Create a new session/,
  );
  assert.equal(choose({ ownKey: true, providerKey: 'k' }, config).key, 'k');
});
