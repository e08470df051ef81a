import type { IceServer } from '../ice-servers.js';

/** Commands to the peer process. */
export type PeerCommand =
  | {
      readonly op: 'offer';
      readonly receive: readonly ('audio' | 'video')[];
      readonly sendAudio: boolean;
      /** Only relayed candidates of this server are used. */
      readonly relay?: IceServer;
    }
  | { readonly op: 'restart' }
  | { readonly op: 'accept'; readonly sdp: string }
  | { readonly op: 'tone'; readonly hz: number; readonly amplitude: number }
  | { readonly op: 'report' }
  | { readonly op: 'close' };

/** A change that the peer observed; `atMs` is on its own monotonic clock. */
export interface Change {
  readonly atMs: number;
  readonly on: boolean;
}

/** What the peer has received since it started. */
export interface PeerReport {
  readonly state: string;
  readonly frames: number;
  /** From the first to the last frame, milliseconds. */
  readonly spanMs: number;
  readonly width: number;
  readonly height: number;
  /** Mean luma of the latest frame's middle row. */
  readonly luma: number;
  /** Luma of every frame, oldest first, at most the last 500. */
  readonly lumas: readonly number[];
  /** Blocks of 10 ms. */
  readonly audioBlocks: number;
  /** Blocks that were not silent. */
  readonly loudBlocks: number;
  /** The video turned bright (`on`) or dark. */
  readonly flashes: readonly Change[];
  /** The audio turned loud (`on`) or silent. */
  readonly beeps: readonly Change[];
}

export type PeerAnswer = { readonly sdp: string } | { readonly report: PeerReport } | { readonly done: true };
