import { accessSync, constants, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { UsageError } from '../cli-errors.js';

export const RENDER_HELP = `talkmesh render --avatar NAME | --picture FILE  --audio speech.wav --out talk.mp4
  Makes a video of the avatar speaking a WAV file (8 to 192 kHz, mono or stereo; integers, floats, mu-law, A-law).
  --picture FILE      a PNG or JPEG picture to use instead of an avatar; it is deleted from the mesh afterwards
  --landmarks "X,Y X,Y X,Y"
                      mouth, left eye and right eye (left and right as you see them), in pixels of the picture;
                      needed when they are not found automatically
  --seed N            the same seed and audio give the same frames (default 0)
  --max-minutes N     longest audio accepted (default 30)
  --json              print a summary as JSON on stdout instead of progress
  --url http://HOST:PORT --grpc HOST:PORT --key KEY
                      render on a mesh that is already running (the key may also come from TALKMESH_API_KEY)`;

export interface RemoteMesh {
  readonly httpUrl: string;
  readonly grpcAddress: string;
  readonly apiKey: string;
}

export interface OwnPicture {
  readonly path: string;
  /** Undefined lets the mesh detect them. */
  readonly landmarks: PictureLandmarks | undefined;
}

export interface PictureLandmarks {
  readonly mouth: readonly [number, number];
  readonly leftEye: readonly [number, number];
  readonly rightEye: readonly [number, number];
}

export interface RenderOptions {
  /** Id of an avatar of the model, or a picture to make an avatar of. */
  readonly avatar: string | OwnPicture;
  readonly audioPath: string;
  readonly outPath: string;
  readonly seed: number;
  readonly maxSeconds: number;
  readonly json: boolean;
  /** The mesh to render on; undefined starts one for this render only. */
  readonly remote: RemoteMesh | undefined;
}

const MAX_MINUTES = 24 * 60;

/** @throws UsageError, and Node's ERR_PARSE_ARGS_* for unknown flags */
export function parseRenderArgs(args: readonly string[], env: NodeJS.ProcessEnv): RenderOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      avatar: { type: 'string' },
      picture: { type: 'string' },
      landmarks: { type: 'string' },
      audio: { type: 'string' },
      out: { type: 'string' },
      seed: { type: 'string', default: '0' },
      'max-minutes': { type: 'string', default: '30' },
      json: { type: 'boolean', default: false },
      url: { type: 'string' },
      grpc: { type: 'string' },
      key: { type: 'string' },
    },
  });
  return {
    avatar: avatarOf(values.avatar, values.picture, values.landmarks),
    audioPath: resolve(required('--audio', values.audio)),
    outPath: checkOutput(resolve(required('--out', values.out))),
    seed: wholeNumber('--seed', values.seed, Number.MAX_SAFE_INTEGER),
    maxSeconds: 60 * positive('--max-minutes', values['max-minutes'], MAX_MINUTES),
    json: values.json,
    remote: remoteMesh(values.url, values.grpc, values.key ?? env['TALKMESH_API_KEY']),
  };
}

function avatarOf(
  avatar: string | undefined,
  picture: string | undefined,
  landmarks: string | undefined,
): RenderOptions['avatar'] {
  if (picture === undefined) {
    if (landmarks !== undefined) throw new UsageError('--landmarks can only be used with --picture');
    return required('--avatar', avatar);
  }
  if (avatar !== undefined) throw new UsageError('--avatar and --picture exclude each other; give one of them');
  const path = resolve(required('--picture', picture));
  if (!statSync(path, { throwIfNoEntry: false })?.isFile()) throw new UsageError(`--picture: there is no file ${path}`);
  return { path, landmarks: landmarks === undefined ? undefined : parseLandmarks(landmarks) };
}

function parseLandmarks(text: string): PictureLandmarks {
  const points = text
    .trim()
    .split(/[\s;]+/)
    .map((point) => point.split(',').map(Number) as [number, number]);
  if (points.length !== 3 || points.some((point) => point.length !== 2 || !point.every((n) => n >= 0)))
    throw new UsageError(
      '--landmarks must have the form "X,Y X,Y X,Y": mouth, left eye, right eye in pixels of the picture',
    );
  const [mouth, leftEye, rightEye] = points as [[number, number], [number, number], [number, number]];
  return { mouth, leftEye, rightEye };
}

function required(flag: string, value: string | undefined): string {
  if (value !== undefined && value !== '') return value;
  throw new UsageError(`${flag} is missing\n\n${RENDER_HELP}`);
}

/** @throws UsageError */
export function wholeNumber(flag: string, text: string, max: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value <= max) return value;
  throw new UsageError(`${flag} must be a whole number from 0 to ${max}, not ${text}`);
}

function positive(flag: string, text: string, max: number): number {
  const value = Number(text);
  if (value > 0 && value <= max) return value;
  throw new UsageError(`${flag} must be a number above 0 and at most ${max}, not ${text}`);
}

/** Checks the output path before the render, which may take minutes. */
function checkOutput(path: string): string {
  if (!path.endsWith('.mp4')) throw new UsageError(`--out must name an .mp4 file, not ${path}`);
  const folder = dirname(path);
  try {
    if (!statSync(folder).isDirectory()) throw new UsageError(`--out: ${folder} is not a folder`);
    accessSync(folder, constants.W_OK);
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`--out: ${folder} cannot be written to (${(error as NodeJS.ErrnoException).code})`);
  }
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) throw new UsageError(`--out: ${path} is a folder`);
  return path;
}

/** @returns undefined without --url. @throws UsageError */
export function remoteMesh(
  url: string | undefined,
  grpc: string | undefined,
  key: string | undefined,
): RemoteMesh | undefined {
  if (url === undefined) {
    if (grpc !== undefined) throw new UsageError('--grpc can only be used with --url');
    return undefined;
  }
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
    throw new UsageError(`--url must be the http://HOST:PORT of a gateway, not ${url}`);
  if (grpc === undefined || !/^[^\s:/]+:\d+$/.test(grpc))
    throw new UsageError('--url needs --grpc HOST:PORT, the gRPC endpoint of the same gateway');
  if (!key) throw new UsageError('--url needs --key KEY (or TALKMESH_API_KEY)');
  return { httpUrl: url.replace(/\/+$/, ''), grpcAddress: grpc, apiKey: key };
}
