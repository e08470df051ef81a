/** What `talkmesh render` says before it starts anything: exit codes and messages of the real program. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, truncateSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { modelManifest } from '@talkmesh/contracts';
import { encodeWav } from '@talkmesh/media';
import { ROOT } from '../mesh.js';
import { Scratch } from '../testing.js';

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
      env: { ...process.env, TALKMESH_MODEL: '', ...env },
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

const render = (flags: Record<string, string | true>, env: NodeJS.ProcessEnv = {}): Promise<Result> => {
  const all: Record<string, string | true> = { avatar, audio: good, out, ...flags };
  return run(
    ['render', ...Object.entries(all).flatMap(([flag, value]) => [`--${flag}`, ...(value === true ? [] : [value])])],
    env,
  );
};

async function refuses(code: number, message: RegExp, ...args: Parameters<typeof render>): Promise<void> {
  const result = await render(...args);
  assert.equal(result.code, code, result.stderr);
  assert.match(result.stderr, message);
  assert.doesNotMatch(result.stderr, /nats-server|\n\s+at /, 'it started something, or showed a stack');
}

function withHeader(change: (view: DataView) => void): Uint8Array {
  const bytes = wav(0.5);
  change(new DataView(bytes.buffer));
  return bytes;
}

test('audio that cannot be used is refused with exit code 2 and the reason', async () => {
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
    ['too-slow.wav', wav(1, 4000), /too-slow\.wav: .*8000 to 48000 Hz/],
    ['too-fast.wav', wav(0.1, 96_000), /too-fast\.wav: .*8000 to 48000 Hz/],
    ['surround.wav', withHeader((view) => view.setUint16(22, 6, true)), /surround\.wav: .*mono or stereo/],
    ['mulaw.wav', withHeader((view) => view.setUint16(20, 7, true)), /mulaw\.wav: .*format 7/],
    ['missing.wav', undefined, /missing\.wav: there is no such file/],
    ['hours.wav', undefined, /hours\.wav: .*7200\.0 s.*raise --max-minutes/],
  ];
  for (let at = 0; at < cases.length; at += 3)
    await Promise.all(
      cases.slice(at, at + 3).map(([name, content, message]) => {
        const audio = content === undefined ? join(scratch.path, name) : scratch.write(name, content);
        return refuses(2, message, { audio });
      }),
    );
});

test('flags that make no sense are refused with exit code 2', async () => {
  const cases: readonly [flags: Record<string, string | true>, message: RegExp][] = [
    [{ avatar: 'nobody' }, new RegExp(`no avatar "nobody"; there are: .*${avatar}`)],
    [{ avatar: '' }, /--avatar is missing/],
    [{ picture: out }, /--avatar and --picture are two ways/],
    [{ landmarks: '1,2 3,4 5,6' }, /--landmarks goes with --picture/],
    [{ out: join(scratch.path, 'talk.avi') }, /--out is the name of an \.mp4 file/],
    [{ out: join(scratch.path, 'no/such/folder/talk.mp4') }, /--out: .*cannot be written to \(ENOENT\)/],
    [{ seed: '-1' }, /--seed/],
    [{ 'max-minutes': '0' }, /--max-minutes/],
    [{ 'max-minutes': '0.005' }, /good\.wav: .*raise --max-minutes/],
    [{ url: 'http://127.0.0.1:1' }, /--url needs --grpc/],
    [{ url: 'ftp://x', grpc: '127.0.0.1:1', key: 'k' }, /--url is http/],
    [{ fast: true }, /--fast/],
  ];
  for (let at = 0; at < cases.length; at += 3)
    await Promise.all(cases.slice(at, at + 3).map(([flags, message]) => refuses(2, message, flags)));
});

test('a missing program, model or gateway is a failure: exit code 1', async () => {
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

test('the refusals of a gateway are told in its words', async () => {
  const server = createServer((request, response) => {
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
    await refuses(2, /no avatar "zoe"; there are: mia/, { ...remote, key: 'right-key', avatar: 'zoe' });
  } finally {
    server.close();
  }
});

test('the program itself: help, version, unknown commands', async () => {
  const [help, version, unknown, none, renderHelp] = await Promise.all([
    run(['--help'], {}, TALKMESH),
    run(['--version'], {}, TALKMESH),
    run(['dance'], {}, TALKMESH),
    run([], {}, TALKMESH),
    run(['render', '--help'], {}, TALKMESH),
  ]);
  assert.match(help.stdout, /talkmesh demo[\s\S]*talkmesh render[\s\S]*talkmesh bench/);
  assert.deepEqual([help.code, none.code, none.stdout], [0, 0, help.stdout]);
  assert.match(version.stdout, /^\d+\.\d+\.\d+\n$/);
  assert.equal(unknown.code, 2);
  assert.match(unknown.stderr, /no command "dance"; use demo, render, bench/);
  assert.match(renderHelp.stdout, /--seed/);
});
