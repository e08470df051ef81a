import { MeshError } from '@talkmesh/contracts';
import type { OpenRequest, RunningService, ServiceContext } from '@talkmesh/service-kit';
import { PeerHost } from '@talkmesh/webrtc';
import type { Config } from './config.js';
import { controlServices, type HeldSession } from './control.js';
import { createIngestMetrics } from './metrics.js';
import type { FromMic, MicSetup, ToMic } from './mic-messages.js';
import { Microphone } from './microphone.js';
import { IngestSession } from './session.js';
import { SileroModel } from './silero.js';

/** Puts audio-ingest together: sessions, one WebRTC child, one voice activity network. */
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

  const open = async ({ sessionId, epoch, ingest, resume }: OpenRequest): Promise<void> => {
    if (ingest == null) throw new MeshError('ARGUMENT_INVALID', 'audio-ingest is opened with ingest options');
    const voice = ingest.vad ? { voice: { detector: silero.detector(), gate } } : {};
    const session = new IngestSession({ sessionId, epoch, resume, bus, log, metrics, ...voice });
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
    worker: {
      capacity: config.capacity,
      model: '',
      sessions: () => sessions.size,
      open,
      close,
      stats: () => [...sessions.values()].map(({ session }) => session.stats()),
    },
    async [Symbol.asyncDispose]() {
      await host[Symbol.asyncDispose]();
      await silero[Symbol.asyncDispose]();
    },
  };
}
