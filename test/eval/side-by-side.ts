import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { requireTool } from '../support/tools.js';
import type { Evaluation } from './report.js';
import { type Clip, isMoved } from './rollout.js';

/** A clip to look at: the true motion and each model's frames beside each other, with the sound. */
export interface Video {
  readonly clip: Clip;
  /** File name in the folder of videos. */
  readonly file: string;
}

const RAW = ['-f', 'rawvideo', '-pix_fmt', 'yuv420p', '-s', '256x256', '-r', '25'];

/** Writes one MP4 (H.264, AAC) for each clip into `folder`: from left to right the true motion, then the models in their order. */
export async function writeVideos(
  clips: readonly Clip[],
  material: string,
  evaluations: readonly Evaluation[],
  folder: string,
): Promise<Video[]> {
  await mkdir(folder, { recursive: true });
  const ffmpeg = requireTool('ffmpeg');
  const videos: Video[] = [];
  for (const clip of clips) {
    // the true motion of people is decoded by each model; the decoder of the newest one is shown
    const truth = isMoved(clip) ? (evaluations.at(-1)?.folder as string) : join(material, 'clips');
    const pictures = [
      join(truth, `${clip.id}.truth.i420`),
      ...evaluations.map(({ folder: run }) => join(run, `${clip.id}.i420`)),
    ];
    const sound = ['-f', 's16le', '-ar', '24000', '-ac', '1', '-i', join(material, 'clips', `${clip.id}.pcm`)];
    const file = `${clip.id}.mp4`;
    await promisify(execFile)(ffmpeg, [
      ...['-v', 'error', '-y', ...pictures.flatMap((path) => [...RAW, '-i', path]), ...sound],
      ...['-filter_complex', `hstack=inputs=${pictures.length}`, '-map', `${pictures.length}:a`],
      ...['-c:v', 'libx264', '-crf', '20', '-pix_fmt', 'yuv420p', '-c:a', 'aac', '-b:a', '64k', '-shortest'],
      ...['-movflags', '+faststart', join(folder, file)],
    ]);
    videos.push({ clip, file });
  }
  return videos;
}
