/** Exit codes and messages of `talkmesh render` when it fails before it starts a mesh. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, truncateSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { modelManifest } from '@talkmesh/contracts';
import { encodeWav } from '@talkmesh/media';
import { explain } from '../cli-errors.js';
import { ROOT } from '../mesh.js';
import { Scratch } from '../testing.js';
import { render } from './render.js';

const scratch = new Scratch();
after(() => scratch[Symbol.dispose]());

const CLI = fileURLToPath(new URL('../cli.ts', import.meta.url));
const TALKMESH = fileURLToPath(new URL('../../bin/talkmesh.mjs', import.meta.url));
const manifest = modelManifest.parse(JSON.parse(readFileSync(join(ROOT, 'models/nano/model.json'), 'utf8')));
const avatar = manifest.avatars[0]?.id ?? '';
const out = join(scratch.path, 'talk.mp4');
const wav = (seconds: number, rateHz = 24_000): Uint8Array => encodeWav(new Int16Array(seconds * rateHz), rateHz);
const good = scratch.write('good.wav', wav(0.5));

interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run(args: readonly string[], env: NodeJS.ProcessEnv = {}, program?: string): Promise<Result> {
  const flags = ['--import', import.meta.resolve('tsx'), '--conditions=source'];
  const command = program === undefined ? [...flags, CLI] : [program];
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...command, ...args], {
      // As below `npm test`, whose launcher is not the parent of this process.
      env: { ...process.env, TALKMESH_MODEL: '', TALKMESH_PARENT_PID: '2', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 60_000,
    });
    const result = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const)
      child[name].on('data', (part: Buffer) => {
        result[name] += part.toString();
      });
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, ...result }));
  });
}

type Flags = Record<string, string | true>;

const argumentsOf = (flags: Flags): string[] =>
  Object.entries<string | true>({ avatar, audio: good, out, ...flags }).flatMap(([flag, value]) => [
    `--${flag}`,
    ...(value === true ? [] : [value]),
  ]);

/** The program itself refuses, with this exit code and message. */
async function refuses(code: number, message: RegExp, flags: Flags, env: NodeJS.ProcessEnv = {}): Promise<void> {
  const result = await run(['render', ...argumentsOf(flags)], env);
  assert.equal(result.code, code, result.stderr);
  assert.match(result.stderr, message);
  assert.doesNotMatch(result.stderr, /nats-server|\n\s+at /, 'it started a service, or printed a stack trace');
}

/** The same without a process of its own, for many cases. */
async function refusesInput(message: RegExp, flags: Flags): Promise<void> {
  const thrown: unknown = await render(argumentsOf(flags)).then(
    () => assert.fail('it rendered'),
    (error: unknown) => error,
  );
  const explained = explain(thrown);
  assert.match(explained.message, message);
  assert.equal(explained.exitCode, 2);
}

function withHeader(change: (view: DataView) => void): Uint8Array {
  const bytes = wav(0.5);
  change(new DataView(bytes.buffer));
  return bytes;
}

test('unusable audio is refused with exit code 2 and the reason', async () => {
  const hours = scratch.write(
    'hours.wav',
    withHeader((view) => view.setUint32(40, 2 * 3600 * 48_000, true)),
  );
  truncateSync(hours, 44 + 2 * 3600 * 48_000);
  const cases: readonly [name: string, content: Uint8Array | undefined, message: RegExp][] = [
    [
      'text.wav',
      new TextEncoder().encode('Hello, I am a text file, whatever my name says.'),
      /text\.wav: .*not a RIFF\/WAVE/,
    ],
    ['empty.wav', new Uint8Array(0), /empty\.wav: .*empty/],
    ['no-samples.wav', wav(0), /no-samples\.wav: .*no samples/],
    ['cut.wav', wav(0.5).subarray(0, 1000), /cut\.wav: .*cut off/],
    ['short-header.wav', wav(0.5).subarray(0, 20), /short-header\.wav: /],
    ['too-slow.wav', wav(1, 4000), /too-slow\.wav: .*8000 to 192000 Hz/],
    ['too-fast.wav', wav(0.1, 200_000), /too-fast\.wav: .*8000 to 192000 Hz/],
    ['surround.wav', withHeader((view) => view.setUint16(22, 6, true)), /surround\.wav: .*mono or stereo/],
    ['mulaw.wav', withHeader((view) => view.setUint16(20, 7, true)), /mulaw\.wav: .*format 7/],
    ['missing.wav', undefined, /missing\.wav: there is no such file/],
    ['hours.wav', undefined, /hours\.wav: .*7200\.0 s.*raise --max-minutes/],
  ];
  for (const [name, content, message] of cases) {
    const audio = content === undefined ? join(scratch.path, name) : scratch.write(name, content);
    await refusesInput(message, { audio });
  }
  await refuses(2, /text\.wav: .*not a RIFF\/WAVE/, { audio: join(scratch.path, 'text.wav') });
});

test('invalid flags are refused with exit code 2', async () => {
  const cases: readonly [flags: Record<string, string | true>, message: RegExp][] = [
    [{ avatar: 'unknown' }, new RegExp(`no avatar "unknown"; available: .*${avatar}`)],
    [{ avatar: '' }, /--avatar is missing/],
    [{ picture: out }, /--avatar and --picture exclude each other/],
    [{ landmarks: '1,2 3,4 5,6' }, /--landmarks can only be used with --picture/],
    [{ out: join(scratch.path, 'talk.avi') }, /--out must name an \.mp4 file/],
    [{ out: join(scratch.path, 'no/such/folder/talk.mp4') }, /--out: .*cannot be written to \(ENOENT\)/],
    [{ seed: '-1' }, /--seed/],
    [{ size: 'large' }, /--size must be a whole number/],
    [{ size: '300' }, /nano makes no video of size 300; possible: 256, 512/],
    [{ 'max-minutes': '0' }, /--max-minutes/],
    [{ 'max-minutes': '0.005' }, /good\.wav: .*raise --max-minutes/],
    [{ url: 'http://127.0.0.1:1' }, /--url needs --grpc/],
    [{ url: 'ftp://x', grpc: '127.0.0.1:1', key: 'k' }, /--url must be the http/],
  ];
  for (const [flags, message] of cases) await refusesInput(message, flags);
  await refuses(2, /--fast/, { fast: true });
});

test('a missing program, model or gateway is a failure with exit code 1', async () => {
  await refuses(1, /apt-get install ffmpeg/, {}, { PATH: scratch.path });
  await refuses(1, /model\.json cannot be read .*TALKMESH_MODEL/, {}, { TALKMESH_MODEL: scratch.path });
  scratch.write('model.json', '{"schema": "talkmesh.model/1"}');
  await refuses(1, /model\.json: name /, {}, { TALKMESH_MODEL: scratch.path });
  const free = createServer().listen(0, '127.0.0.1');
  await once(free, 'listening');
  const { port } = free.address() as AddressInfo;
  free.close();
  const remote = { url: `http://127.0.0.1:${port}`, grpc: `127.0.0.1:${port}`, key: 'k' };
  await refuses(1, /http:\/\/127\.0\.0\.1:\d+\/v1\/avatars does not answer .*ECONNREFUSED/, remote);
});

test('the refusals of a gateway are shown with its message', async () => {
  const server = createServer(async (request, response) => {
    // Longer than the program takes to look whether its parent has exited.
    await sleep(700);
    const known = request.headers.authorization === 'Bearer right-key';
    response.writeHead(known ? 200 : 401, { 'content-type': known ? 'application/json' : 'application/problem+json' });
    const problem = { status: 401, reason: 'TOKEN_INVALID', detail: 'this API key is not known here' };
    response.end(JSON.stringify(known ? { fps: 25, avatars: [{ id: 'mia', name: 'Mia' }] } : problem));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  try {
    const { port } = server.address() as AddressInfo;
    const remote = { url: `http://127.0.0.1:${port}`, grpc: `127.0.0.1:${port}` };
    await refuses(1, /this API key is not known here/, { ...remote, key: 'wrong-key' });
    await refuses(2, /no avatar "zoe"; available: mia/, { ...remote, key: 'right-key', avatar: 'zoe' });
  } finally {
    server.close();
  }
});

test('the program prints its help and version, and refuses unknown commands', async () => {
  const [help, version, unknown, none, renderHelp] = await Promise.all([
    run(['--help'], {}, TALKMESH),
    run(['--version'], {}, TALKMESH),
    run(['dance'], {}, TALKMESH),
    run([], {}, TALKMESH),
    run(['render', '--help'], {}, TALKMESH),
  ]);
  assert.match(help.stdout, /talkmesh demo[\s\S]*talkmesh render[\s\S]*talkmesh smoke[\s\S]*talkmesh bench/);
  assert.deepEqual([help.code, none.code, none.stdout], [0, 0, help.stdout]);
  assert.match(version.stdout, /^\d+\.\d+\.\d+\n$/);
  assert.equal(unknown.code, 2);
  assert.match(unknown.stderr, /no command "dance"; use demo, render, verify, smoke, doctor, models, bench/);
  assert.match(renderHelp.stdout, /--seed/);
});
