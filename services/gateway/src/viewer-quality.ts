import type { Counter, Histogram, Metrics } from '@talkmesh/service-kit';
import { z } from 'zod';

/** Longest time that one report covers, and the largest values it may hold: a page is not trusted to count. */
const MAX_REPORT_MS = 60_000;
const MAX_DELAY_MS = 10_000;
const MAX_SKEWS = 60;

const delayMs = z.number().min(0).max(MAX_DELAY_MS);

export const qualityBody = z.strictObject({
  watchedMs: z.number().min(0).max(MAX_REPORT_MS).describe('Time that the report covers'),
  avSkewMs: z
    .array(z.number().min(-MAX_DELAY_MS).max(MAX_DELAY_MS))
    .max(MAX_SKEWS)
    .describe('Lip sync, one value for each second: positive when the picture is ahead of its sound'),
  freezes: z.number().int().min(0).max(1000).describe('Times the picture stood still'),
  frozenMs: z.number().min(0).max(MAX_REPORT_MS).describe('How long it stood still'),
  jitterMs: delayMs.optional().describe("Variation of the arrival of the sound's packets (RFC 3550)"),
  pictureDelayMs: delayMs.optional().describe('From the arrival of a frame until it is on the display'),
  soundDelayMs: delayMs.optional().describe('From the arrival of a sample until it is heard'),
  firstFrameMs: z
    .number()
    .min(0)
    .max(MAX_REPORT_MS)
    .optional()
    .describe('From the call, or a lost connection, until a frame is on the display; once for each connection'),
});
export type QualityBody = z.infer<typeof qualityBody>;

const SKEW_BUCKETS = [0.01, 0.02, 0.03, 0.045, 0.06, 0.09, 0.125, 0.185, 0.3, 0.5, 1];
const DELAY_BUCKETS = [0.02, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2];
const FIRST_FRAME_BUCKETS = [0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30];

/** What viewers report of how the call plays in their browsers, as metrics of the whole mesh. */
export class ViewerQuality {
  readonly #skew: Histogram;
  readonly #delay: Histogram;
  readonly #jitter: Histogram;
  readonly #firstFrame: Histogram;
  readonly #watched: Counter;
  readonly #frozen: Counter;
  readonly #freezes: Counter;

  constructor(metrics: Metrics) {
    this.#skew = metrics.histogram(
      'talkmesh_viewer_av_skew_seconds',
      "Time between picture and sound in the viewer's browser, one value a second; ahead: picture or sound",
      ['ahead'],
      SKEW_BUCKETS,
    );
    this.#delay = metrics.histogram(
      'talkmesh_viewer_delay_seconds',
      "Time from arrival in the viewer's browser until it is seen or heard; kind: picture or sound",
      ['kind'],
      DELAY_BUCKETS,
    );
    this.#jitter = metrics.histogram('talkmesh_viewer_jitter_seconds', 'Variation of the arrival of sound (RFC 3550)');
    this.#firstFrame = metrics.histogram(
      'talkmesh_viewer_first_frame_seconds',
      "Time from the call, or a lost connection, until a frame is on the viewer's display",
      [],
      FIRST_FRAME_BUCKETS,
    );
    this.#watched = metrics.counter('talkmesh_viewer_watched_seconds_total', 'Time that viewers reported on');
    this.#frozen = metrics.counter(
      'talkmesh_viewer_frozen_seconds_total',
      'Of it, time in which the picture stood still',
    );
    this.#freezes = metrics.counter('talkmesh_viewer_freezes_total', 'Times the picture stood still');
  }

  record(report: QualityBody): void {
    for (const skew of report.avSkewMs)
      this.#skew.observe({ ahead: skew < 0 ? 'sound' : 'picture' }, Math.abs(skew) / 1000);
    if (report.pictureDelayMs !== undefined) this.#delay.observe({ kind: 'picture' }, report.pictureDelayMs / 1000);
    if (report.soundDelayMs !== undefined) this.#delay.observe({ kind: 'sound' }, report.soundDelayMs / 1000);
    if (report.jitterMs !== undefined) this.#jitter.observe(report.jitterMs / 1000);
    if (report.firstFrameMs !== undefined) this.#firstFrame.observe(report.firstFrameMs / 1000);
    this.#watched.inc(report.watchedMs / 1000);
    this.#frozen.inc(report.frozenMs / 1000);
    this.#freezes.inc(report.freezes);
  }
}
