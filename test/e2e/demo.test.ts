/** The demo page, operated as a user does: choose an avatar, call, speak, hear the answer, type a line, hang up. */

import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { encodeWav } from '@talkmesh/media';
import { until } from '@talkmesh/service-kit/testing';
import type { Page } from 'playwright-core';
import { type Mesh, startMesh } from '../../deploy/local/src/mesh.js';
import { type ProbeSample, readProbe, startProbe } from '../support/call-probe.js';
import { type Browser, openBrowser } from '../support/chromium.js';
import { firstAvatar, mouthBox } from '../support/nano.js';
import { rest } from '../support/record-call.js';
import { ROOMY } from '../support/roomy.js';
import { concatenate, silence, speak } from '../support/speech.js';
import { isWhole } from '../support/spoken-call.js';
import { correlation, mean, percentile, smooth } from '../support/statistics.js';

/** Audio level above which a sample counts as speech: above the noise that Opus decodes from silence, far below speech. */
const HEARD = 0.01;
const out = process.env['TALKMESH_SCREENSHOTS'] ?? join(tmpdir(), 'talkmesh-screenshots');

let mesh: Mesh;
before(async () => {
  mkdirSync(out, { recursive: true });
  mesh = await startMesh({ quiet: true, env: ROOMY, replicas: { 'webrtc-egress': 2 } });
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
function fps(samples: readonly ProbeSample[]): number {
  const [first, last] = [samples[0], samples.at(-1)];
  return first && last ? (1000 * (last.presented - first.presented)) / (last.t - first.t) : 0;
}

/**
 * Highest correlation of mouth and voice over all lags, and the lead of the mouth at that lag, milliseconds. The voice is measured in
 * WebAudio and the mouth when a frame is presented; on a busy machine the browser alone shifts the two by more than a frame.
 */
function lipSync(mouth: number[], voice: number[], frameMs: number): { lipsWithVoice: number; lipsLeadMs: number } {
  const maxLagFrames = 12;
  const at = (lag: number): number =>
    correlation(
      mouth.slice(maxLagFrames - lag, mouth.length - maxLagFrames - lag),
      voice.slice(maxLagFrames, -maxLagFrames),
    );
  const lags = Array.from({ length: 2 * maxLagFrames + 1 }, (_, i) => i - maxLagFrames);
  const best = lags.reduce((a, b) => (at(b) > at(a) ? b : a));
  return { lipsWithVoice: at(best), lipsLeadMs: best * frameMs };
}

async function sessionsLeft(): Promise<number> {
  const response = await fetch(`${mesh.httpUrl}/v1/sessions`, { headers: { authorization: `Bearer ${mesh.apiKey}` } });
  return ((await response.json()) as { sessions: unknown[] }).sessions.length;
}

/** Process id of the egress worker that holds the peer connection of the only call. */
async function egressOfTheCall(): Promise<number> {
  interface Placed {
    readonly sessions: readonly { readonly id: string }[];
    readonly placement: { readonly 'webrtc-egress': string };
  }
  const get = async (path: string) => (await rest<Placed>(mesh, 'GET', path)).body;
  const [session] = (await get('/v1/sessions')).sessions;
  const { placement } = await get(`/v1/sessions/${session?.id}`);
  return mesh.services.find(({ instanceId }) => instanceId === placement['webrtc-egress'])?.pid ?? 0;
}

test('the avatar answers a caller: video at 25 fps, speech, lips that move with the speech and close after it', {
  timeout: 120_000,
}, async () => {
  const speech = speak('Hello there, how are you doing today? My mother makes wonderful apple pie.');
  const microphoneWav = writeMicrophone('speaker', silence(8), speech, silence(120));
  await using speaker = await openBrowser({ microphoneWav });
  await call(speaker.page, firstAvatar.id);
  await startProbe(speaker.page, mouthBox);
  const samplesSoFar = (): Promise<ProbeSample[]> => readProbe(speaker.page);

  await until('the answer', async () => heard(await samplesSoFar()).length > 25, 40_000);
  await speaker.page.screenshot({ path: join(out, 'call-desktop.png') });
  const silentFor = (samples: ProbeSample[]): number => (samples.at(-1)?.t ?? 0) - (heard(samples).at(-1)?.t ?? 0);
  await until('the end of the answer', async () => silentFor(await samplesSoFar()) > 3000, 40_000);

  const samples = await samplesSoFar();
  const [first, last] = [heard(samples)[0]?.t ?? 0, heard(samples).at(-1)?.t ?? 0];
  const speaking = samples.filter(({ t }) => t >= first && t <= last);
  const quiet = samples.filter(({ t }) => t > last + 800);
  const [mouth, voice] = [speaking.map((s) => s.mouth), speaking.map((s) => s.audio)];
  const facts = {
    fps: fps(samples),
    answerSeconds: (last - first) / 1000,
    spokenSeconds: speech.length / 24_000,
    ...lipSync(smooth(mouth, 5), smooth(voice, 5), 1000 / fps(samples)),
    open: percentile(mouth, 0.9),
    closed: mean(quiet.map((s) => s.mouth)),
  };
  writeFileSync(join(out, 'call.json'), JSON.stringify({ facts, samples }, null, 1));
  const details = JSON.stringify(facts);
  assert.ok(facts.fps >= 23, details);
  assert.ok(Math.abs(facts.answerSeconds - facts.spokenSeconds) < 1.5, details);
  assert.ok(facts.lipsWithVoice > 0.25, details);
  assert.ok(facts.open > facts.closed + 0.02, details);

  await speaker.page.getByTestId('hangup').click();
  await until('the session to be released', async () => (await sessionsLeft()) === 0, 20_000);
});

test('a caller pauses the avatar in the middle of a line: it is silent while the video continues, then says the rest', {
  timeout: 120_000,
}, async () => {
  await using caller = await openBrowser({ microphoneWav: writeMicrophone('silent-caller', silence(120)) });
  const { page } = caller;
  await call(page, firstAvatar.id);
  await startProbe(page, mouthBox);
  const samplesSoFar = (): Promise<ProbeSample[]> => readProbe(page);
  const button = page.getByTestId('pause');
  await page.getByTestId('say-input').fill('One two three four five six seven eight nine ten eleven twelve thirteen.');
  await page.getByTestId('say-button').click();
  await until('the beginning of the line', async () => heard(await samplesSoFar()).length > 15, 40_000);
  await button.press('Enter');
  await until('the pause', async () => (await button.getAttribute('aria-pressed')) === 'true', 10_000);
  assert.equal((await button.textContent())?.trim(), 'Resume');
  await until('silence', async () => heard((await samplesSoFar()).slice(-40)).length === 0, 20_000);
  await page.screenshot({ path: join(out, 'call-paused.png') });
  const before = await samplesSoFar();
  await until('more frames', async () => (await samplesSoFar()).length > before.length + 40, 20_000);
  assert.equal(heard((await samplesSoFar()).slice(before.length)).length, 0, 'the avatar was heard during the pause');
  await button.press('Enter');
  await until(
    'the rest of the line',
    async () => heard((await samplesSoFar()).slice(before.length)).length > 15,
    20_000,
  );
  assert.equal((await button.textContent())?.trim(), 'Pause');
  await until('the end of the line', async () => heard((await samplesSoFar()).slice(-60)).length === 0, 30_000);
  assert.equal(await page.locator('#transcript .cut').count(), 0, 'the transcript marks the line as interrupted');
  await page.getByTestId('hangup').click();
  await until('the session to be released', async () => (await sessionsLeft()) === 0, 20_000);
});

test('two callers at the same time hear only their own avatar; closing a tab ends its session', {
  timeout: 120_000,
}, async () => {
  const microphoneWav = writeMicrophone('silent', silence(120));
  await using one = await openBrowser({ microphoneWav });
  await using two = await openBrowser({ microphoneWav, viewport: { width: 390, height: 844 } });
  const callers = [one, two];
  for (const { page } of callers) {
    await call(page, firstAvatar.id);
    await startProbe(page, mouthBox);
  }
  for (const [speaking, other] of [callers, [...callers].reverse()] as [Browser, Browser][]) {
    const before = heard(await readProbe(other.page)).length;
    // Samples are taken per presented frame. Two browsers on one machine present few, so the line is long.
    const line =
      'Bubbles make me very happy, because they fly away and shine in every colour that there is under the sun.';
    await speaking.page.getByTestId('say-input').fill(line);
    await speaking.page.getByTestId('say-button').click();
    const start = heard(await readProbe(speaking.page)).length;
    await until('the typed line', async () => heard(await readProbe(speaking.page)).length > start + 10, 30_000);
    assert.equal(heard(await readProbe(other.page)).length, before, 'the other caller heard it');
    // A busy machine interrupts the sound in the middle of a line, so silence alone is not its end.
    const state = (): Promise<string | null> => speaking.page.getByTestId('status').getAttribute('data-state');
    await until('the end of the line', async () => (await state()) === 'listening', 30_000);
    await until('silence', async () => heard((await readProbe(speaking.page)).slice(-60)).length === 0, 30_000);
  }
  await two.page.screenshot({ path: join(out, 'call-phone.png') });
  await one.page.getByTestId('hangup').click();
  await two.page.close();
  await until('both sessions to be released', async () => (await sessionsLeft()) === 0, 30_000);
});

test('after an egress is drained, and after one is killed, the page reconnects and video and speech continue', {
  timeout: 180_000,
}, async () => {
  const microphoneWav = writeMicrophone('quiet', silence(120));
  await until('the calls before to be released', async () => (await sessionsLeft()) === 0, 60_000);
  await using caller = await openBrowser({ microphoneWav });
  const { page } = caller;
  await call(page, firstAvatar.id);
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    await until('all workers to be ready', () => isWhole(mesh), 90_000);
    const track = () =>
      page.evaluate(() => {
        const video = document.querySelector<HTMLVideoElement>('[data-testid=video]');
        return (video?.srcObject as MediaStream | null)?.getVideoTracks()[0]?.id;
      });
    const before = await track();
    process.kill(await egressOfTheCall(), signal);
    await until(`a new track after ${signal}`, async () => ![before, undefined].includes(await track()), 60_000);
    await startProbe(page, mouthBox);
    await until('more frames', async () => fps(await readProbe(page)) > 0, 30_000);
    await page.getByTestId('say-input').fill('Here I am again.');
    await page.getByTestId('say-button').click();
    await until('the typed line', async () => heard(await readProbe(page)).length > 10, 30_000);
  }
  await page.getByTestId('hangup').click();
  await until('the session to be released', async () => (await sessionsLeft()) === 0, 20_000);
});

test('the picture has the size that was chosen in the settings', { timeout: 120_000 }, async () => {
  await until('the calls before to be released', async () => (await sessionsLeft()) === 0, 60_000);
  await using caller = await openBrowser({ microphoneWav: writeMicrophone('still', silence(120)) });
  const { page } = caller;
  await page.goto(`${mesh.httpUrl}/#key=${mesh.apiKey}`);
  await page.getByTestId('settings-open').click();
  await page.getByTestId('settings-size').selectOption('512');
  await page.getByTestId('settings-done').click();
  await call(page, firstAvatar.id);
  await page.screenshot({ path: join(out, 'call-512.png') });
  const width = await page.evaluate(() => document.querySelector<HTMLVideoElement>('[data-testid=video]')?.videoWidth);
  assert.equal(width, 512);
  await page.getByTestId('hangup').click();
  await until('the session to be released', async () => (await sessionsLeft()) === 0, 20_000);
});

test('the page fits the screen of a desktop and of a phone', { timeout: 60_000 }, async () => {
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
    assert.equal(new URL(browser.page.url()).hash, '', 'the key is still in the address bar');
  }
});
