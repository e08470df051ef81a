import { MeshError, type MeshEvent, SPEECH_RATE_HZ } from '@talkmesh/contracts';
import {
  mapHandlers,
  type OpenRequest,
  type RunningService,
  readGauge,
  type ServiceContext,
} from '@talkmesh/service-kit';
import { allowedServer, PeerHost, startRoomHost } from '@talkmesh/webrtc';
import type { Stage } from './avatar-stream.js';
import type { Config } from './config.js';
import { controlServices } from './control.js';
import { FrameSink } from './frame-sink.js';
import { flushesIn, readBackEvents, readBackPlayhead } from './inbound.js';
import { type EgressRoomHost, LivekitSink } from './livekit-sink.js';
import { createEgressMetrics } from './metrics.js';
import { RecordSink } from './record-sink.js';
import type { Recorder } from './recording/recorder.js';
import { Recordings } from './recording/recordings.js';
import { RoomTexts } from './room-texts.js';
import { EgressSession, type Sink } from './session.js';
import { Speaker } from './speaker.js';
import type {
  FromRoomPeer,
  FromViewer,
  PictureSetup,
  RoomSetup,
  ToRoom,
  ToViewer,
  ViewerSetup,
} from './viewer-messages.js';
import { WebrtcSink } from './webrtc-sink.js';

const MAX_SIDE = 4096;
const MAX_FPS = 60;

interface OpenSession {
  readonly session: EgressSession;
  readonly sink: Sink;
  readonly options: EgressOptions;
  readonly takeOver: boolean;
  /** Of the program at the avatar socket, once it has connected. */
  speaker?: Speaker;
}

/**
 * Starts webrtc-egress: its sessions, each with a sink, share one WebRTC child process, and one with LiveKit's library when LiveKit servers
 * are allowed.
 */
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
  const rooms = config.livekitUrls.length > 0 ? await startRooms(context) : undefined;
  const recordings = await Recordings.open(context, metrics);
  const sessions = new Map<string, OpenSession>();
  const waiting = (): number => [...sessions.values()].reduce((sum, { session }) => sum + session.waitingFrames, 0);
  readGauge(context.metrics, 'talkmesh_waiting_frames', 'Frames that wait to be played', waiting);

  const createSink = (
    session: EgressSession,
    { sink: kind, fps, shape, livekit }: EgressOptions,
    retained: readonly MeshEvent[],
    takeOver: boolean,
  ): Sink => {
    const { width, height } = shape;
    const setup: PictureSetup = { width, height, fps, sampleRateHz: SPEECH_RATE_HZ };
    const { playoutFrames, videoMaxKbps: maxKbps, videoStartKbps: startKbps } = config;
    if (kind === 'SINK_RECORD') return new RecordSink(session, metrics);
    if (kind === 'SINK_FRAMES') return new FrameSink({ session, metrics, fps });
    if (kind === 'SINK_WEBRTC')
      return new WebrtcSink({ session, host, metrics, setup, playoutFrames, maxKbps, startKbps });
    const url = allowedServer(config.livekitUrls, livekit?.url ?? '');
    if (rooms === undefined || livekit == null || url === undefined)
      throw new MeshError(
        'ARGUMENT_INVALID',
        'this worker may not connect to that LiveKit server; add its URL to TALKMESH_LIVEKIT_URLS',
      );
    const { livekitRejoinMs: rejoinMs, livekitAloneMs: aloneMs, livekitAgentGoneMs: agentGoneMs } = config;
    const texts = new RoomTexts();
    for (const event of retained) texts.after(event);
    const room = { url, token: livekit.token, rejoinMs, aloneMs, agentGoneMs, takeOver, texts, log };
    const roomSetup = { ...setup, maxKbps, agent: livekit.agent };
    return new LivekitSink({ session, host: rooms, metrics, playoutFrames, setup: roomSetup, ...room });
  };

  /** A session that another worker had goes on when it cannot be recorded any more; a new one is refused. */
  const record = async (request: OpenRequest, options: EgressOptions): Promise<RecordingStart> => {
    const { recording: wanted, fps, shape, disclosure } = options;
    const { sessionId, takeOver } = request;
    if (wanted === undefined) return {};
    const picture = { width: shape.width, height: shape.height, fps };
    try {
      if (recordings === undefined)
        throw new MeshError('RECORDING_UNAVAILABLE', 'this worker records no calls; set TALKMESH_RECORDINGS_FOLDER');
      return { recorder: await recordings.begin({ sessionId, wanted, picture, disclosure, takeOver }) };
    } catch (err) {
      if (!takeOver) throw err;
      log.error({ err, sessionId }, 'a session that was taken over is no longer recorded');
      return { isLost: true };
    }
  };

  const open = async (request: OpenRequest): Promise<void> => {
    const options = readOptions(request);
    const { fps, shape, disclosure } = options;
    const isLivekit = options.sink === 'SINK_LIVEKIT';
    const { sessionId, takeOver } = request;
    const [after, retained = []] = takeOver
      ? await Promise.all([readBackPlayhead(bus, sessionId), readBackEvents(bus, sessionId)])
      : [];
    const { recorder, isLost } = await record(request, options);
    const session = new EgressSession({
      sessionId: request.sessionId,
      epoch: request.epoch,
      fps,
      shape,
      disclosure,
      creditChunks: options.sink === 'SINK_RECORD' ? config.recordLeadChunks : config.leadChunks,
      connectTimeoutMs: isLivekit ? config.livekitRejoinMs : config.viewerConnectTimeoutMs,
      goneMs: isLivekit ? config.livekitRejoinMs : config.viewerGoneMs,
      takeOver: request.takeOver,
      after,
      flushed: flushesIn(retained),
      recorder,
      bus,
      log,
      metrics,
    });
    if (isLost) session.recordingLost();
    try {
      const sink = createSink(session, options, retained, request.takeOver);
      sessions.set(request.sessionId, { session, sink, options, takeOver: request.takeOver });
      session.start(sink);
      await bus.flush();
      if (sink instanceof LivekitSink) await sink.join(!request.takeOver);
    } catch (thrown) {
      sessions.delete(request.sessionId);
      await session.close('failed');
      throw thrown;
    }
  };

  const close = async (sessionId: string, reason: string): Promise<void> => {
    const held = sessions.get(sessionId);
    sessions.delete(sessionId);
    const isMoved = reason === 'moved';
    held?.speaker?.close(
      new MeshError(isMoved ? 'PEER_LOST' : 'SESSION_ENDED', `the session ${isMoved ? 'moves' : 'has ended'}`),
    );
    await held?.session.close(reason);
  };

  const heldOf = (sessionId: string): OpenSession => {
    const held = sessions.get(sessionId);
    if (held === undefined) throw new MeshError('SESSION_NOT_FOUND', 'this worker does not hold the session');
    return held;
  };
  const sinkOf = (sessionId: string): Sink => heldOf(sessionId).sink;

  const stageOf = (sessionId: string): Stage => {
    const held = heldOf(sessionId);
    const { session, sink, options, takeOver } = held;
    if (sink instanceof RecordSink || options.livekit?.agent)
      throw new MeshError(
        'ARGUMENT_INVALID',
        'the session is recorded, or a LiveKit agent speaks in it; open one with the output "frames" or "webrtc"',
      );
    const graceMs = config.viewerGoneMs;
    held.speaker ??= new Speaker({
      follow: (callbacks) => session.followAgent({ ...callbacks, takeOver, mutes: sink instanceof FrameSink }),
      warn: (utterance, what) => log.warn({ sessionId, utterance }, what),
      graceMs,
      onGone: () => session.watch.left('speaker-gone'),
    });
    const { shape, fps } = options;
    return { speaker: held.speaker, shape, fps, graceMs, frames: sink instanceof FrameSink ? sink : undefined };
  };

  return {
    grpc: controlServices({ sinkOf, stageOf, metrics, recordStallMs: config.recordStallMs }),
    worker: { ...mapHandlers(config.capacity, sessions, { open, close }), recordsCalls: recordings !== undefined },
    async [Symbol.asyncDispose]() {
      await recordings?.[Symbol.asyncDispose]();
      await rooms?.[Symbol.asyncDispose]();
      await host[Symbol.asyncDispose]();
    },
  };
}

function startRooms({ log, metrics }: ServiceContext<Config>): Promise<EgressRoomHost & AsyncDisposable> {
  const module = new URL('./child/room-main', import.meta.url);
  return startRoomHost<RoomSetup, ToRoom, FromRoomPeer>({ name: 'livekit-rooms', module, log, metrics });
}

const SINKS = ['SINK_WEBRTC', 'SINK_RECORD', 'SINK_LIVEKIT', 'SINK_FRAMES'] as const;

type EgressOptions = ReturnType<typeof readOptions>;
interface RecordingStart {
  readonly recorder?: Recorder | undefined;
  readonly isLost?: boolean;
}

function readOptions({ egress }: OpenRequest) {
  if (egress == null) throw new MeshError('ARGUMENT_INVALID', 'webrtc-egress needs OpenRequest.egress');
  const { sink, width, height, fps, livekit, disclosure, recording } = egress;
  // A newer gateway may name a sink that this worker does not have, but another worker has.
  if (!SINKS.some((known) => known === sink))
    throw new MeshError(
      'CONFIG_INVALID',
      'egress.sink must be one of SINK_WEBRTC, _RECORD, _LIVEKIT and _FRAMES; this worker knows no other: upgrade it',
    );
  if (recording != null && sink !== 'SINK_WEBRTC' && sink !== 'SINK_LIVEKIT')
    throw new MeshError('ARGUMENT_INVALID', 'egress.recording is for SINK_WEBRTC and SINK_LIVEKIT');
  const isValidSide = (side: number) => side > 0 && side <= MAX_SIDE && side % 2 === 0;
  if (!isValidSide(width) || !isValidSide(height))
    throw new MeshError(
      'ARGUMENT_INVALID',
      `egress.width and egress.height must be even, positive and at most ${MAX_SIDE}`,
    );
  if (fps < 1 || fps > MAX_FPS || SPEECH_RATE_HZ % fps !== 0)
    throw new MeshError('ARGUMENT_INVALID', `egress.fps must divide ${SPEECH_RATE_HZ} and be at most ${MAX_FPS}`);
  return {
    sink,
    fps,
    livekit,
    disclosure: disclosure ?? undefined,
    recording: recording ?? undefined,
    shape: { width, height, samples: SPEECH_RATE_HZ / fps },
  };
}
