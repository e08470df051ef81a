import { execFile } from 'node:child_process';
import { basename, extname } from 'node:path';
import { promisify } from 'node:util';
import { MeshError } from '@talkmesh/contracts';
import type { NewAvatar } from '@talkmesh/inference';
import { findOrInstall } from './system-package.js';

const FFMPEG = {
  program: 'ffmpeg',
  missing: 'cutting pictures needs the program ffmpeg',
  elsewhere: 'install it, for example: apt-get install ffmpeg',
};
const DEADLINE_MS = 30_000;
const MAX_PNG_BYTES = 64 * 2 ** 20;

/**
 * Makes an avatar of a picture file: the largest square in its middle, scaled. Its id is the name of the file.
 * @param size width and height of the model @throws MeshError PICTURE_INVALID, TOOL_MISSING
 */
export async function avatarOfPicture(path: string, size: number, say: (line: string) => void): Promise<NewAvatar> {
  const name = basename(path, extname(path));
  const id = name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '')
    .slice(0, 40);
  if (id === '')
    throw new MeshError('PICTURE_INVALID', `${path}: rename the file, its name becomes that of the avatar`);
  const ffmpeg = await findOrInstall(FFMPEG, process.env, say);
  const square = `crop='min(iw,ih)':'min(iw,ih)',scale=${size}:${size}:flags=lanczos,format=rgb24`;
  const args = [
    '-v',
    'error',
    '-i',
    `file:${path}`,
    '-frames:v',
    '1',
    '-vf',
    square,
    '-c:v',
    'png',
    '-f',
    'image2pipe',
    '-',
  ];
  try {
    const { stdout } = await promisify(execFile)(ffmpeg, args, {
      encoding: 'buffer',
      maxBuffer: MAX_PNG_BYTES,
      timeout: DEADLINE_MS,
    });
    return { id, name, png: stdout };
  } catch (cause) {
    const said = (cause as { stderr?: Buffer }).stderr?.toString().trim() || (cause as Error).message;
    const [why] = said.split('\n');
    throw new MeshError('PICTURE_INVALID', `${path} cannot be read as a picture (${why}); use a PNG or JPEG file`, {
      cause,
    });
  }
}
