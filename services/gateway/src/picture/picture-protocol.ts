import type { Square } from './resample.js';

/** What a picture thread is started with. */
export interface PictureThreadData {
  readonly bytes: Uint8Array;
  readonly maxPixels: number;
}

export type PictureRequest =
  | { readonly op: 'square'; readonly square: Square; readonly size: number }
  | { readonly op: 'png'; readonly rgb: Uint8Array; readonly size: number };

/** First comes the size of the decoded picture, then one answer for each request, in order. */
export type PictureReply =
  | { readonly ok: true; readonly width: number; readonly height: number }
  | { readonly ok: true; readonly bytes: Uint8Array }
  | { readonly ok: false; readonly why: string };
