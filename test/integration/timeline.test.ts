/** The trace of a real run, as it is loaded into chrome://tracing: later chunks are generated while one is decoded and an earlier one is played. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { until } from '@talkmesh/service-kit/testing';
import { startMesh } from '../../deploy/local/src/mesh.js';
import { firstAvatar, nano } from '../support/nano.js';
import { startRecordCall } from '../support/record-call.js';
import { talk } from '../support/speech.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const SECONDS = 12;
const folder = temporaryFolder('timeline');

interface Span {
  readonly ph: string;
  readonly pid: number;
  readonly name: string;
  readonly ts: number;
  readonly dur: number;
}

const overlap = (a: Span | undefined, b: Span | undefined): boolean =>
  a !== undefined && b !== undefined && a.ts < b.ts + b.dur && b.ts < a.ts + a.dur;

test('while a chunk is decoded, a later one is generated and an earlier one is played', {
  timeout: 240_000,
}, async (context) => {
  const file = join(folder, 'trace.json');
  const traced = { TALKMESH_TIMELINE: file };
  const mesh = await startMesh({ quiet: true, env: { 'score-model': traced, 'vae-decode': traced } });
  try {
    const call = await startRecordCall(mesh, firstAvatar.id, talk(SECONDS));
    await until('all frames', () => call.frames() >= SECONDS * nano.fps, 180_000);
    await call.hangUp();
  } finally {
    await mesh.stop();
  }
  const text = readFileSync(file, 'utf8');
  const events = JSON.parse(`${text.trimEnd().replace(/,$/, '')}]`) as Span[];
  const lanes = new Set(events.flatMap(({ ph, pid }) => (ph === 'X' ? [pid] : [])));
  assert.equal(lanes.size, 2, 'both services wrote into one file');
  const spans = (verb: string): Map<number, Span> =>
    new Map(
      events
        .filter(({ ph, name }) => ph === 'X' && name.startsWith(`${verb} `))
        .map((span) => [Number(span.name.slice(verb.length)), span]),
    );
  const [generated, decoded, played] = [spans('generate'), spans('decode'), spans('play')];
  const chunks = Math.floor((SECONDS * nano.fps) / (nano.chunk.latentFrames * nano.chunk.temporalCompression));
  let ahead = 0;
  let all = 0;
  for (let chunk = 1; chunk + 1 < chunks; chunk++) {
    const decode = decoded.get(chunk);
    assert.ok(decode !== undefined && generated.has(chunk), `chunk ${chunk} is in the trace`);
    // In a recording the score model may be up to four chunks ahead, because of its credits.
    const later = [...generated].some(([other, span]) => other > chunk && overlap(span, decode));
    const earlier = [...played].some(([other, span]) => other < chunk && overlap(span, decode));
    if (later) ahead += 1;
    if (later && earlier) all += 1;
  }
  context.diagnostic(
    `${chunks} chunks: a later one was generated while ${ahead} of them were decoded, for ${all} an earlier one was played too`,
  );
  assert.ok(ahead > chunks / 3, `${ahead} of ${chunks}`);
  assert.ok(all > chunks / 3, `${all} of ${chunks}`);
});
