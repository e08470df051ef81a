import { execFileSync } from 'node:child_process';
import { requireTool } from './tools.js';

const OUTPUT = { maxBuffer: 1024 * 1024 * 1024, stdio: ['ignore', 'pipe', 'pipe'] as ['ignore', 'pipe', 'pipe'] };

/** Every frame of a video as 8-bit luma. */
export function readLuma(path: string, width: number, height: number): Uint8Array[] {
  const raw = execFileSync(
    requireTool('ffmpeg'),
    ['-v', 'error', '-i', path, '-f', 'rawvideo', '-pix_fmt', 'gray', '-'],
    OUTPUT,
  );
  const frames: Uint8Array[] = [];
  for (let at = 0; at + width * height <= raw.length; at += width * height)
    frames.push(raw.subarray(at, at + width * height));
  return frames;
}

/** The audio of a video as PCM16 mono at 24 kHz. */
export function readSound(path: string): Int16Array {
  const raw = execFileSync(
    requireTool('ffmpeg'),
    ['-v', 'error', '-i', path, '-f', 's16le', '-ac', '1', '-ar', '24000', '-'],
    OUTPUT,
  );
  return new Int16Array(raw.buffer.slice(raw.byteOffset, raw.byteOffset + raw.byteLength - (raw.byteLength % 2)));
}

/** Measures how open a mouth looks: share of pixels in the box clearly darker than its median. */
export function mouthOpening(luma: Uint8Array, width: number, box: readonly [number, number, number, number]): number {
  const [x0, y0, w, h] = box;
  const pixels: number[] = [];
  for (let y = y0; y < y0 + h; y++) for (let x = x0; x < x0 + w; x++) pixels.push(luma[y * width + x] ?? 0);
  const median = [...pixels].sort((a, b) => a - b)[pixels.length >> 1] ?? 0;
  return pixels.filter((value) => value < 0.62 * median).length / pixels.length;
}

/** Root mean square of the audio under each video frame, 0..1. */
export function loudness(pcm: Int16Array, fps: number, frames: number): number[] {
  const samples = 24_000 / fps;
  return Array.from({ length: frames }, (_, frame) => {
    const slice = pcm.subarray(frame * samples, (frame + 1) * samples);
    return Math.sqrt(slice.reduce((sum, s) => sum + (s / 32768) ** 2, 0) / Math.max(1, slice.length));
  });
}
