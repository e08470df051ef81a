/**
 * `npm run eval`, short: one clip of each set, read from pixels by probes and by the independent judge, of a model beside itself; the report contains tables, tracks,
 * sheets and videos. `--hour`: calls of two minutes.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import type { Hour } from '../eval/hour.js';
import type { Evaluation, Section } from '../eval/report.js';

const SHORT = ['--clips', '1', '--foreign', '1', '--rendered', '1', '--photographed', '1', '--json'];
const EVAL = ['--import', 'tsx', '--conditions=source', 'test/eval/eval.ts'];
const OPENING = 'opening, correlation with the true track';

async function run<T>(out: string, ...args: string[]): Promise<T> {
  const done = promisify(execFile)(process.execPath, [...EVAL, ...args, '--out', out], { maxBuffer: 16 * 1024 * 1024 });
  return JSON.parse((await done).stdout) as T;
}

test('the evaluation measures the shipped model from decoded pixels', { timeout: 840_000 }, async (t) => {
  const out = await mkdtemp(join(tmpdir(), 'talkmesh-eval-'));
  t.after(() => rm(out, { recursive: true, force: true }));
  const [before, evaluation] = await run<Evaluation[]>(out, ...SHORT, '--against', 'models/nano');
  assert.ok(evaluation);
  const heldOut = evaluation['held-out'];
  assert.ok(heldOut);
  assert.ok((heldOut['opening correlation'] as number) > 0.7, JSON.stringify(heldOut));
  assert.ok((heldOut["opening correlation of drawn frames (the probe's own limit)"] as number) > 0.9);
  assert.ok(Math.abs(heldOut['lip offset, ms'] as number) <= 60);
  assert.ok((evaluation.flite?.['opening correlation'] as number) > 0.3);
  for (const set of ['judged held-out', 'judged rendered', 'judged photographed'] as const) {
    const judged: Section | undefined = evaluation[set];
    assert.ok(judged);
    assert.ok((judged[`${OPENING}; of frames with the true motion`] as number) > 0.85, JSON.stringify(judged));
    assert.ok((judged[OPENING] as number) > 0.6, JSON.stringify(judged));
    assert.ok((judged[`m b p: closed, %`] as number) > 50, JSON.stringify(judged));
    assert.deepEqual(before?.[set], judged, 'the same model beside itself');
  }
  assert.equal(evaluation['by clip'].length, 4);
  const page = await readFile(join(out, 'report.html'), 'utf8');
  assert.match(page, /0 figures got worse.*All clips.*Clips side by side.*Independent judge.*Probes: held-out voices/s);
  const videos = [...page.matchAll(/src="(clips\/[^"]+)"/g)].map(([, path]) => path as string);
  assert.equal(videos.length, 4);
  for (const path of videos) assert.equal((await readFile(join(out, path))).toString('latin1', 4, 8), 'ftyp', path);
  assert.ok(page.includes('data:image/png;base64,'), 'the page embeds its images');
});

test('three faces stay the same through a call of two minutes', { timeout: 600_000 }, async (t) => {
  const out = await mkdtemp(join(tmpdir(), 'talkmesh-hour-'));
  t.after(() => rm(out, { recursive: true, force: true }));
  const hour = await run<Hour>(out, '--hour', '--minutes', '2', '--clips', '2', '--json');
  assert.deepEqual(Object.keys(hour), ['drawn', 'rendered', 'photographed']);
  for (const [kind, call] of Object.entries(hour)) {
    const said = `${kind}: ${JSON.stringify(call)}`;
    const drift = call['landmarks, mean of the first sixth to mean of the last, px'] as number;
    assert.ok(drift < 0.25 * (call['landmarks, to the nearest other face, px'] as number), said);
    assert.ok((call['silence: mouth closed, % of latents'] as number) > 95, said);
    assert.equal(call['by window']['same state'].length, 4, said);
  }
  assert.match(await readFile(join(out, 'hour.html'), 'utf8'), /<svg.*landmarks of the upper face.*<table>/s);
});

test('the evaluation refuses what it cannot do', async () => {
  const run = (...args: string[]) => promisify(execFile)(process.execPath, [...EVAL, ...args]);
  await assert.rejects(run('--hour', '--minutes', 'many'), /--minutes is a number from 2 to 600/);
  await assert.rejects(run('--write'), /--write needs --against/);
});
