import type { AgentReport, FromAgent } from './agent-messages.js';
import type { PlayedReport, PlayoutFrame } from './child/playout.js';
import type { RoomText } from './room-texts.js';

/** Size and rates of what the child process plays. */
export interface PictureSetup {
  readonly width: number;
  readonly height: number;
  readonly fps: number;
  readonly sampleRateHz: number;
}

/** What the child process needs to create a viewer's tracks. */
export interface ViewerSetup extends PictureSetup {
  readonly hasAudio: boolean;
  readonly hasVideo: boolean;
}

/** What the child process needs to publish to a LiveKit room. */
export interface RoomSetup extends PictureSetup {
  readonly maxKbps: number;
  /** Identity of the LiveKit agent that speaks through the avatar; empty: none. */
  readonly agent: string;
}

export type ToViewer =
  | { readonly type: 'frame'; readonly frame: PlayoutFrame }
  | { readonly type: 'flush'; readonly epoch: number; readonly fromChunk: number; readonly isInterrupt: boolean };

export type FromViewer =
  | { readonly type: 'played'; readonly report: PlayedReport }
  | { readonly type: 'held' }
  | { readonly type: 'discarded'; readonly serials: readonly number[] }
  | { readonly type: 'stalled'; readonly stalledMs: number };

/** A LiveKit room also has an agent, and participants that read. */
export type ToRoom =
  | ToViewer
  | { readonly type: 'report'; readonly report: AgentReport }
  | { readonly type: 'text'; readonly text: RoomText };
export type FromRoomPeer = FromViewer | { readonly type: 'agent'; readonly message: FromAgent };
