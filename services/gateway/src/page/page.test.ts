import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { until } from '@talkmesh/service-kit/testing';
import type { Browser, Page } from 'playwright-core';
import { collectErrors, launchChromium } from '../testing/browser.js';
import { API_KEY, FakeMesh } from '../testing/fake-mesh.js';

const FAKE_MICROPHONE = ['--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream'];

let mesh: FakeMesh;
let browser: Browser;
before(async () => {
  mesh = await FakeMesh.start({ TALKMESH_CALL_DEADLINE_MS: '60000' });
  browser = await launchChromium(FAKE_MICROPHONE);
});
after(async () => {
  await browser.close();
  await mesh[Symbol.asyncDispose]();
});

/** Opens a new tab. */
async function openPage(
  hash: string,
  options: {
    width?: number;
    height?: number;
    denyMicrophone?: boolean;
    reducedMotion?: 'reduce';
    saveData?: boolean;
  } = {},
): Promise<{ page: Page; browserErrors: string[] }> {
  const context = await browser.newContext({
    viewport: { width: options.width ?? 1280, height: options.height ?? 800 },
    permissions: ['microphone'],
    reducedMotion: options.reducedMotion ?? 'no-preference',
  });
  // tsx compiles functions to calls of a helper `__name`, which does not exist in the page.
  await context.addInitScript('globalThis.__name = (target) => target');
  if (options.denyMicrophone === true)
    await context.addInitScript(() => {
      navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('no', 'NotAllowedError'));
    });
  if (options.saveData === true)
    await context.addInitScript(() => {
      Object.defineProperty(navigator, 'connection', { value: { saveData: true } });
    });
  const page = await context.newPage();
  const browserErrors = collectErrors(page);
  await page.goto(`${mesh.gateway.url}/${hash}`);
  return { page, browserErrors };
}

const withKey = `#key=${API_KEY}`;
const error = (page: Page) => page.getByTestId('error');

test('the key is removed from the address bar; every avatar has a card; arrow keys choose one', async () => {
  const { page, browserErrors } = await openPage(withKey);
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
  assert.deepEqual(browserErrors, []);
  await page.context().close();
});

for (const [width, height] of [
  [1280, 800],
  [390, 844],
  [844, 390],
] as const)
  test(`at ${width}x${height} the page does not scroll sideways and the main controls can be reached`, async () => {
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

test('without a key the page asks for one; a wrong key is reported and another can be entered', async () => {
  const { page } = await openPage('');
  const input = page.getByLabel('API key', { exact: true });
  await input.fill('not-the-key-of-this-gateway');
  await page.keyboard.press('Enter');
  await error(page).waitFor();
  assert.match((await error(page).textContent()) ?? '', /API key is missing or not valid/);
  await page.getByRole('button', { name: 'Enter a key' }).click();
  await input.fill(API_KEY);
  await page.keyboard.press('Enter');
  await page.getByTestId('avatar-ada').waitFor();
  assert.equal(await error(page).isVisible(), false);
  await page.context().close();
});

test('when a service is not ready the page says what to do and lets the user call again', async () => {
  const { page } = await openPage(withKey);
  await mesh.workers['vae-decode'].register({ state: 'draining' });
  await page.getByTestId('call').click();
  await error(page).waitFor();
  assert.match((await error(page).textContent()) ?? '', /not ready.*Try again in 2 s/s);
  await mesh.workers['vae-decode'].register({ state: 'ready' });
  assert.ok(await page.getByTestId('call').isEnabled());
  assert.ok(await page.getByRole('button', { name: 'Call again' }).isVisible());
  const [banner, picture] = await Promise.all(['#banner', '.frame'].map((part) => page.locator(part).boundingBox()));
  assert.ok(banner && picture && banner.y + banner.height <= picture.y, 'the message covers nothing');
  await page.context().close();
});

test('an SDP answer that the browser cannot use ends the session', async () => {
  const { page } = await openPage(withKey);
  const closed = mesh.workers['webrtc-egress'].closed.length;
  await page.getByTestId('call').click();
  await error(page).waitFor();
  await until('the session to be closed', () => mesh.workers['webrtc-egress'].closed.length > closed);
  assert.equal(await page.getByTestId('status').textContent(), 'Call ended');
  await page.context().close();
});

test('a typed line starts a call without asking for the microphone; leaving the page ends the call', async () => {
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
  await until('the session to be closed', () => egress.closed.some((close) => close.sessionId === sessionId));
  egress.onOffer = answer;
  await page.context().close();
});

test('hanging up while the call connects ends the session', async () => {
  const egress = mesh.workers['webrtc-egress'];
  const answer = egress.onOffer;
  egress.onOffer = () => new Promise(() => undefined);
  const { page } = await openPage(withKey);
  const before = egress.offers.length;
  await page.getByTestId('call').click();
  await until('an offer', () => egress.offers.length > before);
  const sessionId = egress.offers.at(-1)?.sessionId ?? '';
  await page.getByTestId('hangup').click();
  await until('the session to be closed', () => egress.closed.some((close) => close.sessionId === sessionId));
  assert.equal(await page.getByTestId('status').textContent(), 'Call ended');
  assert.equal(await error(page).isVisible(), false);
  assert.ok(await page.getByTestId('call').isVisible());
  egress.onOffer = answer;
  await page.context().close();
});

test('a face moves as the model recorded it; without a recording, with reduced motion and with the data saver it stands still', async () => {
  const shownBy = async (page: Page, id: string): Promise<string> => {
    await page.getByTestId(id).waitFor();
    await page.waitForFunction((card) => {
      const image = document.querySelector<HTMLImageElement>(`[data-testid=${card}] img`);
      return image !== null && image.naturalWidth > 0;
    }, id);
    return new URL(
      await page.getByTestId(id).evaluate((card) => card.querySelector('img')?.currentSrc ?? ''),
    ).pathname.replace('/v1/avatars/', '');
  };
  const { page } = await openPage(withKey);
  assert.equal(await shownBy(page, 'avatar-ada'), 'ada/idle');
  assert.equal(await shownBy(page, 'avatar-bo'), 'bo/image');
  await page.context().close();
  for (const wish of [{ reducedMotion: 'reduce' }, { saveData: true }] as const) {
    const { page: still } = await openPage(withKey, wish);
    assert.equal(await shownBy(still, 'avatar-ada'), 'ada/image', JSON.stringify(wish));
    await still.context().close();
  }
});

test('settings offer what the deployment allows, are kept in this browser, reach the next call, and can be reset', async () => {
  const bridge = mesh.workers['audio-llm-bridge'];
  const { page, browserErrors } = await openPage(withKey);
  await page.getByTestId('avatar-ada').waitFor();
  await page.getByTestId('settings-open').focus();
  await page.keyboard.press('Enter');
  const provider = page.getByTestId('settings-provider');
  await provider.waitFor();
  const texts = (select: typeof provider): Promise<string[]> => select.locator('option').allTextContents();
  assert.deepEqual(
    (await texts(provider)).map((text) => text.split(':')[0]),
    ['Parrot', 'Cascade'],
    'without the one that hears no user',
  );
  assert.ok(await page.getByTestId('settings-voice-text').isVisible(), 'more voices of it may exist than are known');
  await provider.selectOption('cascade');
  assert.deepEqual(await texts(page.getByTestId('settings-voice-list')), ["The provider's own", 'nova', 'alloy']);
  await page.getByTestId('settings-voice-list').selectOption('alloy');
  await page.getByTestId('settings-language').selectOption('de');
  await page.getByTestId('settings-push-to-talk').check();
  await page.getByTestId('settings-captions').uncheck();
  await page.keyboard.press('Escape');
  assert.equal(await page.evaluate(() => document.activeElement?.id), 'settings-open', 'the focus returns');
  await page.reload();
  await page.getByTestId('avatar-ada').waitFor();
  const opened = bridge.opened.size;
  const egress = mesh.workers['webrtc-egress'];
  const answer = egress.onOffer;
  egress.onOffer = () => new Promise(() => undefined);
  await page.getByTestId('call').click();
  await until('the session', () => bridge.opened.size > opened);
  const wanted = [...bridge.opened.values()].at(-1)?.bridge;
  assert.deepEqual(
    [wanted?.provider, wanted?.voice, wanted?.language, wanted?.input],
    ['cascade', 'alloy', 'de', 'push-to-talk'],
  );
  await page.getByTestId('talk').waitFor();
  assert.ok(await page.getByTestId('talk').isDisabled(), 'no microphone is connected yet');
  await page.getByTestId('settings-open').click();
  await page.getByTestId('settings-next-call').waitFor();
  await page.getByTestId('settings-reset').click();
  assert.equal(await provider.inputValue(), 'parrot');
  assert.ok(await page.getByTestId('settings-captions').isChecked());
  assert.equal(await page.getByTestId('settings-push-to-talk').isChecked(), false);
  assert.equal(await page.evaluate(() => localStorage.length), 0);
  await page.getByTestId('settings-done').click();
  await page.getByTestId('hangup').click();
  await page.getByTestId('call').waitFor();
  egress.onOffer = answer;
  assert.deepEqual(browserErrors, []);
  await page.context().close();
});

test('before a call the chosen microphone is metered, and one that is not there is said in words', async () => {
  const { page } = await openPage(withKey);
  await page.getByTestId('avatar-ada').waitFor();
  await page.getByTestId('settings-open').click();
  const microphone = page.getByTestId('settings-microphone');
  const level = (): Promise<number> => page.getByTestId('settings-level').getAttribute('aria-valuenow').then(Number);
  await until('the beep of the fake microphone', async () => (await level()) > 10, 20_000);
  const names = await microphone.locator('option').allTextContents();
  assert.deepEqual(names.slice(0, 2), ['System default', 'Fake Audio Input 1']);
  await microphone.selectOption({ label: 'Fake Audio Input 2' });
  const chosen = await microphone.inputValue();
  await until('the choice to be kept', () =>
    page.evaluate((id) => (localStorage.getItem('talkmesh.settings') ?? '').includes(id), chosen),
  );
  assert.ok(await page.getByTestId('settings-speaker').isVisible());
  await page.keyboard.press('Escape');
  await page.evaluate((id) => {
    const stored = (localStorage.getItem('talkmesh.settings') ?? '').replace(id, 'a-headset-that-is-away');
    localStorage.setItem('talkmesh.settings', stored);
  }, chosen);
  await page.reload();
  await page.getByTestId('avatar-ada').waitFor();
  await page.getByTestId('settings-open').click();
  await page.getByTestId('settings-device-note').waitFor();
  const note = await page.getByTestId('settings-device-note').textContent();
  assert.equal(note, 'The chosen microphone is not connected. Connect it, or choose another one.');
  assert.equal(await microphone.locator('option:checked').textContent(), 'Chosen device (not connected)');
  await microphone.selectOption('');
  await page.getByTestId('settings-device-note').waitFor({ state: 'hidden' });
  await until('the level', async () => (await level()) > 10, 20_000);
  await page.context().close();
});
