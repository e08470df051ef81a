/**
 * The demo page on a desktop and a phone, light and dark: gallery, settings, call, transcript and error, without anything that axe-core calls
 * serious. Then a call by keyboard: push-to-talk, and another microphone.
 */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { encodeWav } from '@talkmesh/media';
import { until } from '@talkmesh/service-kit/testing';
import type { Page } from 'playwright-core';
import { type Mesh, startMesh } from '../../deploy/local/src/mesh.js';
import { accessibilityProblems } from '../support/accessibility.js';
import { openBrowser } from '../support/chromium.js';
import { firstAvatar } from '../support/nano.js';
import { ROOMY } from '../support/roomy.js';
import { concatenate, silence, speak } from '../support/speech.js';

const out = process.env['TALKMESH_SCREENSHOTS'] ?? join(tmpdir(), 'talkmesh-screenshots');
const microphoneWav = join(out, 'no-speech.wav');
let mesh: Mesh;
before(async () => {
  mkdirSync(out, { recursive: true });
  writeFileSync(microphoneWav, encodeWav(silence(60), 24_000));
  mesh = await startMesh({ quiet: true, env: ROOMY });
});
after(async () => {
  await mesh?.stop();
});

const isState = (page: Page, ...states: string[]) =>
  page.waitForFunction((wanted) => wanted.includes(document.body.dataset['state'] ?? ''), states, { timeout: 60_000 });

for (const [size, viewport] of [
  ['desktop', { width: 1440, height: 900 }],
  ['phone', { width: 390, height: 844 }],
] as const)
  for (const colorScheme of ['light', 'dark'] as const)
    test(`on a ${size}, ${colorScheme}`, { timeout: 180_000 }, async () => {
      await using browser = await openBrowser({ viewport, colorScheme, microphoneWav });
      const { page } = browser;
      const isFine = async (state: string): Promise<void> => {
        assert.deepEqual(await accessibilityProblems(page), [], state);
        const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
        assert.ok(overflow <= 0, `${state} is ${overflow} px wider than the screen`);
        await page.screenshot({ path: join(out, `${state}-${size}-${colorScheme}.png`) });
      };
      await page.goto(`${mesh.httpUrl}/#key=${mesh.apiKey}`);
      await page.getByTestId(`avatar-${firstAvatar.id}`).waitFor();
      await isFine('gallery');
      await page.getByTestId('settings-open').click();
      await page.getByTestId('settings-provider').waitFor();
      await isFine('settings');
      await page.getByTestId('settings-done').click();
      await page.getByTestId('call').click();
      await isState(page, 'listening');
      await page.getByTestId('say-input').fill(`Hello there. ${'Donaudampfschifffahrt'.repeat(5)}.`);
      await page.getByTestId('say-button').click();
      await isState(page, 'speaking');
      await page.locator('#transcript .avatar').waitFor();
      await isFine('call');
      const [list, item] = await Promise.all(
        ['#transcript', '#transcript .avatar'].map((selector) => page.locator(selector).boundingBox()),
      );
      assert.ok(list && item && item.x >= list.x && item.x + item.width <= list.x + list.width, 'a long word wraps');
      await page.getByTestId('hangup').click();
      await page.route('**/v1/sessions', (route) =>
        route.fulfill({
          status: 503,
          contentType: 'application/problem+json',
          body: JSON.stringify({ status: 503, reason: 'SESSION_LIMIT', detail: 'full', retryAfterMs: 2500 }),
        }),
      );
      await page.getByTestId('call').click();
      await page.getByText('All sessions are in use.').waitFor();
      await isFine('error');
    });

test('a call by keyboard: hold the space bar and speak, take another microphone, and hear what an unplugged one means', {
  timeout: 180_000,
}, async () => {
  // What is held counts, whenever it was said, so the speech goes on and on.
  const words = concatenate(speak('One two three four five six seven eight.'), silence(0.3));
  const speech = join(out, 'speech.wav');
  writeFileSync(speech, encodeWav(concatenate(...Array.from({ length: 30 }, () => words)), 24_000));
  await using browser = await openBrowser({ viewport: { width: 1440, height: 900 }, microphoneWav: speech });
  const { page } = browser;
  await page.goto(`${mesh.httpUrl}/#key=${mesh.apiKey}`);
  await page.getByTestId(`avatar-${firstAvatar.id}`).waitFor();
  await page.getByTestId('settings-open').press('Enter');
  await page.getByTestId('settings-push-to-talk').press('Space');
  await page.getByTestId('settings-done').press('Enter');
  await page.getByTestId('call').press('Enter');
  await isState(page, 'listening');
  const talk = page.getByTestId('talk');
  await until('the microphone', () => talk.isEnabled(), 30_000);
  assert.equal(await page.evaluate(() => document.activeElement?.id), 'talk', 'the keyboard goes on in the call');
  const track = (of: 'microphone' | 'stream', what: 'id' | 'label'): Promise<string | undefined> =>
    page.evaluate(([from, key]) => window.__talkmesh?.call?.[from]?.getTracks()[0]?.[key], [of, what] as const);

  const talkAndListen = async (): Promise<void> => {
    await page.keyboard.down('Space');
    await until('the button to be held', async () => (await talk.getAttribute('aria-pressed')) === 'true');
    assert.match((await talk.textContent()) ?? '', /Release to send/);
    await page.waitForTimeout(2500);
    await page.keyboard.up('Space');
    await isState(page, 'speaking');
    assert.match((await talk.textContent()) ?? '', /Hold to talk/);
    await page.screenshot({ path: join(out, 'push-to-talk-desktop.png') });
    await isState(page, 'listening');
  };
  await talkAndListen();
  await page.evaluate(() => (document.activeElement as HTMLElement).blur());
  await talkAndListen();

  const video = await track('stream', 'id');
  await page.getByTestId('settings-open').click();
  await page.getByTestId('settings-next-call').waitFor();
  const level = async (): Promise<number> =>
    Number(await page.getByTestId('settings-level').getAttribute('aria-valuenow'));
  await until('the level of the microphone', async () => (await level()) > 20);
  await page.screenshot({ path: join(out, 'settings-in-call-desktop.png') });
  await page.getByTestId('settings-microphone').selectOption({ label: 'Fake Audio Input 2' });
  await until('the other microphone', async () => (await track('microphone', 'label')) === 'Fake Audio Input 2');
  await until('its level', async () => (await level()) > 20);
  await page.keyboard.press('Escape');
  // The focus is on the button of the settings again, whose space bar opens them.
  await talk.focus();
  await talkAndListen();
  assert.equal(await track('stream', 'id'), video, 'the video was not connected again');

  await page.evaluate(() => window.__talkmesh?.call?.microphone?.getTracks()[0]?.dispatchEvent(new Event('ended')));
  await page.getByText('The microphone was unplugged.').waitFor();
  assert.deepEqual(await accessibilityProblems(page), []);
  await page.getByRole('button', { name: 'Choose devices' }).click();
  await page.getByTestId('settings-microphone').selectOption('');
  await page.keyboard.press('Escape');
  await until('the end of the trouble', async () => !(await page.getByText('unplugged').isVisible()));
  await talk.focus();
  await talkAndListen();
  await page.getByTestId('hangup').click();
});
