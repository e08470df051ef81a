import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { MeshError, type ModelManifest, type PictureSize, pictureSizes, SPEECH_RATE_HZ } from '@talkmesh/contracts';
import { listenForEnd } from '../ending.js';
import { type Mesh, startMesh } from '../mesh.js';
import { readManifest } from '../render/avatars.js';
import { GatewayClient } from '../render/gateway-client.js';
import { recordSession } from '../render/recorded-session.js';
import { findOrInstall } from '../system-package.js';
import { findLoop, loopFrames, thumbnail } from './seamless-loop.js';

/** Idle motion that is recorded, to choose from, and the bounds of the part that is kept, seconds. */
const RECORDED_SECONDS = 40;
const [MIN_SECONDS, MAX_SECONDS, BLEND_SECONDS] = [5, 8, 0.4];
/** Frames are compared in blocks of so many pixels a side, at the model's own size. */
const BLOCK = 8;
/** Constant quality of AV1, 0 to 63. */
const QUALITY = '38';
const FFMPEG = {
  program: 'ffmpeg',
  missing: 'writing AVIF needs the program ffmpeg',
  elsewhere: 'install it, for example: apt-get install ffmpeg',
};

/**
 * Records every avatar of a model in silence at its largest size, by a mesh of the model itself, and writes the loops beside their pictures
 * (`avatars/ID.idle.avif`), with the names in `avatars/avatars.json` and `model.json`.
 * @throws MeshError MODEL_INVALID, TOOL_MISSING, and what a session may throw
 */
export async function recordIdle(folder: string, say: (line: string) => void): Promise<void> {
  const manifest = readManifest(folder);
  const size = pictureSizes(manifest).at(-1) as PictureSize;
  const ffmpeg = await findOrInstall(FFMPEG, process.env, say);
  let mesh: Mesh | undefined;
  using ending = listenForEnd(() => mesh?.kill());
  try {
    mesh = await startMesh({ model: folder, say, signal: ending.signal });
    using client = new GatewayClient(mesh);
    const made = new Map<string, string>();
    for (const [index, { id, image }] of manifest.avatars.entries()) {
      const path = image.replace(/(\.[^./]*)?$/, '.idle.avif');
      const frames = await idleFrames(client, { avatar: id, size: size.size, seed: index }, ending.signal);
      const thumbnails = frames.map((frame) => thumbnail(frame, size.width, size.height, BLOCK * size.scale));
      const [minFrames, maxFrames, blendFrames] = [MIN_SECONDS, MAX_SECONDS, BLEND_SECONDS].map((seconds) =>
        Math.round(seconds * manifest.fps),
      ) as [number, number, number];
      // The first second still comes from the resting picture.
      const loop = findLoop(thumbnails, { minFrames, maxFrames, blendFrames: Math.max(blendFrames, manifest.fps) });
      const avif = await encode(ffmpeg, loopFrames(frames, loop, blendFrames), { ...size, fps: manifest.fps });
      await writeFile(join(folder, path), avif);
      made.set(id, path);
      say(
        `${path}: ${(loop.length / manifest.fps).toFixed(1)} s, ${Math.round(avif.length / 1000)} KB, seam ${loop.seam.toFixed(1)} of 255`,
      );
    }
    await nameInManifest(folder, made);
  } finally {
    await mesh?.stop();
    await mesh?.removeLogs();
  }
}

async function idleFrames(
  client: GatewayClient,
  wanted: { readonly avatar: string; readonly size: number; readonly seed: number },
  signal: AbortSignal,
): Promise<Uint8Array[]> {
  const pcm = new Int16Array(RECORDED_SECONDS * SPEECH_RATE_HZ);
  const speech = { pcm, seconds: RECORDED_SECONDS };
  const frames: Uint8Array[] = [];
  await recordSession({ ...wanted, badge: false, speech, client, signal }, async ({ i420 }) => {
    frames.push(i420);
  });
  return frames;
}

/** An AVIF image sequence that repeats without end. @throws MeshError TOOL_MISSING with ffmpeg's own words */
async function encode(
  ffmpeg: string,
  frames: readonly Uint8Array[],
  { width, height, fps }: Pick<ModelManifest, 'width' | 'height' | 'fps'>,
): Promise<Buffer> {
  const matrix = 'smpte170m';
  const args = [
    ...['-hide_banner', '-loglevel', 'error', '-nostats', '-f', 'rawvideo', '-pixel_format', 'yuv420p'],
    ...['-video_size', `${width}x${height}`, '-framerate', String(fps), '-i', 'pipe:0'],
    ...['-c:v', 'libaom-av1', '-crf', QUALITY, '-b:v', '0', '-cpu-used', '3', '-g', '9999', '-pix_fmt', 'yuv420p'],
    ...['-color_range', 'tv', '-colorspace', matrix, '-color_primaries', matrix, '-color_trc', matrix],
  ];
  // The muxer seeks in its output, so it needs a file.
  const path = join(await mkdtemp(join(tmpdir(), 'talkmesh-idle-')), 'idle.avif');
  const child = spawn(ffmpeg, [...args, '-f', 'avif', path], { stdio: ['pipe', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (part: Buffer) => {
    stderr += part.toString();
  });
  child.stdin.on('error', () => {});
  child.stdin.end(Buffer.concat(frames));
  const [code] = (await once(child, 'close')) as [number | null];
  try {
    if (code !== 0)
      throw new MeshError('TOOL_MISSING', `ffmpeg cannot write AVIF (${stderr.trim()}): install one with libaom-av1`);
    return await readFile(path);
  } finally {
    await rm(dirname(path), { recursive: true });
  }
}

/** The recordings are listed as files of the model, and leave its version as it is: they are a view of it, not a part. */
async function nameInManifest(folder: string, made: ReadonlyMap<string, string>): Promise<void> {
  const named = (avatars: readonly { readonly id: string }[]): object[] =>
    avatars.map((avatar) => ({ ...avatar, idle: made.get(avatar.id) }));
  const rewrite = async (path: string, change: (value: never) => unknown): Promise<void> => {
    const value = JSON.parse(await readFile(join(folder, path), 'utf8')) as never;
    await writeFile(join(folder, path), `${JSON.stringify(change(value), undefined, 2)}\n`);
  };
  const paths = [...made.values()];
  const facts = await Promise.all(
    paths.map(async (path) => {
      const bytes = await readFile(join(folder, path));
      return { path, bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
    }),
  );
  // A checkpoint that was imported has its avatars in the manifest only.
  if (existsSync(join(folder, 'avatars/avatars.json'))) await rewrite('avatars/avatars.json', named);
  await rewrite('model.json', (manifest: ModelManifest) => ({
    ...manifest,
    files: [...manifest.files.filter(({ path }) => !paths.includes(path)), ...facts],
    avatars: named(manifest.avatars),
  }));
}
