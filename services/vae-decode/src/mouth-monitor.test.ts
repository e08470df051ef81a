/** The monitor of the mouth, with made-up mouths whose faults are known. nano's own mouth is watched in the soak test. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MouthMonitor, type MouthReport } from './mouth-monitor.js';

const FPS = 25;
const FRAMES = 12;
const SAMPLES = 960;

/** Loudness of each frame: 40 syllables of 200 ms at irregular distances, between two seconds of silence. */
const syllables = Array.from({ length: 40 }, (_, i) => 0.2 + 0.8 * Math.abs(Math.sin(i * 2.3)));
const levels = [
  ...new Array<number>(50).fill(0),
  ...syllables.flatMap((level, i) =>
    [0.3, 0.8, 1, 0.7, 0.2, ...new Array<number>((i * i) % 4).fill(0.02)].map((part) => part * level),
  ),
  ...new Array<number>(50).fill(0),
];

const toneAt = (level: number): Int16Array =>
  Int16Array.from({ length: SAMPLES }, (_, i) => 12_000 * level * Math.sin((i * Math.PI) / 40));

function watch(mouth: (frame: number) => number): MouthReport[] {
  const monitor = new MouthMonitor(FPS);
  const reports: MouthReport[] = [];
  for (let chunk = 0; (chunk + 1) * FRAMES <= levels.length; chunk++) {
    const frames = Array.from({ length: FRAMES }, (_, i) => chunk * FRAMES + i);
    const pcm = Int16Array.from(frames.flatMap((frame) => [...toneAt(levels[frame] as number)]));
    reports.push(monitor.add(chunk, Float32Array.from(frames, mouth), pcm));
  }
  return reports;
}

const silent = (reports: readonly MouthReport[]) => ({
  open: reports.reduce((sum, report) => sum + report.silent.open, 0),
  closed: reports.reduce((sum, report) => sum + report.silent.closed, 0),
});
const speechOf = (reports: readonly MouthReport[]) =>
  reports.flatMap(({ speech }) => (speech === undefined ? [] : [speech]));
const opening = (frame: number): number => 0.8 * (levels[frame] ?? 0);

test('a mouth that follows the sound: closed in silence, no distance', () => {
  const reports = watch(opening);
  assert.equal(silent(reports).open, 0);
  assert.ok(silent(reports).closed > 60, JSON.stringify(silent(reports)));
  assert.ok(speechOf(reports).length >= 2);
  for (const { correlation, lagS } of speechOf(reports)) {
    assert.ok(correlation > 0.8, `${correlation}`);
    assert.ok(Math.abs(lagS ?? 1) < 0.02, `${lagS}`);
  }
});

for (const frames of [-4, -1, 3, 6])
  test(`a mouth that is ${frames} frames later than the sound`, () => {
    const lags = speechOf(watch((frame) => opening(frame - frames))).map(({ lagS }) => lagS);
    assert.ok(lags.length >= 2);
    for (const lagS of lags) assert.ok(Math.abs((lagS ?? 1) - frames / FPS) < 0.02, `${lagS}`);
  });

test('a mouth that moves in silence', () => {
  const reports = watch((frame) => 0.5 + 0.5 * Math.sin(frame));
  const { open, closed } = silent(reports);
  assert.ok(open / (open + closed) > 0.8, `${open} of ${open + closed}`);
  for (const { correlation } of speechOf(reports)) assert.ok(correlation < 0.4, `${correlation}`);
});

test('a mouth that stands still has no distance', () => {
  for (const speech of speechOf(watch(() => 0))) assert.deepEqual(speech, { correlation: 0, lagS: undefined });
});

test('the first frames after a sound, and the last before one, do not count as silence', () => {
  const afterglow = (frame: number): number =>
    Math.max(...[-5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5].map((by) => opening(frame + by)));
  assert.equal(silent(watch(afterglow)).open, 0);
});

test('chunks that were flushed are not compared with those that replace them', () => {
  const monitor = new MouthMonitor(FPS);
  const [openings, loud, quiet] = [
    new Float32Array(FRAMES),
    new Int16Array(FRAMES * SAMPLES).fill(9000),
    new Int16Array(FRAMES * SAMPLES),
  ];
  monitor.add(0, openings, quiet);
  monitor.add(1, openings, loud);
  assert.deepEqual(monitor.add(1, openings, quiet).silent, { open: 0, closed: 1 });
});
