/** `npm run eval`, short: one clip of each set and one minute of a call, read from pixels by probes and by the independent judge; the report contains tables, tracks, sheets and videos. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import type { Evaluation } from '../eval/report.js';

const SHORT = ['--clips', '1', '--foreign', '1', '--photographed', '1', '--minutes', '1', '--json'];
const OPENING = 'opening, correlation with the true track';

test('the evaluation measures the shipped model from decoded pixels', { timeout: 840_000 }, async (t) => {
  const out = await mkdtemp(join(tmpdir(), 'talkmesh-eval-'));
  t.after(() => rm(out, { recursive: true, force: true }));
  const run = promisify(execFile)(
    process.execPath,
    ['--import', 'tsx', '--conditions=source', 'test/eval/eval.ts', ...SHORT, '--out', out],
    { maxBuffer: 16 * 1024 * 1024 },
  );
  const [evaluation] = JSON.parse((await run).stdout) as Evaluation[];
  assert.ok(evaluation);
  const heldOut = evaluation['held-out'];
  assert.ok((heldOut['opening correlation'] as number) > 0.7, JSON.stringify(heldOut));
  assert.ok((heldOut["opening correlation of drawn frames (the probe's own limit)"] as number) > 0.9);
  assert.ok(Math.abs(heldOut['lip offset, ms'] as number) <= 60);
  assert.ok((evaluation.flite?.['opening correlation'] as number) > 0.3);
  assert.ok((evaluation.hour?.['silence: mouth closed, %'] as number) > 95);
  for (const set of ['judged held-out', 'judged photographed'] as const) {
    const judged = evaluation[set];
    assert.ok(judged);
    assert.ok((judged[`${OPENING}; of frames with the true motion`] as number) > 0.85, JSON.stringify(judged));
    assert.ok((judged[OPENING] as number) > 0.6, JSON.stringify(judged));
    assert.ok((judged[`m b p: closed, %`] as number) > 50, JSON.stringify(judged));
  }
  const page = await readFile(join(out, 'report.html'), 'utf8');
  assert.match(page, /Clips side by side.*Independent judge.*Probes: held-out voices.*Flite.*One long call/s);
  const videos = [...page.matchAll(/src="(clips\/[^"]+)"/g)].map(([, path]) => path as string);
  assert.equal(videos.length, 3);
  for (const path of videos) assert.equal((await readFile(join(out, path))).toString('latin1', 4, 8), 'ftyp', path);
  assert.ok(page.includes('data:image/png;base64,'), 'the page embeds its images');
});

test('the evaluation refuses a length that is not a number', async () => {
  const run = promisify(execFile)(process.execPath, [
    ...['--import', 'tsx', '--conditions=source', 'test/eval/eval.ts', '--minutes', 'many'],
  ]);
  await assert.rejects(run, /--minutes is a number from 0 to 600/);
});
