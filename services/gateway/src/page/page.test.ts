import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Browser, chromium, type Page } from 'playwright-core';
import { API_KEY, FakeMesh, until } from '../testing/fake-mesh.js';

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--use-fake-ui-for-media-stream',
  '--use-fake-device-for-media-stream',
];

let mesh: FakeMesh;
let browser: Browser;
before(async () => {
  mesh = await FakeMesh.start({ TALKMESH_CALL_DEADLINE_MS: '60000' });
  browser = await chromium.launch({
    executablePath: process.env['TALKMESH_CHROMIUM'] ?? '/usr/bin/chromium',
    args: FLAGS,
  });
});
after(async () => {
  await browser.close();
  await mesh[Symbol.asyncDispose]();
});

/** A fresh tab; complaints of the browser, such as a breach of the content security policy, are collected. */
async function openPage(
  hash: string,
  o: { width?: number; height?: number; denyMicrophone?: boolean } = {},
): Promise<{ page: Page; complaints: string[] }> {
  const context = await browser.newContext({ viewport: { width: o.width ?? 1280, height: o.height ?? 800 } });
  if (o.denyMicrophone === true)
    await context.addInitScript(() => {
      navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('no', 'NotAllowedError'));
    });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error' && !message.text().includes('Failed to load resource'))
      complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  await page.goto(`${mesh.gateway.url}/${hash}`);
  return { page, complaints };
}

const withKey = `#key=${API_KEY}`;
const error = (page: Page) => page.getByTestId('error');

test('the key leaves the address bar; every avatar is a card; arrow keys choose', async () => {
  const { page, complaints } = await openPage(withKey);
  await page.getByTestId('avatar-ada').waitFor();
  assert.equal(page.url(), `${mesh.gateway.url}/`);
  assert.equal(await page.getByTestId('avatar-ada').getAttribute('aria-checked'), 'true');
  await page.getByTestId('avatar-ada').focus();
  await page.keyboard.press('ArrowRight');
  assert.equal(await page.getByTestId('avatar-bo').getAttribute('aria-checked'), 'true');
  assert.equal(await page.evaluate(() => document.activeElement?.getAttribute('data-testid')), 'avatar-bo');
  await page.keyboard.press('ArrowRight');
  assert.equal(await page.getByTestId('avatar-ada').getAttribute('aria-checked'), 'true');
  await page.reload();
  await page.getByTestId('avatar-bo').waitFor();
  assert.deepEqual(complaints, []);
  await page.context().close();
});

for (const [width, height] of [
  [1280, 800],
  [390, 844],
  [844, 390],
] as const)
  test(`nothing sticks out at ${width}x${height}; the main controls can be reached`, async () => {
    const { page } = await openPage(withKey, { width, height });
    await page.getByTestId('avatar-ada').waitFor();
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), width);
    for (const id of ['call', 'say-input']) {
      await page.getByTestId(id).scrollIntoViewIfNeeded();
      const box = await page.getByTestId(id).boundingBox();
      assert.ok(
        box !== null && box.x >= 0 && box.x + box.width <= width && box.height >= 44,
        `${id} ${JSON.stringify(box)}`,
      );
    }
    await page.context().close();
  });

test('without a key the page asks for one; a wrong one is told and another may be entered', async () => {
  const { page } = await openPage('');
  const input = page.getByLabel('API key', { exact: true });
  await input.fill('not-the-key-of-this-gateway');
  await page.keyboard.press('Enter');
  await error(page).waitFor();
  assert.match((await error(page).textContent()) ?? '', /key is not valid/);
  await page.getByRole('button', { name: 'Enter a key' }).click();
  await input.fill(API_KEY);
  await page.keyboard.press('Enter');
  await page.getByTestId('avatar-ada').waitFor();
  assert.equal(await error(page).isVisible(), false);
  await page.context().close();
});

test('a mesh that is not ready is told with what to do, and the page is ready for the next try', async () => {
  const { page } = await openPage(withKey);
  await mesh.workers['vae-decode'].register({ state: 'draining' });
  await page.getByTestId('call').click();
  await error(page).waitFor();
  assert.match((await error(page).textContent()) ?? '', /not ready.*Try again in 2 s/s);
  await mesh.workers['vae-decode'].register({ state: 'ready' });
  assert.ok(await page.getByTestId('call').isEnabled());
  assert.ok(await page.getByRole('button', { name: 'Call again' }).isVisible());
  await page.context().close();
});

test('an answer the browser cannot use ends the session again', async () => {
  const { page } = await openPage(withKey);
  const closed = mesh.workers['webrtc-egress'].closed.length;
  await page.getByTestId('call').click();
  await error(page).waitFor();
  await until('closed', () => mesh.workers['webrtc-egress'].closed.length > closed);
  assert.equal(await page.getByTestId('status').textContent(), 'Call ended');
  await page.context().close();
});

test('a typed line starts a call without asking for the microphone; closing the tab ends it', async () => {
  const egress = mesh.workers['webrtc-egress'];
  const answer = egress.onOffer;
  egress.onOffer = () => new Promise(() => undefined);
  const before = egress.offers.length;
  const { page } = await openPage(withKey, { denyMicrophone: true });
  await page.getByTestId('say-input').fill('hello');
  await page.getByTestId('say-button').click();
  await until('an offer', () => egress.offers.length > before);
  assert.equal(await page.getByTestId('status').textContent(), 'Connecting…');
  assert.equal(await error(page).isVisible(), false);
  const sessionId = egress.offers.at(-1)?.sessionId ?? '';
  assert.ok(egress.opened.has(sessionId));
  await page.goto('about:blank');
  await until('the end', () => egress.closed.some((close) => close.sessionId === sessionId));
  egress.onOffer = answer;
  await page.context().close();
});

test('hanging up while it connects ends the session', async () => {
  const egress = mesh.workers['webrtc-egress'];
  const answer = egress.onOffer;
  egress.onOffer = () => new Promise(() => undefined);
  const { page } = await openPage(withKey);
  const before = egress.offers.length;
  await page.getByTestId('call').click();
  await until('an offer', () => egress.offers.length > before);
  const sessionId = egress.offers.at(-1)?.sessionId ?? '';
  await page.getByTestId('hangup').click();
  await until('the end', () => egress.closed.some((close) => close.sessionId === sessionId));
  assert.equal(await page.getByTestId('status').textContent(), 'Call ended');
  assert.equal(await error(page).isVisible(), false);
  assert.ok(await page.getByTestId('call').isVisible());
  egress.onOffer = answer;
  await page.context().close();
});
