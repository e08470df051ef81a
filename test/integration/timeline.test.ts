/** The trace of a real run, as it is loaded into chrome://tracing: later chunks are made while one is decoded and earlier ones are played. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { startMesh } from '../../deploy/local/src/mesh.js';
import { firstAvatar, nano } from '../support/nano.js';
import { startRecordCall } from '../support/record-call.js';
import { talk } from '../support/speech.js';
import { waitUntil } from '../support/waiting.js';

const SECONDS = 12;
const folder = mkdtempSync(join(tmpdir(), 'talkmesh-timeline-'));
after(() => rmSync(folder, { recursive: true, force: true }));

interface Span {
  readonly ph: string;
  readonly pid: number;
  readonly name: string;
  readonly ts: number;
  readonly dur: number;
}

const overlap = (a: Span | undefined, b: Span | undefined): boolean =>
  a !== undefined && b !== undefined && a.ts < b.ts + b.dur && b.ts < a.ts + a.dur;

test('while a chunk is decoded a later one is made and an earlier one is played', {
  timeout: 240_000,
}, async (context) => {
  const file = join(folder, 'trace.json');
  const traced = { TALKMESH_TIMELINE: file };
  const mesh = await startMesh({ quiet: true, env: { 'score-model': traced, 'vae-decode': traced } });
  try {
    const call = await startRecordCall(mesh, firstAvatar.id, talk(SECONDS));
    await waitUntil('all frames', () => call.frames() >= SECONDS * nano.fps, 180_000);
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
  const [made, decoded, played] = [spans('make'), spans('decode'), spans('play')];
  const chunks = Math.floor((SECONDS * nano.fps) / (nano.chunk.latentFrames * nano.chunk.temporalCompression));
  let ahead = 0;
  let all = 0;
  for (let chunk = 1; chunk + 1 < chunks; chunk++) {
    const decode = decoded.get(chunk);
    assert.ok(decode !== undefined && made.has(chunk), `chunk ${chunk} is in the trace`);
    // A recording's score may be further ahead than one chunk: four, by its credits.
    const later = [...made].some(([other, span]) => other > chunk && overlap(span, decode));
    const earlier = [...played].some(([other, span]) => other < chunk && overlap(span, decode));
    if (later) ahead += 1;
    if (later && earlier) all += 1;
  }
  context.diagnostic(
    `${chunks} chunks: a later one was made while ${ahead} of them were decoded, for ${all} an earlier one was played too`,
  );
  assert.ok(ahead > chunks / 3, `${ahead} of ${chunks}`);
  assert.ok(all > chunks / 3, `${all} of ${chunks}`);
});
