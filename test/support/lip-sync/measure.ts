import { setTimeout as sleep } from 'node:timers/promises';
import type { CallStats } from '@talkmesh/client';
import type { Page } from 'playwright-core';
import { EgressBench } from '../../../services/webrtc-egress/src/testing/bench.js';
import { openBrowser } from '../chromium.js';
import { readMedia, recordMedia, startCall } from '../media-recording.js';
import { FPS, HOPS_PER_FRAME, MOUTH_BOX, MouthSource, SIDE } from './mouth-source.js';
import { servePage } from './page.js';
import { type SkewWindow, skewWindows } from './skew.js';

export interface LipSyncOptions {
  /** PCM16 mono, 24 kHz, without repetitions, longer than the measurement. */
  readonly speech: Int16Array;
  readonly seconds: number;
  /** False: a browser without RTCRtpReceiver.jitterBufferTarget, where `<talk-mesh>` cannot delay the picture. */
  readonly mayDelayPicture: boolean;
}

export interface LipSync {
  readonly windows: readonly SkewWindow[];
  /** What `<talk-mesh>` measured itself, once a second. */
  readonly stats: readonly CallStats[];
}

/** Plays a drawn mouth through webrtc-egress to `<talk-mesh>` in Chromium, and measures its lip sync from pixels and samples. */
export async function measureLipSync({ speech, seconds, mayDelayPicture }: LipSyncOptions): Promise<LipSync> {
  await using bench = await EgressBench.start();
  const source = new MouthSource(speech);
  const { sessionId } = await bench.open('SINK_WEBRTC', SIDE, source.make);
  await using server = await servePage(sessionId, (sdp) => bench.call(bench.signalling, 'Offer', { sessionId, sdp }));
  await using browser = await openBrowser();
  const { page } = browser;
  if (!mayDelayPicture)
    await page.addInitScript(() => Reflect.deleteProperty(RTCRtpReceiver.prototype, 'jitterBufferTarget'));
  await page.goto(server.url);
  await startCall(page);
  await recordMedia(page, MOUTH_BOX);
  await collectStats(page);
  await sleep(1000 * seconds);
  const { shown, heard } = await readMedia(page);
  const stats = await page.evaluate(() => (window as unknown as { stats: CallStats[] }).stats);
  const { openings, loudness } = source;
  return { windows: skewWindows({ fps: FPS, openings, loudness, hops: HOPS_PER_FRAME }, shown, heard), stats };
}

async function collectStats(page: Page): Promise<void> {
  await page.evaluate(() => {
    const stats: unknown[] = [];
    Object.assign(window, { stats });
    document
      .querySelector('talk-mesh')
      ?.addEventListener('stats', (event) => void stats.push((event as CustomEvent).detail));
  });
}
