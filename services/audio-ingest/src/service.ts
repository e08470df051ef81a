import { MeshError } from '@talkmesh/contracts';
import { mapHandlers, type OpenRequest, type RunningService, type ServiceContext } from '@talkmesh/service-kit';
import { PeerHost } from '@talkmesh/webrtc';
import type { Config } from './config.js';
import { controlServices, type HeldSession } from './control.js';
import { createIngestMetrics } from './metrics.js';
import type { FromMic, MicSetup, ToMic } from './mic-messages.js';
import { Microphone } from './microphone.js';
import { IngestSession } from './session.js';
import { SileroModel } from './silero.js';

/** Starts audio-ingest: its sessions share one WebRTC child process and one voice activity model. */
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
  const sessions = new Map<string, HeldSession>();
  const gate = {
    startThreshold: config.vadStartProbability,
    stopThreshold: config.vadStopProbability,
    startMs: config.vadStartMs,
    stopMs: config.vadStopMs,
  };

  const micCheck = { quietDbfs: config.micQuietDbfs, silentMs: config.micSilentSeconds * 1000 };

  const open = async ({ sessionId, epoch, ingest, takeOver }: OpenRequest): Promise<void> => {
    if (ingest == null) throw new MeshError('ARGUMENT_INVALID', 'audio-ingest needs OpenRequest.ingest');
    const voice = ingest.vad ? { voice: { detector: silero.detector(), gate } } : {};
    const session = new IngestSession({ sessionId, epoch, takeOver, bus, log, metrics, micCheck, ...voice });
    sessions.set(sessionId, { session, microphone: new Microphone(host, session) });
    await bus.flush();
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
      await host[Symbol.asyncDispose]();
      await silero[Symbol.asyncDispose]();
    },
  };
}
