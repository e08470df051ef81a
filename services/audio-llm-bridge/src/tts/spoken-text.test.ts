import assert from 'node:assert/strict';
import { test } from 'node:test';
import { spokenForm } from './spoken-text.js';

/** What is written, and what a person reads. */
const ENGLISH: readonly (readonly [written: string, read: string])[] = [
  ['see [[note]]', 'see note'],
  ['arr[[0]] = 5', 'arr 0 = 5'],
  ['**note** and __this__ and *that* and _it_', 'note and this and that and it'],
  ['***both*** ~~old~~ new', 'both old new'],
  ['<speak>hello <break time="1s"/></speak>', 'hello'],
  ['one<br>two', 'one. two'],
  ['<p>First</p><p>Second</p>', 'First. Second'],
  ['a < b and b > c', 'a < b and b > c'],
  ['Tom &amp; Jerry &#33;', 'Tom & Jerry!'],
  ['<script>alert(1)</script>hello <!-- hidden -->', 'hello'],
  ['# Title\nText', 'Title. Text'],
  ['- milk\n- eggs\n* [x] bread', 'milk. eggs. bread'],
  ['1) one\n2) two', '1. one. 2. two'],
  ['> quoted\n> text', 'quoted. text'],
  ['Read [the guide](https://example.com/guide "Guide") now.', 'Read the guide now.'],
  ['![a red cat](cat.png)', 'a red cat'],
  ['text[^1] more', 'text more'],
  ['Run `npm test`:\n```sh\nnpm test\n```', 'Run npm test: npm test'],
  ['| Name | Age |\n|---|---|\n| Ann | 5 |', 'Name, Age. Ann, 5'],
  ['a\n\n---\n\nb', 'a. b'],
  ['Hello 😀👍🏽 world 🇩🇪!', 'Hello world!'],
  ['Press 1️⃣ or 2️⃣', 'Press 1 or 2'],
  ['family 👨‍👩‍👧 time ❤️', 'family time'],
  ['zero\u200Bwidth soft\u00ADhyphen', 'zerowidth softhyphen'],
  ['Visit https://www.example.com.', 'Visit example dot com.'],
  ['See www.example.org/docs/start, please', 'See example dot org slash docs slash start, please'],
  ['https://shop.example.com/p/8837?ref=a%20b&x=1 is long', 'shop dot example dot com is long'],
  ['(https://example.com/a)', '(example dot com slash a)'],
  ['Mail jane.doe@example.com today', 'Mail jane dot doe at example dot com today'],
  ['That is $5.20 or €3', 'That is 5.20 US dollars or 3 euros'],
  ['It costs $1', 'It costs 1 US dollar'],
  ['$3 million', '3 million US dollars'],
  ['1,000,000 people, 50%', '1,000,000 people, 50%'],
  ['5km at 25°C', '5 kilometers at 25 degrees Celsius'],
  ['90 km/h', '90 kilometers per hour'],
  ['On 2026-11-29 at 10:30', 'On November 29, 2026 at 10:30'],
  ['5-10 minutes, pages 3–4', '5 to 10 minutes, pages 3 to 4'],
  ['call 555-0123-44', 'call 555-0123-44'],
  ['2 * 3', '2 times 3'],
  ['#5 of ~20', 'number 5 of about 20'],
  ['my_variable', 'my variable'],
  ['wait — what?', 'wait, what?'],
  ['It’s “fine”…', 'It’s “fine”…'],
  ['first\r\nsecond', 'first. second'],
  ['tab\tand\u0007bell', 'tab and bell'],
  ['**', ''],
  ['😀', ''],
  ['plain sentence.', 'plain sentence.'],
];

test('English text becomes what a person reads aloud', () => {
  for (const [written, read] of ENGLISH) assert.equal(spokenForm(written, 'en'), read, JSON.stringify(written));
});

test('words come in the language of the text; a language without words keeps the signs', () => {
  assert.equal(spokenForm('https://beispiel.de, 5-10 km, 3 €', 'de'), 'beispiel Punkt de, 5 bis 10 Kilometer, 3 Euro');
  assert.equal(spokenForm('le 2026-03-01', 'fr'), 'le 1 mars 2026');
  assert.equal(spokenForm('**важно**: 5km 😀', 'ru'), 'важно: 5 километров');
  assert.equal(spokenForm('**x** 5-10', 'tlh'), 'x 5-10');
});

test('what was rewritten stays as it is', () => {
  for (const [, read] of ENGLISH) assert.equal(spokenForm(read, 'en'), read, read);
});

test('hostile text takes no long time', () => {
  for (const unit of [
    '*',
    '[',
    '[[',
    '<',
    '<a ',
    '`',
    '_',
    '![](',
    '~',
    '|',
    '- ',
    'a@',
    'www.',
    '1-',
    '$1,',
    '> ',
    '&#1;',
    '\n',
    '#',
  ])
    for (const text of [unit.repeat(2000 / unit.length), `${unit}x`.repeat(2000 / (unit.length + 1))]) {
      const before = process.cpuUsage();
      spokenForm(text, 'en');
      const { user } = process.cpuUsage(before);
      assert.ok(user < 500_000, `${JSON.stringify(unit)}: ${user} µs`);
    }
});
