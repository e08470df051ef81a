/** The short form of `bench soak`: a call at real speed keeps its time, its sound beside its picture, and its memory. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runSoak } from '../bench/soak.js';

/**
 * Collections of garbage come minutes apart, so a minute does not separate 2 % from nothing; a leak of every frame (100 KB, 25 a
 * second, in three processes) would be over 30 % in this time. The hour of the bench holds the 2 %.
 */
const MOST_GROWTH = 0.15;
/** Of the sound at the viewer: its jitter buffer and the polling of the numbers. */
const MOST_SOUND_DRIFT_MS = 400;
/** Of the playhead: a player that stood still for over 200 ms begins anew and does not rush; a busy machine makes it do so. */
const MOST_PLAYHEAD_DRIFT_MS = 1500;
const MOST_SKEW_MS = 40;
/** What nano's mouth shows by the decoder's monitor; a chunk that is held or has fewer steps on a busy machine costs some of it. */
const MOST_OPEN_IN_SILENCE = 0.02;
const LEAST_CORRELATION = 0.5;
const MOST_APART_MS = 80;

test('a call at real speed for 75 s: memory, skew, deadlines and mouth', { timeout: 240_000 }, async (context) => {
  const report = await runSoak({ seconds: 75, warmUpSeconds: 25, everySeconds: 5 });
  const { memoryGrowth, playheadDriftMs, soundDriftMs, skewMs, framesOnTime, mouth, load } = report;
  context.diagnostic(
    `memory ${(100 * memoryGrowth).toFixed(1)} %, playhead drift ${playheadDriftMs.toFixed(0)} ms, sound drift ${soundDriftMs.toFixed(0)} ms, ` +
      `skew ${skewMs.first.toFixed(2)} to ${skewMs.last.toFixed(2)} ms, ${(100 * framesOnTime).toFixed(2)} % of pictures on time, load ${load.toFixed(1)}`,
  );
  context.diagnostic(
    `mouth in ${mouth.passages} passages: correlation ${mouth.correlation.toFixed(2)}, ${mouth.laterMs.toFixed(0)} ms later than the sound, open in ${(100 * mouth.openInSilence).toFixed(2)} % of silence`,
  );
  assert.ok(memoryGrowth < MOST_GROWTH, `memory grew by ${(100 * memoryGrowth).toFixed(1)} %`);
  assert.ok(Math.abs(playheadDriftMs) < MOST_PLAYHEAD_DRIFT_MS, `the playhead drifted by ${playheadDriftMs} ms`);
  assert.ok(Math.abs(soundDriftMs) < MOST_SOUND_DRIFT_MS, `the sound drifted by ${soundDriftMs} ms`);
  assert.ok(skewMs.last < MOST_SKEW_MS, `sound and picture are ${skewMs.last} ms apart`);
  assert.ok(framesOnTime > 0.5, `${framesOnTime} of the pictures were on time: the call stood still`);
  assert.ok(mouth.passages >= 4, `${mouth.passages} passages of speech`);
  assert.ok(mouth.openInSilence < MOST_OPEN_IN_SILENCE, `the mouth is open in ${mouth.openInSilence} of the silence`);
  assert.ok(mouth.correlation > LEAST_CORRELATION, `the mouth follows the sound with ${mouth.correlation}`);
  assert.ok(Math.abs(mouth.laterMs) < MOST_APART_MS, `the mouth is ${mouth.laterMs} ms later than the sound`);
});
