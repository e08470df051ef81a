import { nano } from './nano.js';

/** A page of a browser in which functions of the test can be called. */
export interface Evaluating {
  evaluate<Result, Argument>(
    action: (argument: Argument) => Result | Promise<Result>,
    argument?: Argument,
  ): Promise<Result>;
}

/** One measurement of the call, taken in the browser for a video frame that it presents. */
export interface ProbeSample {
  /** Milliseconds since the probe started. */
  readonly t: number;
  /** Root mean square of the last 43 ms of the answer's audio, 0..1. */
  readonly audio: number;
  /** How far the mouth is open: share of the pixels in the mouth box that are clearly darker than the median. */
  readonly mouth: number;
  /** Frames presented since the video began, including frames without a sample. */
  readonly presented: number;
}

/**
 * Starts sampling inside the page at each presented video frame: audio energy with WebAudio, the mouth with a canvas.
 * `mouthBox` is [x, y, width, height] in pixels of the model's own size, whatever the size of the video.
 */
export async function startProbe(page: Evaluating, mouthBox: readonly [number, number, number, number]): Promise<void> {
  await page.evaluate(
    ({ box, width }) => {
      const video = document.querySelector<HTMLVideoElement>('[data-testid=video]');
      if (!video?.srcObject) throw new Error('the video has no stream');
      const context = new AudioContext();
      const analyser = context.createAnalyser();
      analyser.fftSize = 2048;
      context.createMediaStreamSource(video.srcObject as MediaStream).connect(analyser);
      const canvas = new OffscreenCanvas(box[2], box[3]);
      const draw = canvas.getContext('2d', { willReadFrequently: true }) as OffscreenCanvasRenderingContext2D;
      const wave = new Float32Array(analyser.fftSize);
      const samples: { t: number; audio: number; mouth: number; presented: number }[] = [];
      Object.assign(window, { probe: { samples, context } });
      const started = performance.now();
      const takeSample = (_now: number, { presentedFrames }: VideoFrameCallbackMetadata): void => {
        analyser.getFloatTimeDomainData(wave);
        const audio = Math.sqrt(wave.reduce((sum, x) => sum + x * x, 0) / wave.length);
        const [x, y, w, h] = box.map((pixels) => (pixels * video.videoWidth) / width) as [
          number,
          number,
          number,
          number,
        ];
        draw.drawImage(video, x, y, w, h, 0, 0, box[2], box[3]);
        const { data } = draw.getImageData(0, 0, box[2], box[3]);
        const luma = new Float32Array(data.length / 4);
        for (let i = 0; i < luma.length; i++)
          luma[i] = 0.299 * (data[4 * i] ?? 0) + 0.587 * (data[4 * i + 1] ?? 0) + 0.114 * (data[4 * i + 2] ?? 0);
        const median = Float32Array.from(luma).sort()[luma.length >> 1] ?? 0;
        samples.push({
          t: performance.now() - started,
          audio,
          mouth: luma.filter((l) => l < 0.62 * median).length / luma.length,
          presented: presentedFrames,
        });
        video.requestVideoFrameCallback(takeSample);
      };
      video.requestVideoFrameCallback(takeSample);
    },
    { box: mouthBox, width: nano.width },
  );
}

/** All samples since the probe started. */
export async function readProbe(page: Evaluating): Promise<ProbeSample[]> {
  return page.evaluate(() => (window as unknown as { probe: { samples: ProbeSample[] } }).probe.samples);
}
