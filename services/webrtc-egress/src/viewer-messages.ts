import type { PlayedReport, PlayoutFrame } from './child/playout.js';

/** What the child needs to make a viewer's tracks. */
export interface ViewerSetup {
  readonly width: number;
  readonly height: number;
  readonly fps: number;
  readonly sampleRateHz: number;
  readonly hasAudio: boolean;
  readonly hasVideo: boolean;
}

/** Service to child. */
export type ToViewer =
  | { readonly type: 'frame'; readonly frame: PlayoutFrame }
  | { readonly type: 'flush'; readonly epoch: number; readonly fromChunk: number };

/** Child to service. */
export type FromViewer =
  | { readonly type: 'played'; readonly report: PlayedReport }
  | { readonly type: 'held' }
  | { readonly type: 'discarded'; readonly serials: readonly number[] }
  | { readonly type: 'stalled'; readonly stalledMs: number };
