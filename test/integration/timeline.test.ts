/** The trace of a real run, as it is loaded into chrome://tracing: chunk n+1 is made while n is decoded and n-1 is played. */
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

test('while a chunk is decoded the next one is made and the one before is played', {
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
  const named = new Map(events.filter(({ ph }) => ph === 'X').map((span) => [span.name, span]));
  const chunks = Math.floor((SECONDS * nano.fps) / (nano.chunk.latentFrames * nano.chunk.temporalCompression));
  let ahead = 0;
  let all = 0;
  for (let chunk = 1; chunk + 1 < chunks; chunk++) {
    const decode = named.get(`decode ${chunk}`);
    assert.ok(decode && named.has(`make ${chunk}`), `chunk ${chunk} is in the trace`);
    if (!overlap(named.get(`make ${chunk + 1}`), decode)) continue;
    ahead += 1;
    if ([1, 2].some((before) => overlap(named.get(`play ${chunk - before}`), decode))) all += 1;
  }
  context.diagnostic(
    `${chunks} chunks: ${ahead} made while the one before was decoded, ${all} of them beside a played one`,
  );
  assert.ok(ahead > chunks / 2, `${ahead} of ${chunks}`);
  assert.ok(all > chunks / 4, `${all} of ${chunks}`);
});
