/** The demo, driven as a person would: pick an avatar, call, speak, be answered, type a line, hang up. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { encodeWav } from '@talkmesh/media';
import type { Page } from 'playwright-core';
import { type Mesh, startMesh } from '../../deploy/local/src/mesh.js';
import { type ProbeSample, readProbe, startProbe } from '../support/call-probe.js';
import { openBrowser } from '../support/chromium.js';
import { firstAvatar, mouthBox } from '../support/nano.js';
import { concatenate, silence, speak } from '../support/speech.js';
import { correlation, mean, percentile, smooth } from '../support/statistics.js';
import { waitUntil } from '../support/waiting.js';

/** Above what Opus makes of digital silence, far below any speech. */
const HEARD = 0.01;
const out = process.env['TALKMESH_SCREENSHOTS'] ?? join(tmpdir(), 'talkmesh-screenshots');

let mesh: Mesh;
before(async () => {
  mkdirSync(out, { recursive: true });
  mesh = await startMesh({ quiet: true });
});
after(async () => {
  await mesh?.stop();
});

function writeMicrophone(name: string, ...parts: Int16Array[]): string {
  const path = join(out, `${name}.wav`);
  writeFileSync(path, encodeWav(concatenate(...parts), 24_000));
  return path;
}

async function call(page: Page, avatar: string): Promise<void> {
  await page.goto(`${mesh.httpUrl}/#key=${mesh.apiKey}`);
  await page.getByTestId(`avatar-${avatar}`).click();
  await page.getByTestId('call').click();
  await page.waitForFunction(
    () => {
      const video = document.querySelector<HTMLVideoElement>('[data-testid=video]');
      return video !== null && video.videoWidth > 0 && video.currentTime > 0.2;
    },
    undefined,
    { timeout: 30_000 },
  );
}

const heard = (samples: readonly ProbeSample[]): ProbeSample[] => samples.filter((sample) => sample.audio > HEARD);
const fps = (samples: readonly ProbeSample[]): number =>
  (1000 * (samples.length - 1)) / ((samples.at(-1)?.t ?? 0) - (samples[0]?.t ?? 0));

test('a caller is answered with moving lips; another caller at the same time hears nothing of it', {
  timeout: 180_000,
}, async () => {
  const speech = speak('Hello there, how are you doing today? My mother makes wonderful apple pie.');
  await using speaker = await openBrowser({
    microphoneWav: writeMicrophone('speaker', silence(8), speech, silence(120)),
  });
  await using listener = await openBrowser({
    microphoneWav: writeMicrophone('listener', silence(120)),
    viewport: { width: 390, height: 844 },
  });
  // The listener first: the speaker's microphone starts to run when the call begins.
  for (const { page } of [listener, speaker]) {
    await call(page, firstAvatar.id);
    await startProbe(page, mouthBox);
  }

  await waitUntil('the answer', async () => heard(await readProbe(speaker.page)).length > 25, 40_000);
  await speaker.page.screenshot({ path: join(out, 'call-desktop.png') });
  const answeredAt = heard(await readProbe(speaker.page))[0]?.t ?? 0;
  await waitUntil(
    'the end of the answer',
    async () => {
      const samples = await readProbe(speaker.page);
      const last = heard(samples).at(-1)?.t ?? 0;
      return (samples.at(-1)?.t ?? 0) - last > 3000;
    },
    40_000,
  );

  const samples = await readProbe(speaker.page);
  const lastHeard = heard(samples).at(-1)?.t ?? 0;
  const speaking = samples.filter((sample) => sample.t >= answeredAt && sample.t <= lastHeard);
  const quiet = samples.filter((sample) => sample.t > lastHeard + 800);
  const lips = correlation(
    smooth(
      speaking.map((s) => s.mouth),
      5,
    ),
    smooth(
      speaking.map((s) => s.audio),
      5,
    ),
  );
  const open = percentile(
    speaking.map((s) => s.mouth),
    0.9,
  );
  const closed = mean(quiet.map((s) => s.mouth));
  const facts = { fps: fps(samples), speakingSeconds: (lastHeard - answeredAt) / 1000, lips, open, closed };
  writeFileSync(join(out, 'call.json'), JSON.stringify({ facts, samples }, null, 1));
  assert.ok(facts.fps >= 23, `video plays at ${facts.fps.toFixed(1)} fps`);
  assert.ok(facts.speakingSeconds > 2, `the answer lasts ${facts.speakingSeconds} s`);
  assert.ok(lips > 0.25, `mouth and voice correlate by ${lips.toFixed(2)}`);
  assert.ok(open > closed + 0.02, `open ${open.toFixed(3)}, then closed ${closed.toFixed(3)}`);
  assert.equal(heard(await readProbe(listener.page)).length, 0, 'the other caller heard something');

  await listener.page.getByTestId('say-input').fill('Bubbles make me happy.');
  await listener.page.getByTestId('say-button').click();
  await waitUntil('the typed line', async () => heard(await readProbe(listener.page)).length > 10, 20_000);
  await listener.page.screenshot({ path: join(out, 'call-phone.png') });
  const since = samples.at(-1)?.t ?? 0;
  assert.equal(
    heard(await readProbe(speaker.page)).filter((s) => s.t > since).length,
    0,
    'the first caller heard the typed line',
  );

  await speaker.page.getByTestId('hangup').click();
  await listener.page.close();
  await waitUntil(
    'all sessions released',
    async () => {
      const response = await fetch(`${mesh.httpUrl}/v1/sessions`, {
        headers: { authorization: `Bearer ${mesh.apiKey}` },
      });
      const { sessions } = (await response.json()) as { sessions: unknown[] };
      return sessions.length === 0;
    },
    30_000,
  );
});

test('the page looks right on a desktop and on a phone', { timeout: 60_000 }, async () => {
  for (const [name, viewport] of [
    ['desktop', { width: 1280, height: 800 }],
    ['phone', { width: 390, height: 844 }],
  ] as const) {
    await using browser = await openBrowser({ viewport });
    await browser.page.goto(`${mesh.httpUrl}/#key=${mesh.apiKey}`);
    await browser.page.getByTestId(`avatar-${firstAvatar.id}`).waitFor();
    await browser.page.screenshot({ path: join(out, `page-${name}.png`) });
    const overflow = await browser.page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    assert.ok(overflow <= 0, `${name}: ${overflow} px wider than the screen`);
    assert.equal(new URL(browser.page.url()).hash, '', 'the key stays in the address bar');
  }
});
