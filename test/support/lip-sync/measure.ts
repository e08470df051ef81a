import { setTimeout as sleep } from 'node:timers/promises';
import type { CallStats } from '@talkmesh/client';
import type { Page } from 'playwright-core';
import { EgressBench } from '../../../services/webrtc-egress/src/testing/bench.js';
import { openBrowser } from '../chromium.js';
import { FPS, HOPS_PER_FRAME, MOUTH_BOX, MouthSource, SIDE } from './mouth-source.js';
import { servePage } from './page.js';
import { type Sample, type SkewWindow, skewWindows } from './skew.js';

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

interface Recording {
  readonly shown: readonly Sample[];
  readonly heard: readonly Sample[];
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
  await call(page);
  await record(page);
  await sleep(1000 * seconds);
  const { shown, heard, stats } = await page.evaluate(() => (window as unknown as { recording: Recording }).recording);
  const { openings, loudness } = source;
  return { windows: skewWindows({ fps: FPS, openings, loudness, hops: HOPS_PER_FRAME }, shown, heard), stats };
}

async function call(page: Page): Promise<void> {
  await page.waitForFunction(() => customElements.get('talk-mesh') !== undefined);
  await page.evaluate(() => (document.querySelector('talk-mesh') as unknown as { connect(): Promise<void> }).connect());
  await page.waitForFunction(
    () => (document.querySelector('talk-mesh')?.shadowRoot?.querySelector('video')?.currentTime ?? 0) > 0,
    undefined,
    { timeout: 60_000 },
  );
}

/** Records each frame that is presented (dark share of the mouth's box) and each block of sound (root mean square). */
async function record(page: Page): Promise<void> {
  await page.evaluate(async (box) => {
    const element = document.querySelector('talk-mesh');
    const video = element?.shadowRoot?.querySelector('video');
    if (!element || !video?.srcObject) throw new Error('the video has no stream');
    const shown: { atMs: number; value: number }[] = [];
    const heard: { atMs: number; value: number }[] = [];
    const stats: unknown[] = [];
    Object.assign(window, { recording: { shown, heard, stats } });
    element.addEventListener('stats', (event) => stats.push((event as CustomEvent).detail));
    const canvas = new OffscreenCanvas(box[2], box[3]);
    const draw = canvas.getContext('2d', { willReadFrequently: true }) as OffscreenCanvasRenderingContext2D;
    const onFrame = (_now: number, { expectedDisplayTime }: VideoFrameCallbackMetadata): void => {
      draw.drawImage(video, box[0], box[1], box[2], box[3], 0, 0, box[2], box[3]);
      const { data } = draw.getImageData(0, 0, box[2], box[3]);
      let dark = 0;
      for (let green = 1; green < data.length; green += 4) if ((data[green] ?? 0) < 105) dark++;
      shown.push({ atMs: expectedDisplayTime, value: (4 * dark) / data.length });
      video.requestVideoFrameCallback(onFrame);
    };
    video.requestVideoFrameCallback(onFrame);
    const worklet = `registerProcessor('loudness', class extends AudioWorkletProcessor {
      #blocks = [];
      process([[samples = []]]) {
        this.#blocks.push([1000 * currentTime, Date.now(), Math.hypot(...samples) / Math.sqrt(samples.length || 1)]);
        if (this.#blocks.length === 100) this.port.postMessage(this.#blocks.splice(0));
        return true;
      }
    })`;
    const context = new AudioContext();
    await context.audioWorklet.addModule(URL.createObjectURL(new Blob([worklet], { type: 'text/javascript' })));
    const node = new AudioWorkletNode(context, 'loudness');
    // Samples reach WebAudio when the element's own output does; blocks are processed in bursts, so the context's clock spaces them.
    const offsets: number[] = [];
    node.port.onmessage = ({ data }: MessageEvent<[number, number, number][]>) => {
      for (const [contextMs, wallMs] of data) offsets.push(wallMs - performance.timeOrigin - contextMs);
      const offset = [...offsets].sort((a, b) => a - b)[offsets.length >> 1] ?? 0;
      for (const [contextMs, , value] of data) heard.push({ atMs: contextMs + offset, value });
      offsets.splice(0, offsets.length - 2000);
    };
    context
      .createMediaStreamSource(video.srcObject as MediaStream)
      .connect(node)
      .connect(context.destination);
  }, MOUTH_BOX);
}
