import { SPEECH_RATE_HZ } from '@talkmesh/contracts';

export interface VideoFormat {
  readonly width: number;
  readonly height: number;
  readonly fps: number;
}

/**
 * Video and audio are written alternately to two pipes. If ffmpeg waited for one pipe while the other is full, both sides would block.
 * So it must not read ahead to detect formats, and its packet queues must be longer than its look-ahead.
 */
const NO_READ_AHEAD = ['-probesize', '32', '-analyzeduration', '0', '-thread_queue_size', '512'];
const MATRIX = 'smpte170m';

/** Arguments with which ffmpeg reads I420 frames from pipe 0 and PCM16 mono at 24 kHz from pipe 3, and maps both to the output. */
export function rawInputs({ width, height, fps }: VideoFormat): string[] {
  return [
    ...['-hide_banner', '-loglevel', 'error', '-nostats', '-y'],
    ...[...NO_READ_AHEAD, '-f', 'rawvideo', '-pixel_format', 'yuv420p', '-video_size', `${width}x${height}`],
    ...['-framerate', String(fps), '-i', 'pipe:0'],
    ...[...NO_READ_AHEAD, '-f', 's16le', '-ar', String(SPEECH_RATE_HZ), '-ac', '1', '-i', 'pipe:3'],
    ...['-map', '0:v', '-map', '1:a'],
  ];
}

/** Arguments that say how the colours of the mesh's frames are coded (BT.601, 16 to 235). */
export const COLOURS: readonly string[] = [
  ...['-pix_fmt', 'yuv420p', '-color_range', 'tv', '-colorspace', MATRIX],
  ...['-color_primaries', MATRIX, '-color_trc', MATRIX],
];

/** Whether an ffmpeg has an encoder. @param listing what its `-encoders` prints */
export const hasEncoder = (listing: string, name: string): boolean =>
  new RegExp(`^ [VAS.][A-Z.]{5} ${name} `, 'm').test(listing);
