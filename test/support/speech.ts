import { execFileSync } from 'node:child_process';
import { encodeWav, mixDown, parseWav, Resampler, toPcm16 } from '@talkmesh/media';
import { requireTool } from './tools.js';

/** Speech of espeak-ng as PCM16 mono at 24 kHz. */
export function speak(text: string, voice = 'en-us'): Int16Array {
  const wav = execFileSync(requireTool('espeak-ng'), ['-v', voice, '--stdout', text], { maxBuffer: 64 * 1024 * 1024 });
  const { sampleRateHz, samples } = parseWav(wav);
  const resampler = new Resampler(sampleRateHz, 24_000);
  const parts = [resampler.push(mixDown(samples)), resampler.flush()];
  const joined = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return toPcm16(joined);
}

export const silence = (seconds: number): Int16Array => new Int16Array(Math.round(seconds * 24_000));

export function concatenate(...parts: readonly Int16Array[]): Int16Array {
  const all = new Int16Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** A WAV of `seconds` of continuous talk at 24 kHz mono. */
export const talkWav = (seconds: number): Uint8Array => encodeWav(talk(seconds), 24_000);

export function talk(seconds: number): Int16Array {
  const sentence = speak('The quick brown fox jumps over the lazy dog, and my mother bought some more blue bottles. ');
  const copies = Math.ceil((seconds * 24_000) / sentence.length);
  const long = concatenate(...Array.from({ length: copies }, () => sentence));
  return long.subarray(0, seconds * 24_000);
}
