/** Commands to the peer process. */
export type PeerCommand =
  | { readonly op: 'offer'; readonly receive: readonly ('audio' | 'video')[]; readonly sendAudio: boolean }
  | { readonly op: 'accept'; readonly sdp: string }
  | { readonly op: 'tone'; readonly hz: number; readonly amplitude: number }
  | { readonly op: 'report' }
  | { readonly op: 'close' };

/** A change seen by the peer, milliseconds of its own clock. */
export interface Change {
  readonly atMs: number;
  readonly on: boolean;
}

/** What the peer has seen and heard since it began. */
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
  /** Picture turned bright or dark. */
  readonly flashes: readonly Change[];
  /** Sound began or ended. */
  readonly beeps: readonly Change[];
}

export type PeerAnswer = { readonly sdp: string } | { readonly report: PeerReport } | { readonly done: true };
