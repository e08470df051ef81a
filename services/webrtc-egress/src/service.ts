import { MeshError, SPEECH_RATE_HZ } from '@talkmesh/contracts';
import type { OpenRequest, RunningService, ServiceContext } from '@talkmesh/service-kit';
import { PeerHost } from '@talkmesh/webrtc';
import type { Config } from './config.js';
import { controlServices } from './control.js';
import { recallPlayhead } from './inbound.js';
import { createEgressMetrics } from './metrics.js';
import { RecordSink } from './record-sink.js';
import { EgressSession, type Sink } from './session.js';
import type { FromViewer, ToViewer, ViewerSetup } from './viewer-messages.js';
import { WebrtcSink } from './webrtc-sink.js';

const MAX_SIDE = 4096;
const MAX_FPS = 60;

interface OpenSession {
  readonly session: EgressSession;
  readonly sink: Sink;
}

/** Puts webrtc-egress together: sessions, their sinks, one WebRTC child. */
export async function startWebrtcEgress(context: ServiceContext<Config>): Promise<RunningService> {
  const { config, bus, log } = context;
  const metrics = createEgressMetrics(context.metrics);
  const host = await PeerHost.start<ViewerSetup, ToViewer, FromViewer>({
    name: 'webrtc-viewers',
    module: new URL('./child/main', import.meta.url),
    config,
    log,
    metrics: context.metrics,
  });
  const sessions = new Map<string, OpenSession>();

  const open = async (request: OpenRequest): Promise<void> => {
    const { sink: kind, fps, shape } = readOptions(request);
    const recording = kind === 'SINK_RECORD';
    const after = request.resume ? await recallPlayhead(bus, request.sessionId) : undefined;
    const session = new EgressSession({
      sessionId: request.sessionId,
      epoch: request.epoch,
      fps,
      shape,
      creditChunks: recording ? config.recordLeadChunks : config.leadChunks,
      connectTimeoutMs: config.viewerConnectTimeoutMs,
      goneMs: config.viewerGoneMs,
      resume: request.resume,
      after,
      bus,
      log,
      metrics,
    });
    const { width, height } = shape;
    const sink = recording
      ? new RecordSink(session, metrics)
      : new WebrtcSink({
          session,
          host,
          metrics,
          setup: { width, height, fps, sampleRateHz: SPEECH_RATE_HZ },
          playoutFrames: config.playoutFrames,
          maxKbps: config.videoMaxKbps,
          startKbps: config.videoStartKbps,
        });
    sessions.set(request.sessionId, { session, sink });
    session.start(sink);
    await bus.flush();
  };

  const close = async (sessionId: string, reason: string): Promise<void> => {
    const held = sessions.get(sessionId);
    sessions.delete(sessionId);
    await held?.session.close(reason);
  };

  const sinkOf = (sessionId: string): Sink => {
    const held = sessions.get(sessionId);
    if (held === undefined) throw new MeshError('SESSION_NOT_FOUND', 'this worker does not hold that session');
    return held.sink;
  };

  return {
    grpc: controlServices({ sinkOf, recordStallMs: config.recordStallMs }),
    worker: {
      capacity: config.capacity,
      model: '',
      sessions: () => sessions.size,
      open,
      close,
      stats: () => [...sessions.values()].map(({ session }) => session.stats()),
    },
    [Symbol.asyncDispose]: () => host[Symbol.asyncDispose](),
  };
}

function readOptions({ egress }: OpenRequest) {
  if (egress == null) throw new MeshError('ARGUMENT_INVALID', 'webrtc-egress is opened with egress options');
  const { sink, width, height, fps } = egress;
  if (sink !== 'SINK_WEBRTC' && sink !== 'SINK_RECORD')
    throw new MeshError('ARGUMENT_INVALID', 'egress.sink is SINK_WEBRTC or SINK_RECORD');
  const sideIsRight = (side: number) => side > 0 && side <= MAX_SIDE && side % 2 === 0;
  if (!sideIsRight(width) || !sideIsRight(height))
    throw new MeshError('ARGUMENT_INVALID', `egress.width and egress.height are even, up to ${MAX_SIDE}`);
  if (fps < 1 || fps > MAX_FPS || SPEECH_RATE_HZ % fps !== 0)
    throw new MeshError('ARGUMENT_INVALID', `egress.fps divides ${SPEECH_RATE_HZ} and is at most ${MAX_FPS}`);
  return { sink, fps, shape: { width, height, samples: SPEECH_RATE_HZ / fps } };
}
