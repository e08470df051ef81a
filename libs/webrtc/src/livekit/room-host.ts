import type { Logger, Metrics } from '@talkmesh/service-kit';
import { ConnectionHost, type ConnectionListener } from '../connection-host.js';
import type { FromRoom, RoomRequest, RoomState } from './room-protocol.js';

/** Participants in LiveKit rooms, in a child process that calls `serveRooms`. */
export type RoomHost<Setup, In, Out> = ConnectionHost<
  RoomRequest<Setup>,
  Record<string, never>,
  RoomState,
  In,
  FromRoom<Out>
>;
export type RoomListener<Out> = ConnectionListener<RoomState, FromRoom<Out>>;

export interface RoomHostOptions {
  /** Label in metrics and logs. */
  readonly name: string;
  /** URL of the child's module without its extension. */
  readonly module: URL;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** Resolves when the child has started. @throws MeshError TOOL_MISSING: it does not start */
export function startRoomHost<Setup, In, Out>(options: RoomHostOptions): Promise<RoomHost<Setup, In, Out>> {
  const gauge = options.metrics.gauge('talkmesh_rooms', 'LiveKit rooms that this worker has joined or is joining');
  return ConnectionHost.start({ ...options, needs: '@livekit/rtc-node', gauge });
}
