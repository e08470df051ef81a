import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { before, test } from 'node:test';
import { mixDown, parseWav, Resampler, toPcm16 } from '@talkmesh/media';
import { MicCheck } from './mic-check.js';

let speech: Int16Array;
before(async () => {
  const { sampleRateHz, samples } = parseWav(await readFile(new URL('../src/testing/speech.wav', import.meta.url)));
  const resampler = new Resampler(sampleRateHz, 24_000);
  speech = toPcm16(Float32Array.from([...resampler.push(mixDown(samples)), ...resampler.flush()]));
});

const dbOf = (pcm: Int16Array): number =>
  10 * Math.log10(pcm.reduce((sum, sample) => sum + sample * sample, 0) / pcm.length / 32_768 ** 2);
const gain = (pcm: Int16Array, db: number): Int16Array =>
  pcm.map((sample) => Math.max(-32_768, Math.min(32_767, Math.round(sample * 10 ** (db / 20)))));
const silence = (seconds: number): Int16Array => new Int16Array(24_000 * seconds);

function noise(seconds: number, dbfs: number): Int16Array {
  let seed = 1;
  const peak = 32_768 * 10 ** (dbfs / 20) * Math.sqrt(3);
  return silence(seconds).map(() => {
    seed = (seed * 48_271) % 2_147_483_647;
    return Math.round((2 * (seed / 2_147_483_647) - 1) * peak);
  });
}

/** Sentences at a level, each followed by half a second of the room, for about `seconds`. */
function talk(seconds: number, dbfs: number, roomDbfs = -70): Int16Array {
  const sentence = [...gain(speech, dbfs - dbOf(speech)), ...new Int16Array(12_000)];
  const words = Int16Array.from({ length: 24_000 * seconds }, (_, i) => sentence[i % sentence.length] ?? 0);
  const room = noise(seconds, roomDbfs);
  return words.map((sample, i) => Math.max(-32_768, Math.min(32_767, sample + (room[i] ?? 0))));
}

/** @returns what was told, with the second in which it was told */
function check(...parts: readonly Int16Array[]): string[] {
  const mic = new MicCheck({ quietDbfs: -40, silentMs: 5000 });
  const told: string[] = [];
  let frames = 0;
  for (const pcm of parts)
    for (let at = 0; at + 480 <= pcm.length; at += 480) {
      frames += 1;
      for (const { type, code } of mic.push(pcm.subarray(at, at + 480)))
        told.push(`${Math.floor(frames / 50)} ${type} ${code}`);
    }
  return told;
}
const kinds = (told: readonly string[]): string[] => told.map((line) => line.replace(/^\d+ /, ''));

test('speech at usual levels is no problem, in a quiet room or beside a fan', () => {
  for (const dbfs of [-36, -30, -20, -14]) assert.deepEqual(check(talk(30, dbfs)), [], `${dbfs} dBFS`);
  assert.deepEqual(check(talk(30, -25, -45)), []);
});

test('speech at -44 dBFS is told as too quiet, once, within seconds; louder speech ends it', () => {
  for (const roomDbfs of [-90, -70, -60]) {
    const told = check(talk(40, -44, roomDbfs), talk(20, -25, roomDbfs));
    assert.deepEqual(kinds(told), ['problem too-quiet', 'recovered too-quiet'], `room ${roomDbfs} dBFS`);
    assert.ok(Number.parseInt(told[0] ?? '', 10) <= 8, told[0]);
    assert.ok(Number.parseInt(told[1] ?? '', 10) <= 50, told[1]);
  }
});

test('a room without speech is no problem, and neither is a distant voice after a near one', () => {
  for (const dbfs of [-70, -50, -30]) assert.deepEqual(check(noise(30, dbfs)), [], `${dbfs} dBFS`);
  assert.deepEqual(check(talk(20, -25), talk(25, -46)), []);
});

test('digital silence is told after 5 s, or after 30 s when sound was heard before; any sound ends it', () => {
  assert.deepEqual(check(silence(60)), ['5 problem silent']);
  assert.deepEqual(check(silence(6), noise(2, -60)), ['5 problem silent', '6 recovered silent']);
  assert.deepEqual(check(noise(2, -60), silence(29)), []);
  assert.deepEqual(check(noise(2, -60), silence(40)), ['32 problem silent']);
});

test('distorted speech is told as clipped; a single loud word is not', () => {
  assert.deepEqual(kinds(check(talk(20, 0), talk(30, -20))), ['problem clipped', 'recovered clipped']);
  assert.deepEqual(check(talk(10, -20), gain(speech.subarray(0, 9600), 20), talk(20, -20)), []);
});
