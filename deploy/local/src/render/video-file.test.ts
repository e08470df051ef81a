import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MeshError } from '@talkmesh/contracts';
import { Scratch } from '../testing.js';
import { type Encoder, findEncoder, VideoFile } from './video-file.js';

const scratch = new Scratch();
after(() => scratch[Symbol.dispose]());

const FORMAT = { width: 64, height: 48, fps: 25 };
const never = new AbortController().signal;
const picture = (luma: number): Uint8Array => new Uint8Array((64 * 48 * 3) / 2).fill(128).fill(luma, 0, 64 * 48);
const hum = (frame: number): Uint8Array =>
  new Uint8Array(Int16Array.from({ length: 960 }, (_, i) => 8000 * Math.sin((frame * 960 + i) / 20)).buffer);

interface Probe {
  readonly streams: readonly { readonly codec_name: string; readonly nb_frames: string; readonly duration: string }[];
}

function probe(path: string): Probe {
  return JSON.parse(
    execFileSync('ffprobe', ['-v', 'error', '-show_streams', '-of', 'json', path], { encoding: 'utf8' }),
  ) as Probe;
}

test('all frames and their audio are in the file, however slowly they arrive, and the file name appears at the end', async () => {
  const path = join(scratch.path, 'slow.mp4');
  await using file = new VideoFile(path, await findEncoder(() => undefined), FORMAT, never);
  for (let frame = 0; frame < 30; frame++) {
    await file.write(picture(16 + 7 * frame), hum(frame));
    if (frame < 5) await sleep(100);
  }
  assert.equal(existsSync(path), false);
  await file.finish();
  const [video, audio] = probe(path).streams;
  assert.deepEqual([video?.codec_name, video?.nb_frames], ['h264', '30']);
  assert.equal(audio?.codec_name, 'aac');
  assert.ok(Math.abs(Number(audio?.duration) - 30 / 25) < 0.05, audio?.duration);
  const yuv = execFileSync('ffmpeg', ['-v', 'error', '-i', path, '-f', 'rawvideo', '-pix_fmt', 'yuv420p', '-']);
  for (const frame of [0, 10, 29])
    assert.ok(Math.abs((yuv[frame * 64 * 48 * 1.5 + 1000] ?? 0) - (16 + 7 * frame)) <= 3, `frame ${frame}`);
});

test('an abort rejects pending writes and leaves no file', async () => {
  const abort = new AbortController();
  const stuck: Encoder = { ffmpeg: scratch.program('stuck-ffmpeg', 'exec sleep 60'), codec: 'libx264' };
  const path = join(scratch.path, 'aborted.mp4');
  const file = new VideoFile(path, stuck, { width: 640, height: 480, fps: 25 }, abort.signal);
  setTimeout(() => abort.abort(), 300);
  await assert.rejects(async () => {
    for (let frame = 0; frame < 20; frame++) await file.write(new Uint8Array(640 * 480 * 1.5), hum(frame));
  }, /ffmpeg ended early \(SIGKILL\)/);
  await file[Symbol.asyncDispose]();
  assert.deepEqual(
    readdirSync(scratch.path).filter((name) => name.startsWith('aborted')),
    [],
  );
});

test('the error output of ffmpeg is part of the error message', async () => {
  const broken: Encoder = {
    ffmpeg: scratch.program('broken-ffmpeg', 'echo "No space left on device" >&2; exit 1'),
    codec: 'libx264',
  };
  await using file = new VideoFile(join(scratch.path, 'broken.mp4'), broken, FORMAT, never);
  await assert.rejects(async () => {
    for (let frame = 0; frame < 100; frame++) await file.write(picture(50), hum(frame));
    await file.finish();
  }, /ffmpeg ended early \(1\): No space left on device/);
});

test('without H.264 the video is MPEG-4; without ffmpeg or AAC the message names what to install', async () => {
  const path = process.env['PATH'];
  const encoders = (list: string): string => scratch.program('ffmpeg', `printf '${list}'`);
  const refused = (message: RegExp) => (error: unknown) => {
    assert.ok(error instanceof MeshError && error.reason === 'TOOL_MISSING');
    assert.match(error.message, message);
    return true;
  };
  process.env['PATH'] = scratch.path;
  try {
    await assert.rejects(
      findEncoder(() => undefined),
      refused(/needs the program ffmpeg.*apt-get install ffmpeg/),
    );
    encoders(' V....D mpeg4                MPEG-4 part 2\\n A....D aac                  AAC\\n');
    assert.equal((await findEncoder(() => undefined)).codec, 'mpeg4');
    encoders(' V....D mpeg4                MPEG-4 part 2\\n');
    await assert.rejects(
      findEncoder(() => undefined),
      refused(/AAC.*apt-get install ffmpeg/),
    );
    encoders(' A....D aac                  AAC\\n');
    await assert.rejects(
      findEncoder(() => undefined),
      refused(/neither H\.264 nor MPEG-4/),
    );
  } finally {
    process.env['PATH'] = path;
  }
  const mpeg4: Encoder = { ffmpeg: (await findEncoder(() => undefined)).ffmpeg, codec: 'mpeg4' };
  const out = join(scratch.path, 'mpeg4.mp4');
  await using file = new VideoFile(out, mpeg4, FORMAT, never);
  for (let frame = 0; frame < 5; frame++) await file.write(picture(100), hum(frame));
  await file.finish();
  assert.equal(probe(out).streams[0]?.codec_name, 'mpeg4');
});
