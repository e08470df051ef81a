/** The npm package and the examples in Node and Python, as a stranger's project has them: beside the real LiveKit Agents, dispatched by a real server. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { encodeWav } from '@talkmesh/media';
import { until } from '@talkmesh/service-kit/testing';
import { CallTap } from '../support/call-tap.js';
import { openBrowser } from '../support/chromium.js';
import { freePort } from '../support/free-port.js';
import { requireLivekitAgents } from '../support/livekit-agents.js';
import { installPackage, packPackage } from '../support/packed-package.js';
import { requireLivekitAgentsPython } from '../support/python-packages.js';
import { rest } from '../support/record-call.js';
import { RoomMesh } from '../support/room-mesh.js';
import { endRoomLibrary, RoomViewer } from '../support/room-viewer.js';
import { concatenate, silence, speak } from '../support/speech.js';

const PATIENCE_MS = 120_000;
/** What the project has from LiveKit. */
const OTHERS = ['@livekit/agents', '@livekit/rtc-node', 'livekit-server-sdk'];
const execute = promisify(execFile);
const say = (line: string): void => void process.stderr.write(`${line}\n`);

let mesh: RoomMesh;
let folder: string;
before(async () => {
  const agents = await requireLivekitAgents(say);
  folder = await mkdtemp(join(tmpdir(), 'talkmesh-plugin-'));
  await installPackage(folder, await packPackage('livekit', folder), OTHERS, join(agents, 'node_modules'));
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
  mesh = await RoomMesh.start();
});
after(async () => {
  await mesh?.[Symbol.asyncDispose]();
  await endRoomLibrary();
  if (folder !== undefined) await rm(folder, { recursive: true });
});

test('the package compiles against the real types of LiveKit Agents', async () => {
  const source = join(folder, 'src');
  await cp('libs/livekit/src', source, { recursive: true, filter: (path) => !path.endsWith('agents.d.ts') });
  const options = { strict: true, noEmit: true, skipLibCheck: true, target: 'ES2022', module: 'Node16' };
  const types = { types: ['node'], typeRoots: [resolve('node_modules/@types')] };
  const config = { compilerOptions: { ...options, moduleResolution: 'Node16', ...types }, include: ['src'] };
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(config));
  await execute(process.execPath, [resolve('node_modules/typescript/bin/tsc'), '-p', folder]).catch(
    (error: { stdout: string }) => assert.fail(error.stdout),
  );
});

interface Sessions {
  readonly sessions: readonly { readonly id: string; readonly provider: string }[];
}

/** An example as a process of its own, as its first line says. */
function runExample(
  program: string,
  args: readonly string[],
  { cwd = folder, env = {} }: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {},
): { readonly process: ChildProcess; log: string } {
  const { server } = mesh;
  const child = spawn(program, args, {
    cwd,
    env: {
      ...env,
      ...{ PATH: process.env['PATH'], HOME: folder },
      ...{ LIVEKIT_URL: server.url, LIVEKIT_API_KEY: server.apiKey, LIVEKIT_API_SECRET: server.apiSecret },
      ...{ TALKMESH_URL: mesh.mesh.httpUrl, TALKMESH_API_KEY: mesh.mesh.apiKey },
    },
  });
  const run = { process: child, log: '' };
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data: Buffer) => {
      run.log += data.toString();
    });
  return run;
}

/** The example in `file` comes into a new room, greets the caller there and leaves with the room. */
async function greets(program: string, file: string, room: string): Promise<void> {
  const { server } = mesh;
  const example = runExample(program, [file, 'dev']);
  const explain = (error: Error): never => assert.fail(`${error.message}\n${example.log.slice(-5000)}`);
  try {
    await until('the agent to register', () => /registered/i.test(example.log), PATIENCE_MS).catch(explain);
    await using viewer = await RoomViewer.join(server.url, await server.token('caller', room));
    const spoke = (): boolean => viewer.blocks.filter(({ loud }) => loud).length > 50;
    await until('the greeting', spoke, PATIENCE_MS).catch(explain);
    assert.ok(viewer.frames.length > 0, 'the avatar is seen');
    const { body } = await rest<Sessions>(mesh.mesh, 'GET', '/v1/sessions');
    assert.deepEqual(
      body.sessions.map(({ provider }) => provider),
      ['external'],
    );
    await server.rooms.deleteRoom(room);
    const isOver = async (): Promise<boolean> =>
      (await rest<Sessions>(mesh.mesh, 'GET', '/v1/sessions')).body.sessions.length === 0;
    await until('the session to end', isOver, PATIENCE_MS).catch(explain);
  } finally {
    await end(example.process);
  }
}

async function end(child: ChildProcess): Promise<void> {
  const ended = new Promise((done) => child.once('exit', done));
  if (child.exitCode !== null || !child.kill('SIGTERM')) return;
  const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
  await ended;
  clearTimeout(timer);
}

test('the example in Node joins a new room, and greets the caller with a face; its end ends the session', async () => {
  await cp('examples/livekit-agent/agent.mjs', join(folder, 'agent.mjs'));
  await greets(process.execPath, 'agent.mjs', 'node-room');
});

test('so does the example in Python', async () => {
  const python = await requireLivekitAgentsPython(say);
  await cp('examples/livekit-python', folder, { recursive: true });
  await greets(python, 'agent.py', 'python-room');
});

/** A job that ends while its avatar starts. */
const CLOSING = `
import { initializeLogger, voice } from '@livekit/agents';
import { Room } from '@livekit/rtc-node';
import { AvatarSession } from '@talkmesh/livekit';
initializeLogger({ pretty: false, level: 'error' });
const room = new Room();
await room.connect(process.env.LIVEKIT_URL, process.argv[2]);
const avatar = new AvatarSession({ avatar: 'mia' });
const starting = avatar.start(new voice.AgentSession({}), room);
await avatar.aclose();
console.log(await starting.then(() => 'started', (error) => error.message));
process.exit();
`;

test('an avatar that is closed while it starts leaves no session behind', async () => {
  await writeFile(join(folder, 'closing.mjs'), CLOSING);
  const token = await mesh.server.token('agent', 'closing-room', {}, 'agent');
  const example = runExample(process.execPath, ['closing.mjs', token]);
  await until('the end', () => example.process.exitCode !== null, PATIENCE_MS);
  assert.match(example.log, /the avatar was closed while it started/);
  assert.deepEqual((await rest<Sessions>(mesh.mesh, 'GET', '/v1/sessions')).body.sessions, []);
});

test('the example of a page in a room shows an avatar that hears the visitor', async () => {
  const port = await freePort();
  const example = runExample(process.execPath, ['examples/livekit-room/server.mjs'], {
    cwd: '.',
    env: { PORT: String(port) },
  });
  try {
    await until('the page', () => example.log.includes(String(port)), PATIENCE_MS);
    const microphoneWav = join(folder, 'visitor.wav');
    const sentence = [speak('Can you hear what I say to you?'), silence(2)];
    await writeFile(
      microphoneWav,
      encodeWav(concatenate(...Array.from({ length: 20 }, () => sentence).flat()), 24_000),
    );
    await using browser = await openBrowser({ microphoneWav });
    await browser.page.goto(`http://127.0.0.1:${port}/`);
    await browser.page.click('#enter');
    const moves = (): boolean => (document.querySelector('video')?.currentTime ?? 0) > 1;
    await browser.page.waitForFunction(moves, undefined, { timeout: PATIENCE_MS });
    const { body } = await rest<Sessions>(mesh.mesh, 'GET', '/v1/sessions');
    const session = body.sessions.find(({ provider }) => provider === 'parrot');
    await using tap = await CallTap.open(mesh.mesh, session?.id ?? '');
    await until('the visitor to be heard', () => tap.events.some(({ type }) => type === 'speech.started'), PATIENCE_MS);
  } finally {
    await end(example.process);
  }
});
