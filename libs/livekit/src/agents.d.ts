/**
 * The part of LiveKit Agents 1.9 that this package uses. The package is 285 MB with its dependencies, so this repository does not install it;
 * `npm run livekit-tests` compiles against the real types and runs against the real code.
 */
declare module '@livekit/agents' {
  import type { Room, TrackKind } from '@livekit/rtc-node';

  export namespace voice {
    interface AgentSession {
      readonly output: { audio: unknown };
    }
    class AvatarSession {
      get avatarIdentity(): string;
      get provider(): string;
      start(agentSession: AgentSession, room: Room): Promise<unknown>;
      waitForJoin(options?: { timeout?: number | null }): Promise<void>;
      aclose(): Promise<void>;
      protected _rollbackStart(): Promise<void>;
    }
    class DataStreamAudioOutput {
      constructor(options: {
        room: Room;
        destinationIdentity: string;
        sampleRate: number;
        waitRemoteTrack?: TrackKind;
        waitPlaybackStart?: boolean;
      });
    }
  }

  export function getJobContext(required: false): { readonly agent?: { readonly identity: string } } | undefined;
}
