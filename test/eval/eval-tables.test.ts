/** The evaluation's comparison of two models, its tables and its page, on figures whose answer is known. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { clipLine, clipRows, clipTableHtml, clipTableMarkdown, shown, tally } from './by-clip.js';
import { verdict } from './comparison.js';
import { documentParts, withPart, writeParts } from './documents.js';
import { type CallFigures, hourTable, plotHour, writeHour } from './hour.js';
import { changes, type Evaluation, formatReport, type Section } from './report.js';
import { windowsOf } from './rollout.js';

const TRUE = '; of frames with the true motion';
const OPENING = 'opening, correlation with the true track';

test('a figure is worse or better by its aim, and the same within rounding', () => {
  assert.equal(verdict(OPENING, { [OPENING]: 0.9 }, { [OPENING]: 0.89 }), 'worse');
  assert.equal(verdict(OPENING, { [OPENING]: 0.9 }, { [OPENING]: 0.896 }), 'same');
  assert.equal(verdict(OPENING, { [OPENING]: 0.916 }, { [OPENING]: 0.922 }), 'same', 'both are shown as .92');
  assert.equal(verdict('lips, ms', { 'lips, ms': -12 }, { 'lips, ms': 4 }), 'better', 'zero is the aim on both sides');
  const loudness = 'opening, correlation with loudness';
  const near = (value: number): Record<string, number> => ({ [loudness]: value, [`${loudness}${TRUE}`]: 0.55 });
  assert.equal(verdict(loudness, near(0.53), near(0.6)), 'worse', 'more than the truth is not better');
  const blinks = (value: number, name: string) => ({ 'blinks a minute': value, [name]: 16 });
  const probe = 'blinks a minute, true';
  assert.equal(verdict('blinks a minute', blinks(15, probe), blinks(20, probe)), 'worse', 'the name that probes use');
  assert.equal(verdict('blinks a minute', { 'blinks a minute': 1 }, { 'blinks a minute': 2 }), undefined, 'no truth');
  const open = (value: number) => ({ 'm b p: mean opening': value, [probe]: 16 });
  assert.equal(verdict('m b p: mean opening', open(0.15), open(0.05)), 'better');
  assert.equal(
    verdict('of them complete, %', { 'of them complete, %': null }, { 'of them complete, %': 0 }),
    undefined,
  );
  assert.equal(verdict(`${OPENING}${TRUE}`, near(1), near(2)), undefined, 'a limit has no aim');
  assert.equal(verdict(OPENING, {}, { [OPENING]: 1 }), undefined, 'nothing to compare with');
});

const clip = (name: string, opening: number, closed: number | null, probe: number | null) => ({
  ...{ clip: name, set: 'held-out', avatar: 'mia' },
  judge: { opening, 'lips, ms': 0, 'm b p closed, %': closed, 'silence closed, %': 100 },
  probe: probe === null ? null : { opening: probe, 'lips, ms': 0, 'm b p closed, %': 50, 'silence closed, %': 100 },
});
const BEFORE = [clip('a', 0.9, 100, 0.9), clip('b', 0.8, 90, 0.7)];
const NOW = [clip('a', 0.8, 100, 0.9), clip('b', 0.9, null, null)];

test('the table of all clips marks what got worse, clip by clip', () => {
  const rows = clipRows(BEFORE, NOW);
  assert.deepEqual(
    rows.map(({ cells }) => cells[0]),
    [
      { text: '.90 → .80', verdict: 'worse' },
      { text: '.80 → .90', verdict: 'better' },
    ],
  );
  assert.deepEqual(rows[1]?.cells[2], { text: '90 → –', verdict: undefined }, 'a share of no frames is not compared');
  assert.deepEqual(tally(rows)[0], { worse: 1, better: 1, of: 2 });
  assert.match(clipTableMarkdown(rows), /\| a \| mia \| \.90 → \.80 ▼ \|.*\| all \| {2}\| 1 ▼ 1 ▲ of 2 \|/s);
  assert.match(clipTableHtml(rows), /<td class="n worse">\.90 → \.80 ▼<\/td>/);
  assert.match(clipLine(rows[0] as (typeof rows)[number]), /judge: opening <span class="worse">\.90 → \.80 ▼/);
  const alone = clipTableMarkdown(clipRows(undefined, NOW));
  assert.match(alone, /\| a \| mia \| \.80 \|/);
  assert.doesNotMatch(alone, /→|worse/, 'one model is compared with nothing');
});

test('numbers are written as in the documents', () => {
  assert.deepEqual(
    [shown(0.874, 2), shown(-0.021, 2), shown(-0.4, 0), shown(100, 0), shown(1, 2), shown(null, 2)],
    [...['.87', '-.02', '0', '100', '1.00', '–']],
  );
});

const judged = (opening: number): Section => ({
  'clips judged, of all': '2 of 2',
  [OPENING]: opening,
  [`${OPENING}${TRUE}`]: 0.95,
  tracks: [{ clip: 'a', true: [0, 1, 0], read: [0, opening, 0] }],
});
const evaluation = (model: string, opening: number, clips: Evaluation['by clip']): Evaluation => ({
  ...{ model, chunk: { latentFrames: 3, steps: 2, ms: 480 }, cost: { 'score, ms a chunk': 9 }, folder: '.' },
  ...{ 'judged held-out': judged(opening), 'judged rendered': judged(0.9), calibration: {}, 'by clip': clips },
});
const PAIR = [evaluation('nano@1', 0.9, BEFORE), evaluation('nano@2', 0.8, NOW)];

test('the page plays models together and says what got worse', async () => {
  const video = { clip: { id: 'a', set: 'held-out', avatar: 'mia' }, file: 'a.mp4' };
  assert.deepEqual(changes(PAIR, 'worse'), [
    { title: 'Independent judge: drawn faces, held-out voices and words', figures: [`${OPENING}: 0.9 → 0.8`] },
  ]);
  const page = await formatReport(PAIR, [video]);
  assert.match(
    page,
    /nano@2, 3x2 against nano@1, 3x2.*1 figures got worse ▼<\/h3><ul><li><b>Independent judge: drawn faces/s,
  );
  assert.match(page, /<video [^>]*width="768" height="256" src="clips\/a.mp4">/, 'the truth and both models');
  assert.equal(page.match(/<polyline/g)?.length, 3, 'their three tracks');
  const alone = await formatReport(PAIR.slice(1), [video]);
  assert.doesNotMatch(alone, /got worse/);
});

test('documents get the tables between their marks, and only there', async (t) => {
  const parts = documentParts(PAIR);
  const [card] = Object.values(parts);
  assert.doesNotMatch(card?.['judge'] ?? '', /blinks/, 'rows without a figure are left out');
  assert.match(
    card?.['judge'] ?? '',
    /\| {2}\| drawn \| rendered \|.*\.90 → \.80 ▼ \(\.95\) \| \.90 → \.90 \(\.95\) \|/s,
  );
  const folder = await mkdtemp(join(tmpdir(), 'talkmesh-documents-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const marks = 'Before.\n\n<!-- generated by npm run eval: judge -->\nold\n<!-- end of generated part -->\n\nAfter.\n';
  await writeFile(join(folder, 'card.md'), marks);
  await writeParts(join(folder, 'card.md'), { judge: '| new |' });
  const written = await readFile(join(folder, 'card.md'), 'utf8');
  assert.match(written, /^Before\.\n\n<!--[^>]*-->\n\n\| new \|\n\n<!-- end of generated part -->\n\nAfter\.\n$/);
  assert.throws(() => withPart(marks, 'hour', ''), /needs the lines "<!-- generated by npm run eval: hour -->"/);
});

test('every part has its place in the documents that ship', async () => {
  for (const [path, parts] of Object.entries(documentParts(PAIR)))
    for (const name of [...Object.keys(parts), 'hour']) withPart(await readFile(path, 'utf8'), name, '');
});

const call = (face: string, last: number): CallFigures => ({
  ...{ face, minutes: 60, 'frames without a face, %': 0, 'landmarks, to the nearest other face, px': 3.14 },
  'landmarks from the first sixth, px: first sixth, last sixth, spread in the first': [0.2, last, 0.05],
  'landmarks, mean of the first sixth to mean of the last, px': 0.12,
  'same state in silence, dB: first sixth, last sixth, spread in the first': [30.04, 29.96, 1.5],
  'against the same motion drawn, dB: first sixth, last sixth, spread in the first': null,
  'by window': { minute: [0, 30, 60], landmarks: [0.2, 0.2, last], 'same state': [30, null, 29] },
});

test('an hour is a table, a plot and a page', async (t) => {
  const hour = { drawn: call('mia', 0.25), rendered: call('amina', 0.9) };
  assert.match(hourTable(hour), /\.20 → \.25 \(± \.05\) \| \.20 → \.90 \(± \.05\)/);
  const plot = plotHour(hour);
  assert.equal(plot.match(/<polyline/g)?.length, 4, 'two faces in two panels');
  assert.match(plot, /points="0\.0,[\d.]+ 900\.0,[\d.]+"/, 'a window without silence is a gap');
  const folder = await mkdtemp(join(tmpdir(), 'talkmesh-hour-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const page = await readFile(await writeHour('nano@2', hour, folder), 'utf8');
  assert.match(page, /nano@2.*<svg.*<th>drawn<\/th><th>rendered<\/th>.*0\.2, 0\.9, 0\.05/s);
});

test('windows lie around the first silence of each half minute', () => {
  const silent = Array.from({ length: 250 }, (_, chunk) => chunk % 29 >= 21);
  const windows = windowsOf(silent, 480);
  assert.equal(windows.length, 4, 'two minutes');
  for (const [index, { first, last }] of windows.entries()) {
    assert.ok(first >= 62 * index && last < 62 * (index + 1));
    assert.deepEqual(silent.slice(first, last + 1), [...Array(4).fill(false), ...Array(8).fill(true)]);
  }
  assert.deepEqual(windowsOf(Array(250).fill(false), 480), [], 'no silence, no window');
});
