import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isBackChannel } from './back-channels.js';

test('signs of listening are told from words that interrupt, in the language of the session', () => {
  for (const [text, language] of [
    ['Mhm.', 'en'],
    ['Mm-hmm, right.', 'en-US'],
    ['Yeah, yeah. I see!', 'en'],
    ['Uh-huh', ''],
    ['Ja, genau.', 'de-DE'],
    ['D’accord.', 'fr'],
    ['はいはい。', 'ja'],
    ['嗯，对', 'zh-CN'],
    ['Claro', ''],
    ['Yes', 'fi'],
  ] as const)
    assert.equal(isBackChannel(text, language), true, `${text} (${language})`);
  for (const [text, language] of [
    ['', 'en'],
    ['...', 'en'],
    ['No', 'en'],
    ['Stop.', 'en'],
    ['Right, but why?', 'en'],
    ['Yesterday', 'en'],
    ['Genau', 'en'],
    ['yes '.repeat(20), 'en'],
    ['はい、でも', 'ja'],
  ] as const)
    assert.equal(isBackChannel(text, language), false, `${text} (${language})`);
});
