import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { until } from '@talkmesh/service-kit/testing';
import type { Browser, Page } from 'playwright-core';
import { collectErrors, launchChromium } from '../testing/browser.js';
import { API_KEY, FakeMesh } from '../testing/fake-mesh.js';
import type { InspectRequest } from '../testing/fake-worker.js';
import { plainPng } from '../testing/pictures.js';

let mesh: FakeMesh;
let browser: Browser;
let inspectAsUsual: (request: InspectRequest) => Promise<object>;
before(async () => {
  mesh = await FakeMesh.start({ TALKMESH_CALL_DEADLINE_MS: '60000' });
  inspectAsUsual = mesh.workers['vae-decode'].onInspect;
  browser = await launchChromium();
});
after(async () => {
  await browser.close();
  await mesh[Symbol.asyncDispose]();
});
beforeEach(() => {
  mesh.workers['vae-decode'].onInspect = inspectAsUsual;
  mesh.workers['vae-decode'].inspected.length = 0;
});

const file = (name: string, buffer = plainPng(400, 300), mimeType = 'image/png') => ({ name, mimeType, buffer });
const verdict = (page: Page) => page.getByTestId('picture-verdict');

async function openDialog(width = 1280, height = 800): Promise<{ page: Page; browserErrors: string[] }> {
  const context = await browser.newContext({ viewport: { width, height } });
  const page = await context.newPage();
  const browserErrors = collectErrors(page);
  await page.goto(`${mesh.gateway.url}/#key=${API_KEY}`);
  await page.getByTestId('picture-open').click();
  return { page, browserErrors };
}

async function ownPictures(): Promise<string[]> {
  const { body } = await mesh.call<{ avatars: { id: string; style: string }[] }>('GET', '/v1/avatars');
  return body.avatars.filter(({ style }) => style === 'own').map(({ id }) => id);
}

test('a picture is chosen, its handles are moved by keyboard and by pointer, it is used, then deleted', async () => {
  const { page, browserErrors } = await openDialog();
  await page.getByTestId('picture-file').setInputFiles(file('me.png'));
  await page.getByTestId('picture-take').waitFor();
  assert.match((await verdict(page).textContent()) ?? '', /found.*suits/);
  const mouth = page.getByTestId('handle-mouth');
  assert.match((await mouth.getAttribute('aria-label')) ?? '', /^Mouth: 50 % from the left, 6\d % from the top$/);
  assert.ok(await page.getByLabel(/^Left eye, as you see it/).isVisible());
  const [first] = await ownPictures();
  assert.ok(first !== undefined);

  await mouth.focus();
  for (let i = 0; i < 4; i++) await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Shift+ArrowRight');
  const box = await page.getByTestId('handle-leftEye').boundingBox();
  assert.ok(box !== null && box.width >= 44 && box.height >= 44, 'large enough for a finger');
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  await page.mouse.move(x, y);
  await page.mouse.down();
  await page.mouse.move(x - 20, y + 4, { steps: 3 });
  await page.mouse.up();
  const inspectionsBefore = mesh.workers['vae-decode'].inspected.length;
  await page.getByTestId('picture-again').click();
  await until('another inspection', () => mesh.workers['vae-decode'].inspected.length > inspectionsBefore);
  const given = mesh.workers['vae-decode'].inspected.at(-1)?.landmarks ?? [];
  assert.equal(given.length, 6);
  await page.getByTestId('picture-take').waitFor();
  await until('the first avatar to be deleted', async () => {
    const left = await ownPictures();
    return left.length === 1 && left[0] !== first;
  });
  const [id] = await ownPictures();
  await page.getByTestId('picture-take').click();
  const card = page.getByTestId(`avatar-${id}`);
  await card.waitFor();
  assert.equal(await card.getAttribute('aria-checked'), 'true');
  assert.ok(await page.getByTestId('call').isEnabled());
  await page.getByTestId('picture-delete').click();
  await card.waitFor({ state: 'detached' });
  assert.deepEqual(await ownPictures(), []);
  assert.deepEqual(browserErrors, []);
  await page.context().close();
});

test('when no face is found the user places the handles by hand, and the verdict is shown as a sentence', async () => {
  mesh.workers['vae-decode'].onInspect = async (request) => ({
    ...(await inspectAsUsual(request)),
    found: false,
    fits: false,
    reasons: [
      request.landmarks.length === 0
        ? { code: 'no-face', text: 'no face was found' }
        : { code: 'unlike-training', text: 'this looks like a photograph' },
    ],
  });
  const { page, browserErrors } = await openDialog();
  await page.getByTestId('picture-file').setInputFiles(file('coffee.png'));
  await page.getByTestId('picture-again').waitFor();
  assert.match((await verdict(page).textContent()) ?? '', /No face was found.*Put the three handles/s);
  assert.equal(await page.getByTestId('picture-take').isVisible(), false);
  await page.getByTestId('handle-mouth').focus();
  await page.keyboard.press('ArrowUp');
  await page.getByTestId('picture-again').click();
  await page.getByTestId('picture-take').waitFor();
  assert.match((await verdict(page).textContent()) ?? '', /can be used, but:.*photograph/s);
  await page.keyboard.press('Escape');
  await until('the avatar to be deleted', async () => (await ownPictures()).length === 0);
  assert.deepEqual(browserErrors, []);
  await page.context().close();
});

test('a file of another type and a damaged file are refused with a message that says what to do', async () => {
  const { page } = await openDialog();
  await page.getByTestId('picture-file').setInputFiles(file('a.gif', Buffer.from('GIF89a'), 'image/gif'));
  assert.match((await verdict(page).textContent()) ?? '', /neither a PNG nor a JPEG/);
  await page.getByTestId('picture-file').setInputFiles(file('b.png', plainPng(90, 90).subarray(0, 60)));
  await until('the message about the damaged file', async () =>
    /damaged or cut off/.test((await verdict(page).textContent()) ?? ''),
  );
  assert.equal(await page.getByTestId('handle-mouth').isVisible(), false);
  await page.context().close();
});

for (const [width, height] of [
  [390, 844],
  [844, 390],
] as const)
  test(`the dialog fits ${width}x${height}`, async () => {
    const { page } = await openDialog(width, height);
    await page.getByTestId('picture-file').setInputFiles(file('me.png'));
    await page.getByTestId('picture-take').waitFor();
    const box = await page.locator('#picture-dialog').boundingBox();
    assert.ok(box !== null && box.x >= 0 && box.x + box.width <= width && box.y >= 0 && box.y + box.height <= height);
    await page.getByTestId('picture-take').scrollIntoViewIfNeeded();
    assert.ok(await page.getByTestId('picture-take').isVisible());
    await page.keyboard.press('Escape');
    await page.context().close();
  });
