/** The demo page, before and in a call, on a desktop and a phone, light and dark: nothing that axe-core calls serious. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { encodeWav } from '@talkmesh/media';
import { type Mesh, startMesh } from '../../deploy/local/src/mesh.js';
import { accessibilityProblems } from '../support/accessibility.js';
import { openBrowser } from '../support/chromium.js';
import { firstAvatar } from '../support/nano.js';
import { ROOMY } from '../support/roomy.js';
import { silence } from '../support/speech.js';

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

for (const [size, viewport] of [
  ['desktop', { width: 1440, height: 900 }],
  ['phone', { width: 390, height: 844 }],
] as const)
  for (const colorScheme of ['light', 'dark'] as const)
    test(`on a ${size}, ${colorScheme}`, { timeout: 180_000 }, async () => {
      await using browser = await openBrowser({ viewport, colorScheme, microphoneWav });
      const { page } = browser;
      await page.goto(`${mesh.httpUrl}/#key=${mesh.apiKey}`);
      await page.getByTestId(`avatar-${firstAvatar.id}`).waitFor();
      assert.deepEqual(await accessibilityProblems(page), []);
      await page.screenshot({ path: join(out, `gallery-${size}-${colorScheme}.png`) });
      await page.getByTestId('call').click();
      await page.waitForFunction(() => document.body.dataset['state'] === 'listening', undefined, { timeout: 60_000 });
      await page.getByTestId('say-input').fill('Hello there.');
      await page.getByTestId('say-button').click();
      await page.waitForFunction(() => document.body.dataset['state'] === 'speaking', undefined, { timeout: 60_000 });
      assert.deepEqual(await accessibilityProblems(page), []);
      await page.screenshot({ path: join(out, `call-${size}-${colorScheme}.png`) });
      await page.getByTestId('hangup').click();
    });
