import type { Square } from './resample-square.js';

/** The first message to a picture process is the file; then one answer follows for each message, in order. */
export type PictureRequest =
  | { readonly op: 'decode'; readonly bytes: Uint8Array; readonly maxPixels: number }
  | { readonly op: 'square'; readonly square: Square; readonly size: number }
  | { readonly op: 'png'; readonly rgb: Uint8Array; readonly size: number };

export type PictureReply =
  | { readonly ok: true; readonly width: number; readonly height: number }
  | { readonly ok: true; readonly bytes: Uint8Array }
  | { readonly ok: false; readonly why: string };
