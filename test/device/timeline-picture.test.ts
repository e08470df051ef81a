import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createOrtExecutor, loadDecoderEngine, loadGraphModel, openTimeline } from '@talkmesh/inference';
import { nano } from '../support/nano.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { timelinePicture } from './timeline-picture.js';

interface Span {
  readonly ph: string;
  readonly tid: number;
  readonly name: string;
  readonly args?: { readonly name?: string; readonly bytes?: number };
}

test('what an executor runs and copies is in lanes of its stream, and the picture has a row for each', async () => {
  const trace = join(temporaryFolder('timeline-picture'), 'trace.json');
  {
    using timeline = openTimeline(trace, 'test');
    await using executor = createOrtExecutor({ threads: 1, api: 'native', timeline });
    const model = await loadGraphModel('models/nano');
    await using decoder = await loadDecoderEngine(model, executor, 'float32');
    const session = await decoder.openSession({ avatar: nano.avatars[0]?.id ?? '', keepChunks: 1 });
    await session.decode(0, new Float32Array(model.geometry.latentValues));
    session.dispose();
    // What was posted before has arrived.
    await executor.stats();
  }
  const text = readFileSync(trace, 'utf8');
  const events = JSON.parse(`${text.trimEnd().replace(/,$/, '')}]`) as Span[];
  const lanes = new Map(events.flatMap(({ name, tid, args }) => (name === 'thread_name' ? [[args?.name, tid]] : [])));
  const of = (lane: string): Span[] => events.filter(({ ph, tid }) => ph === 'X' && tid === lanes.get(lane));
  const [runs, copies] = [of('cpu stream 0 compute'), of('cpu stream 0 copies')];
  assert.ok(runs.some(({ name }) => name === 'decoder') && runs.some(({ name }) => name === 'reference'));
  assert.ok(copies.length > 0);
  assert.deepEqual(new Set(copies.map(({ name }) => name)), new Set(['to processor']));
  assert.ok(copies.every(({ args }) => (args?.bytes ?? 0) > 0));
  const picture = timelinePicture(text, /^cpu stream/, 1000);
  assert.match(picture, /^<svg [\s\S]*cpu stream 0 compute \d+ %[\s\S]*cpu stream 0 copies \d+ %[\s\S]*<\/svg>\n$/);
  assert.match(picture, /<title>decoder: \d+\.\d{3} ms<\/title>/);
  assert.throws(() => timelinePicture(text, /^cuda/, 1000), /no lanes like \^cuda; set TALKMESH_TIMELINE/);
});

test('a picture shows the end of a trace, whose bracket may be missing', () => {
  const lane = (tid: number, name: string) => ({ ph: 'M', pid: 1, tid, name: 'thread_name', args: { name } });
  const span = (tid: number, name: string, ts: number, dur: number) => ({ ph: 'X', pid: 1, tid, name, ts, dur });
  const events = [
    ...[lane(1, 'a stream 0 compute'), lane(2, 'a stream 0 copies'), lane(3, 'other')],
    ...[span(1, 'early', 0, 10), span(1, 'run <1>', 3000, 500), span(2, 'to device', 3250, 750), span(3, 'x', 9000, 1)],
  ];
  const trace = `[\n${events.map((event) => `${JSON.stringify(event)},\n`).join('')}`;
  const picture = timelinePicture(trace, /^a stream/, 1);
  assert.doesNotMatch(picture, /early|other/);
  assert.match(picture, /a stream 0 compute 50 %[\s\S]*a stream 0 copies 75 %/);
  assert.match(picture, /x="260\.00" y="4" width="470\.00"[^>]*><title>run &lt;1>: 0\.500 ms/);
});
