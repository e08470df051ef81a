/** The example service in pipelines of Pipecat itself, in front of the real mesh. */
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { type Mesh, startMesh } from '../../deploy/local/src/mesh.js';
import { requirePipecat } from '../support/python-packages.js';
import { ROOMY } from '../support/roomy.js';
import { speak } from '../support/speech.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { requireTool } from '../support/tools.js';

const EXAMPLE = resolve('examples/pipecat');
const LIMIT_MS = 120_000;
const execute = promisify(execFile);

let mesh: Mesh;
let python: string;
before(async () => {
  python = await requirePipecat((line) => process.stderr.write(`${line}\n`));
  mesh = await startMesh({ quiet: true, env: ROOMY });
});
after(async () => {
  await mesh?.stop();
});

const runPython = (cwd: string, ...args: string[]) => {
  const env = { ...process.env, TALKMESH_URL: mesh.httpUrl, TALKMESH_API_KEY: mesh.apiKey };
  return execute(python, args, { cwd, env, timeout: LIMIT_MS });
};

test('the example bot says its lines with a face, to the last word', { timeout: 2 * LIMIT_MS }, async () => {
  const target = join(temporaryFolder('pipecat'), 'talk.mp4');
  const lines = ['Hello there!', 'I am a pipeline with a face.'];
  await runPython(EXAMPLE, 'bot.py', target, ...lines);
  const decode = (...format: string[]): Buffer =>
    execFileSync(requireTool('ffmpeg'), ['-v', 'error', '-i', target, ...format, '-'], { maxBuffer: 2 ** 28 });
  const pictures = decode('-f', 'rawvideo', '-pix_fmt', 'rgb24').length / (256 * 256 * 3);
  const pcm = decode('-f', 's16le', '-ar', '24000', '-ac', '1');
  assert.ok(Math.abs(pictures - pcm.length / 1920) < 3, `${pictures} pictures, ${pcm.length / 1920} pieces of sound`);
  const loudMs = (samples: Int16Array): number => {
    let blocks = 0;
    for (let at = 0; at + 480 <= samples.length; at += 480)
      if (samples.subarray(at, at + 480).some((sample) => Math.abs(sample) > 500)) blocks += 1;
    return 20 * blocks;
  };
  const heard = loudMs(new Int16Array(Uint8Array.from(pcm).buffer));
  const said = lines.reduce((sum, line) => sum + loudMs(speak(line)), 0);
  assert.ok(Math.abs(heard - said) < 0.1 * said, `${heard} ms of ${said} ms were heard`);
});

test('an interruption is silent at once; what is said then is heard, and the pipeline ends after it', {
  timeout: 2 * LIMIT_MS,
}, async () => {
  const { stdout } = await runPython(process.cwd(), 'test/support/pipecat-interruption.py', EXAMPLE);
  const found = JSON.parse(stdout) as {
    silentMs: number;
    spokenMs: number;
    pictures: number;
    picture: unknown[];
    audioFrames: string[];
    errors: string[];
  };
  console.log(`last loud frame ${Math.round(found.silentMs)} ms after the InterruptionFrame`);
  assert.ok(found.silentMs < 250, `${found.silentMs} ms`);
  assert.ok(Math.abs(found.spokenMs - 1000) <= 40, `${found.spokenMs} ms of 1000 ms`);
  assert.deepEqual(found.picture, [256, 256, 'RGB', 256 * 256 * 3]);
  assert.ok(found.pictures > 75, `${found.pictures} pictures`);
  assert.deepEqual(found.audioFrames, ['SpeechOutputAudioRawFrame']);
  assert.deepEqual(found.errors, []);
});
