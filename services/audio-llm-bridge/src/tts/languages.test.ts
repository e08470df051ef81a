import assert from 'node:assert/strict';
import { test } from 'node:test';
import { detectLanguage, scriptRuns, voiceWrites } from './languages.js';

const runs = (text: string) => scriptRuns(text).map(({ text: part, script }) => `${script}: ${part}`);

test('a text is divided where its script changes; digits and signs stay with what is before', () => {
  assert.deepEqual(runs('Hello, 5 times!'), ['Latin: Hello, 5 times!']);
  assert.deepEqual(runs('Say Привет, 3 раза, now'), ['Latin: Say ', 'Cyrillic: Привет, 3 раза, ', 'Latin: now']);
  assert.deepEqual(runs('3, שלום'), ['Hebrew: 3, שלום']);
  assert.deepEqual(runs('日本語です'), ['Japanese: 日本語です']);
  assert.deepEqual(runs('你好'), ['Chinese: 你好']);
  assert.deepEqual(runs('42'), ['Latin: 42']);
  assert.deepEqual(runs('ᚠᚢ'), ['this: ᚠᚢ']);
});

test('a voice writes in the scripts of its language', () => {
  const [cyrillic, latin] = [scriptRuns('да')[0], scriptRuns('yes')[0]] as const;
  assert.ok(cyrillic !== undefined && latin !== undefined);
  for (const voice of ['ru', 'uk', 'sr+f2'])
    assert.ok(voiceWrites(voice, cyrillic) && !voiceWrites(voice, latin), voice);
  for (const voice of ['en-us', 'de', 'vi+m1'])
    assert.ok(voiceWrites(voice, latin) && !voiceWrites(voice, cyrillic), voice);
});

test('the language of a Latin text is told by its short words, when there are enough', () => {
  for (const [text, language] of [
    ['What is the name of your dog?', 'en'],
    ['Guten Tag, wie geht es dir und wie ist das Wetter?', 'de'],
    ['Bonjour, je suis dans le jardin avec une amie.', 'fr'],
    ['Buenos días, ¿cómo está usted y los niños?', 'es'],
    ['Buongiorno, come stai? Io sono con gli amici.', 'it'],
    ['Eu não sou você, e isto é para os amigos.', 'pt'],
    ['Ik ben niet thuis, maar het is een mooie dag voor je.', 'nl'],
    ['Hello Mia', undefined],
    ['Pizza, taxi, hotel', undefined],
    ['', undefined],
  ] as const)
    assert.equal(detectLanguage(text), language, text);
});
