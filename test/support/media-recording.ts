import type { Page } from 'playwright-core';

/** A value and the time from which it holds, milliseconds since the page's time origin. Ordered by time. */
export interface Sample {
  readonly atMs: number;
  readonly value: number;
}

/** What a page shows and plays in its video element, or in that of its `<talk-mesh>`. */
export interface MediaRecording {
  /** Of each frame, when it was expected on the display: share of the mouth's box that is clearly darker than its median. */
  readonly shown: readonly Sample[];
  /** Root mean square of each block of 128 samples. */
  readonly heard: readonly Sample[];
  /** The same of the microphone, if the page opened one. */
  readonly said: readonly Sample[];
  /** `performance.timeOrigin`: the page's zero in Unix milliseconds. */
  readonly originMs: number;
}

/** Keeps the microphone that a page opens, so that it is recorded too. Before the page loads. */
export async function keepMicrophone(page: Page): Promise<void> {
  await page.addInitScript(() => {
    const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = async (wanted) => {
      const stream = await open(wanted);
      Object.assign(window, { microphone: stream });
      return stream;
    };
  });
}

const CONNECT_MS = 60_000;

/** Calls with the `<talk-mesh>` of a page that has loaded, and waits until its picture moves. */
export async function startCall(page: Page): Promise<void> {
  await page.waitForFunction(() => customElements.get('talk-mesh') !== undefined);
  await page.evaluate(() => (document.querySelector('talk-mesh') as unknown as { connect(): Promise<void> }).connect());
  await page.waitForFunction(
    () => (document.querySelector('talk-mesh')?.shadowRoot?.querySelector('video')?.currentTime ?? 0) > 0,
    undefined,
    { timeout: CONNECT_MS },
  );
}

/** Begins to record the video element of a page, or of its `<talk-mesh>`. @param box [x, y, width, height] around the mouth, pixels of the video */
export async function recordMedia(page: Page, box: readonly [number, number, number, number]): Promise<void> {
  await page.evaluate(async (mouth) => {
    const video = (document.querySelector('talk-mesh')?.shadowRoot ?? document).querySelector('video');
    if (!video?.srcObject) throw new Error('the video has no stream');
    type Samples = { atMs: number; value: number }[];
    const recording: { shown: Samples; heard: Samples; said: Samples; originMs: number } = {
      shown: [],
      heard: [],
      said: [],
      originMs: performance.timeOrigin,
    };
    Object.assign(window, { recording });
    const canvas = new OffscreenCanvas(mouth[2], mouth[3]);
    const draw = canvas.getContext('2d', { willReadFrequently: true }) as OffscreenCanvasRenderingContext2D;
    const onFrame = (_now: number, { expectedDisplayTime }: VideoFrameCallbackMetadata): void => {
      draw.drawImage(video, mouth[0], mouth[1], mouth[2], mouth[3], 0, 0, mouth[2], mouth[3]);
      const { data } = draw.getImageData(0, 0, mouth[2], mouth[3]);
      const greens = Uint8Array.from({ length: data.length / 4 }, (_, i) => data[4 * i + 1] ?? 0);
      const median = Uint8Array.from(greens).sort()[greens.length >> 1] ?? 0;
      const dark = greens.filter((green) => green < 0.62 * median).length;
      recording.shown.push({ atMs: expectedDisplayTime, value: dark / greens.length });
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
    const listen = (stream: MediaStream, samples: Samples, isHeard: boolean): void => {
      const node = new AudioWorkletNode(context, 'loudness');
      // Samples reach WebAudio when the element's own output does; blocks are processed in bursts, so the context's clock spaces them.
      const offsets: number[] = [];
      node.port.onmessage = ({ data }: MessageEvent<[number, number, number][]>) => {
        for (const [contextMs, wallMs] of data) offsets.push(wallMs - performance.timeOrigin - contextMs);
        const offset = [...offsets].sort((a, b) => a - b)[offsets.length >> 1] ?? 0;
        for (const [contextMs, , value] of data) samples.push({ atMs: contextMs + offset, value });
        offsets.splice(0, offsets.length - 2000);
      };
      context.createMediaStreamSource(stream).connect(node);
      if (isHeard) node.connect(context.destination);
    };
    listen(video.srcObject as MediaStream, recording.heard, true);
    const { microphone } = window as unknown as { microphone?: MediaStream };
    if (microphone !== undefined) listen(microphone, recording.said, false);
  }, box);
}

/** Everything since `recordMedia`. */
export function readMedia(page: Page): Promise<MediaRecording> {
  return page.evaluate(() => (window as unknown as { recording: MediaRecording }).recording);
}
