/** The browser SDK as a product uses it: installed from its package, on pages of another origin, with a token server. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { encodeWav } from '@talkmesh/media';
import { until } from '@talkmesh/service-kit/testing';
import { build } from 'esbuild';
import type { Page } from 'playwright-core';
import { type Mesh, startMesh } from '../../deploy/local/src/mesh.js';
import { accessibilityProblems } from '../support/accessibility.js';
import { openBrowser } from '../support/chromium.js';
import { installPackage, packPackage } from '../support/packed-package.js';
import { rest } from '../support/record-call.js';
import { ROOMY } from '../support/roomy.js';
import { readMetrics, total } from '../support/service-metrics.js';
import { silence } from '../support/speech.js';
import { isWhole } from '../support/spoken-call.js';

const out = process.env['TALKMESH_SCREENSHOTS'] ?? join(tmpdir(), 'talkmesh-screenshots');
const folder = mkdtempSync(join(tmpdir(), 'talkmesh-embed-'));
let mesh: Mesh;
let port: number;
/** The fake microphone of the browser beeps otherwise, which is speech to the mesh. */
const microphoneWav = join(folder, 'silence.wav');

before(async () => {
  mkdirSync(out, { recursive: true });
  writeFileSync(microphoneWav, encodeWav(silence(120), 24_000));
  port = await freePort();
  const packed = await packPackage('client', folder);
  await installPackage(folder, packed, ['react', 'react-dom', 'scheduler']);
  cpSync('examples', join(folder, 'examples'), { recursive: true });
  const gateway = { TALKMESH_CORS_ORIGINS: `http://127.0.0.1:${port}` };
  mesh = await startMesh({ quiet: true, env: { ...ROOMY, gateway }, replicas: { 'webrtc-egress': 2 } });
});
after(async () => {
  await mesh?.stop();
  rmSync(folder, { recursive: true, force: true });
});

function freePort(): Promise<number> {
  return new Promise((resolvePort) => {
    const probe = createServer();
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => resolvePort(typeof address === 'object' ? (address?.port ?? 0) : 0));
    });
  });
}

/** Runs a program of a product with the settings that the documentation names, until it is disposed of. */
async function runServer(...args: string[]): Promise<AsyncDisposable> {
  const env = { ...process.env, TALKMESH_URL: mesh.httpUrl, TALKMESH_API_KEY: mesh.apiKey, PORT: String(port) };
  const child: ChildProcess = spawn(process.execPath, args, {
    cwd: folder,
    env,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const exited = new Promise((done) => child.once('exit', done));
  const answers = (): Promise<boolean> =>
    fetch(`http://127.0.0.1:${port}/`).then(
      (response) => response.ok,
      () => false,
    );
  await until('the server of the product', answers, 20_000);
  return {
    async [Symbol.asyncDispose]() {
      child.kill();
      await exited;
    },
  };
}

const part = (page: Page, name: string) => page.locator(`talk-mesh [part=${name}]`);
const state = (page: Page): Promise<string | null> => part(page, 'status').textContent();
const sessionsLeft = async (): Promise<number> =>
  (await rest<{ sessions: unknown[] }>(mesh, 'GET', '/v1/sessions')).body.sessions.length;

async function call(page: Page): Promise<void> {
  await page.goto(`http://127.0.0.1:${port}/`);
  await part(page, 'call').click();
  await isPlaying(page);
}

async function isPlaying(page: Page): Promise<void> {
  await page.waitForFunction(
    () => {
      const video = document.querySelector('talk-mesh')?.shadowRoot?.querySelector('video');
      return video !== null && video !== undefined && video.videoWidth > 0 && video.currentTime > 0.2;
    },
    undefined,
    { timeout: 40_000 },
  );
}

async function say(page: Page, text: string): Promise<void> {
  await part(page, 'input').fill(text);
  await part(page, 'say').click();
}

test('the ten lines of the README are a page with a face that says what is typed', { timeout: 240_000 }, async () => {
  const readme = readFileSync('README.md', 'utf8');
  const program = /```js\n([\s\S]*?talk-mesh[\s\S]*?)```/.exec(readme)?.[1] ?? '';
  assert.ok(program.trim().split('\n').length <= 10, 'the embed has more than ten lines');
  writeFileSync(join(folder, 'talk.mjs'), program);
  await using _server = await runServer('talk.mjs');
  await using browser = await openBrowser({ microphoneWav });
  const { page } = browser;
  await call(page);
  await say(page, 'Hello from ten lines.');
  await part(page, 'disclosure').waitFor({ timeout: 30_000 });
  assert.equal(await part(page, 'disclosure').textContent(), 'AI-generated');
  await part(page, 'caption').waitFor({ timeout: 30_000 });
  assert.match((await part(page, 'caption').textContent()) ?? '', /Hello/);
  assert.equal(await state(page), 'Speaking');
  await until('the end of the line', async () => (await state(page)) === 'Listening', 30_000);
  assert.equal(await part(page, 'caption').isVisible(), false);
  await part(page, 'hang-up').click();
  await until('the session to be released', async () => (await sessionsLeft()) === 0, 20_000);
});

test('the HTML example: events, custom properties, statistics; it reconnects when its egress is killed', {
  timeout: 180_000,
}, async () => {
  await using _server = await runServer('examples/token-server/server.mjs', 'examples/html');
  await using browser = await openBrowser({
    microphoneWav,
    colorScheme: 'dark',
    viewport: { width: 390, height: 844 },
  });
  const { page } = browser;
  await until('all workers to be ready', () => isWhole(mesh), 90_000);
  await page.goto(`http://127.0.0.1:${port}/`);
  await page.waitForFunction(() => {
    const image = document.querySelector('talk-mesh')?.shadowRoot?.querySelector('img');
    return image?.currentSrc.endsWith('/v1/avatars/mia/idle') === true && image.naturalWidth > 0;
  });
  await call(page);
  assert.deepEqual(await accessibilityProblems(page), []);
  assert.equal(await page.locator('#state').textContent(), 'listening');
  const microphone = part(page, 'microphone');
  await microphone.selectOption({ label: 'Fake Audio Input 2' });
  const label = (): Promise<string | undefined> =>
    page.evaluate(() => document.querySelector('talk-mesh')?.call?.microphone?.getAudioTracks()[0]?.label);
  await until('the other microphone', async () => (await label()) === 'Fake Audio Input 2', 20_000);
  await say(page, 'One line for the log.');
  const lines = part(page, 'transcript').locator('li');
  await until('both lines', async () => (await lines.count()) === 2, 30_000);
  assert.deepEqual(await lines.allTextContents(), ['One line for the log.', 'One line for the log.']);
  await page.screenshot({ path: join(out, 'embed-dark-phone.png'), fullPage: true });
  await page.waitForFunction(() => document.querySelectorAll('#log li').length > 0);
  await part(page, 'stats').waitFor({ timeout: 20_000 });
  await until(
    'frames per second',
    async () => /frames\/s/.test((await part(page, 'stats').textContent()) ?? ''),
    20_000,
  );
  const watched = async (): Promise<number> =>
    total(await readMetrics(mesh, 'gateway'), 'talkmesh_viewer_watched_seconds_total');
  await until(
    'lip sync in the statistics',
    async () => /lips/.test((await part(page, 'stats').textContent()) ?? ''),
    60_000,
  );
  await until('a report to the gateway', async () => (await watched()) > 0, 60_000);
  const radius = await page.locator('talk-mesh').evaluate((element) => getComputedStyle(element).borderRadius);
  assert.equal(radius, '24px');
  assert.equal(await part(page, 'interrupt').isVisible(), false, '::part() of the page hides it');

  process.kill(await egressOfTheCall(), 'SIGKILL');
  await until('the connection to be lost', async () => (await state(page)) === 'Reconnecting…', 30_000);
  await until('the call to continue', async () => (await state(page)) === 'Listening', 60_000);
  await say(page, 'Here I am again.');
  await until('the line', async () => (await state(page)) === 'Speaking', 30_000);
  await page.close();
  await until('the session of the closed page to be released', async () => (await sessionsLeft()) === 0, 20_000);
});

/** Process id of the egress worker that holds the peer connection of the only call. */
async function egressOfTheCall(): Promise<number> {
  interface Placed {
    readonly sessions: readonly { readonly id: string }[];
    readonly placement: { readonly 'webrtc-egress': string };
  }
  const [session] = (await rest<Placed>(mesh, 'GET', '/v1/sessions')).body.sessions;
  const { placement } = (await rest<Placed>(mesh, 'GET', `/v1/sessions/${session?.id}`)).body;
  return mesh.services.find(({ instanceId }) => instanceId === placement['webrtc-egress'])?.pid ?? 0;
}

test('the React example: properties, callbacks and the ref; another avatar ends the call', {
  timeout: 180_000,
}, async () => {
  await build({
    entryPoints: [join(folder, 'examples/react/main.jsx')],
    outfile: join(folder, 'examples/react/main.js'),
    ...({ bundle: true, format: 'esm', jsx: 'automatic', nodePaths: [resolve(folder, 'node_modules')] } as const),
    define: { 'process.env.NODE_ENV': '"production"' },
  });
  await using _server = await runServer('examples/token-server/server.mjs', 'examples/react');
  await using browser = await openBrowser({ microphoneWav, viewport: { width: 1440, height: 900 } });
  const { page } = browser;
  await until('all workers to be ready', () => isWhole(mesh), 90_000);
  await call(page);
  assert.deepEqual(await accessibilityProblems(page), []);
  await page.screenshot({ path: join(out, 'embed-react-desktop.png') });
  await page.getByRole('button', { name: 'Greet' }).click();
  await page.locator('output', { hasText: 'speaking' }).waitFor({ timeout: 30_000 });
  await page.locator('#app > label select').selectOption('kenji');
  await until('the session to be released', async () => (await sessionsLeft()) === 0, 20_000);
  await part(page, 'call').click();
  await isPlaying(page);
  const [session] = (await rest<{ sessions: { avatar: string }[] }>(mesh, 'GET', '/v1/sessions')).body.sessions;
  assert.equal(session?.avatar, 'kenji');
});
