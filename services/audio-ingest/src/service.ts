import { MeshError } from '@talkmesh/contracts';
import { mapHandlers, type OpenRequest, type RunningService, type ServiceContext } from '@talkmesh/service-kit';
import { allowedServer, PeerHost, type RoomHost, startRoomHost } from '@talkmesh/webrtc';
import type { Config } from './config.js';
import { controlServices, type HeldSession } from './control.js';
import { createIngestMetrics } from './metrics.js';
import type { FromMic, MicSetup, ToMic } from './mic-messages.js';
import { Microphone } from './microphone.js';
import { openHeld } from './open-held.js';
import type { FromListener, ListenerSetup, ToListener } from './room-messages.js';
import { RoomMicrophone } from './room-microphone.js';
import { IngestSession } from './session.js';
import { SileroModel } from './silero.js';

/**
 * Starts audio-ingest: its sessions share one voice activity model, one WebRTC child process, and one with LiveKit's library when LiveKit
 * servers are allowed.
 */
export async function startAudioIngest(context: ServiceContext<Config>): Promise<RunningService> {
  const { config, bus, log } = context;
  const metrics = createIngestMetrics(context.metrics);
  const silero = await SileroModel.load(config.vadModel, log);
  const host = await PeerHost.start<MicSetup, ToMic, FromMic>({
    name: 'webrtc-microphones',
    module: new URL('./child/main', import.meta.url),
    config,
    log,
    metrics: context.metrics,
  });
  const rooms = config.livekitUrls.length > 0 ? await startListeners(context) : undefined;
  const sessions = new Map<string, HeldSession>();
  const gate = {
    startThreshold: config.vadStartProbability,
    stopThreshold: config.vadStopProbability,
    startMs: config.vadStartMs,
    stopMs: config.vadStopMs,
  };

  const micCheck = { quietDbfs: config.micQuietDbfs, silentMs: config.micSilentSeconds * 1000 };

  const hear = (session: IngestSession, { token, avatar, ...room }: Room): RoomMicrophone => {
    const url = allowedServer(config.livekitUrls, room.url);
    if (rooms === undefined || url === undefined)
      throw new MeshError(
        'ARGUMENT_INVALID',
        'this worker may not connect to that LiveKit server; add its URL to TALKMESH_LIVEKIT_URLS',
      );
    const setup = { identity: room.identity, attributes: { ...room.attributes }, avatar };
    return new RoomMicrophone({ host: rooms, session, url, token, rejoinMs: config.livekitRejoinMs, setup });
  };

  const open = async ({ sessionId, epoch, ingest, takeOver }: OpenRequest): Promise<void> => {
    if (ingest == null) throw new MeshError('ARGUMENT_INVALID', 'audio-ingest needs OpenRequest.ingest');
    const voice = ingest.vad ? { voice: { detector: silero.detector(), gate } } : {};
    const session = new IngestSession({ sessionId, epoch, takeOver, bus, log, metrics, micCheck, ...voice });
    const { room } = ingest;
    await openHeld(sessions, sessionId, {
      session,
      connect: () => (room === null ? new Microphone(host, session) : hear(session, room)),
      flush: () => bus.flush(),
      awaitsJoin: !takeOver,
    });
  };

  const close = async (sessionId: string, reason: string): Promise<void> => {
    const held = sessions.get(sessionId);
    sessions.delete(sessionId);
    await held?.microphone.close();
    await held?.session.close(reason);
  };

  const { streamMaxSeconds, streamAheadMs, streamIdleMs, streamStallMs } = config;
  const limits = { maxSeconds: streamMaxSeconds, aheadMs: streamAheadMs, idleMs: streamIdleMs, stallMs: streamStallMs };
  return {
    grpc: controlServices({ sessions, limits }),
    worker: mapHandlers(config.capacity, sessions, { open, close }),
    async [Symbol.asyncDispose]() {
      await rooms?.[Symbol.asyncDispose]();
      await host[Symbol.asyncDispose]();
      await silero[Symbol.asyncDispose]();
    },
  };
}

type Room = NonNullable<NonNullable<OpenRequest['ingest']>['room']>;

function startListeners({
  log,
  metrics,
}: ServiceContext<Config>): Promise<RoomHost<ListenerSetup, ToListener, FromListener>> {
  const module = new URL('./child/room-main', import.meta.url);
  return startRoomHost<ListenerSetup, ToListener, FromListener>({ name: 'livekit-microphones', module, log, metrics });
}
