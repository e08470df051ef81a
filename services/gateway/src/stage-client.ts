import { setTimeout as sleep } from 'node:timers/promises';
import {
  MeshError,
  type ModelManifest,
  OPEN_ORDER,
  pictureSize,
  type SessionRecord,
  type SizedPictures,
  type WorkerName,
  type WorkerRecord,
} from '@talkmesh/contracts';
import type { v1 } from '@talkmesh/contracts/protos';
import { callUnary, type Logger, type Metrics, type SessionStats } from '@talkmesh/service-kit';
import type { LivekitRooms } from './livekit-rooms.js';
import type { SessionStore, StoredSession } from './session-store.js';
import { otherThan, type WorkerDirectory, type WorkerSnapshot } from './worker-directory.js';
import type { WorkerPlace } from './worker-monitor.js';
import { tryWorkers } from './worker-selection.js';

type OpenRequest = Parameters<InstanceType<typeof v1.StageService>['open']>[0];
export type StageStats = Omit<SessionStats, 'sessionId'>;
type StatsResponse = { readonly sessions: readonly SessionStats[] };
type Placement = SessionRecord['placement'];

export interface StageClientOptions {
  readonly directory: WorkerDirectory;
  readonly store: SessionStore;
  readonly manifest: SizedPictures & Pick<ModelManifest, 'version' | 'fps'>;
  readonly rooms: Pick<LivekitRooms, 'avatarToken' | 'listenerToken'>;
  readonly openDeadlineMs: number;
  readonly closeDeadlineMs: number;
  readonly log: Logger;
  readonly metrics: Metrics;
}

export interface OpenOptions {
  readonly signal: AbortSignal;
  /** When all stages have to be open, `performance.now()` milliseconds. */
  readonly deadlineAtMs: number;
  /** Until when to wait for a worker to become ready, `performance.now()` milliseconds. */
  readonly waitUntilMs: number;
  /** The session's own key for its provider; empty when it has none. */
  readonly providerKey: string;
  /** Called with every new version of the record. */
  readonly onChange: (stored: StoredSession) => void;
}

/** Errors after which the worker may hold the session all the same, so it has to be closed there. */
export const MAY_HOLD_SESSION = new Set(['DEADLINE_EXCEEDED', 'PEER_LOST', 'CANCELLED']);

/** Pauses before each time that a worker is asked to close a stage which has moved, milliseconds. */
const CLOSE_AGAIN_MS = [0, 500, 1000, 2000, 4000];

const SINKS = { webrtc: 'SINK_WEBRTC', record: 'SINK_RECORD', frames: 'SINK_FRAMES' } as const;

/** Calls StageService of the workers: opens, takes over and closes the five stages of a session. */
export class StageClient {
  readonly #options: StageClientOptions;
  readonly #refusals;
  readonly #waits;
  readonly #closeFailures;

  constructor(options: StageClientOptions) {
    this.#options = options;
    this.#refusals = options.metrics.counter(
      'talkmesh_placement_refusals_total',
      'Stage openings that a worker refused',
      ['service', 'reason'],
    );
    this.#waits = options.metrics.counter(
      'talkmesh_placement_waits_total',
      'Stage openings that waited for a worker to become ready',
      ['service'],
    );
    this.#closeFailures = options.metrics.counter(
      'talkmesh_stage_close_failures_total',
      'Stages that could not be closed',
      ['service', 'reason'],
    );
  }

  /**
   * Opens one stage on the first worker that accepts it, and waits while all workers are restarting. The placement is written before
   * the worker is called, so that every gateway can close the stage, even if this process exits in between.
   * @throws MeshError NO_WORKER, SESSION_LIMIT (all full), or the worker's error when the request itself is invalid
   */
  async open(from: StoredSession, service: WorkerName, workers: WorkerSnapshot, call: OpenOptions): Promise<void> {
    const { store, directory } = this.#options;
    const { id } = from.record;
    const closing = new Map<string, Promise<unknown>>();
    let stored = from;
    const callWorker = async ({ instanceId, grpcAddress, recordsCalls }: WorkerRecord): Promise<void> => {
      const place = { service, instanceId, grpcAddress };
      if (service === 'webrtc-egress' && from.record.recording && !recordsCalls) throw recordsNothing(instanceId);
      // An earlier attempt may have left the session there. Its Close must finish before the next Open, or it would close that one.
      await closing.get(instanceId);
      const leftMs = call.deadlineAtMs - performance.now();
      if (leftMs <= 0)
        throw new MeshError(
          'DEADLINE_EXCEEDED',
          'the session was not opened in time; look at the logs of the workers and try again',
        );
      if (stored.record.placement[service]?.instanceId !== instanceId) {
        stored = await store.update(stored, {
          placement: { ...stored.record.placement, [service]: { instanceId, grpcAddress } },
        });
        call.onChange(stored);
      }
      await this.#openOn(stored.record, place, Math.min(leftMs, this.#options.openDeadlineMs), call).catch(
        (error: MeshError) => {
          if (!call.signal.aborted && MAY_HOLD_SESSION.has(error.reason))
            closing.set(instanceId, this.close(id, { [service]: { instanceId, grpcAddress } }, 'failed'));
          throw error;
        },
      );
    };
    const result = await tryWorkers({
      ...{
        directory,
        service,
        model: this.#model,
        workers,
        untilMs: call.waitUntilMs,
        signal: call.signal,
        call: callWorker,
      },
      onWait: () => {
        this.#waits.inc({ service });
        this.#options.log.info(
          { sessionId: id, target: service },
          'no worker accepts the session yet; waiting for one',
        );
      },
    });
    if ('refused' in result) {
      const others = (await directory.read()).otherModels(this.#model);
      throw refusalOf(service, result.refused, `none is ready for ${otherThan(this.#model, others)}`);
    }
  }

  async #openOn(record: SessionRecord, place: WorkerPlace, deadlineMs: number, call: OpenOptions): Promise<void> {
    const { service, instanceId, grpcAddress } = place;
    try {
      const request = await this.#request(place, record, call.providerKey);
      const { stage } = this.#options.directory.clientsAt(grpcAddress);
      await callUnary(stage, 'open', request, { deadlineMs, signal: call.signal });
    } catch (thrown) {
      const error = MeshError.from(thrown);
      const { reason } = error;
      this.#refusals.inc({ service, reason });
      this.#options.log.warn(
        { err: error, sessionId: record.id, target: service, worker: instanceId, reason },
        'a worker did not open the session; the next one is tried',
      );
      throw error;
    }
  }

  /** Opens a stage on one worker, which continues the session from what NATS retains of it. @throws MeshError of the worker */
  async takeOver(record: SessionRecord, place: WorkerPlace, deadlineMs: number): Promise<void> {
    const request = { ...(await this.#request(place, record, '')), takeOver: true };
    await callUnary(this.#options.directory.clientsAt(place.grpcAddress).stage, 'open', request, {
      deadlineMs: Math.min(deadlineMs, this.#options.openDeadlineMs),
    });
  }

  get #model(): string {
    return `${this.#options.manifest.name}@${this.#options.manifest.version}`;
  }

  /**
   * Ready workers that a session can move to, least loaded first. @throws MeshError NATS_UNAVAILABLE; the errors of LivekitRooms, when
   * only gateways with other settings than this one can move the session: while a key is being rolled out they differ
   */
  async candidates(service: WorkerName, record: SessionRecord): Promise<WorkerRecord[]> {
    const { recording } = record;
    await this.#request({ service, instanceId: '', grpcAddress: '' }, record, '');
    const isRecorded = service === 'webrtc-egress' && recording !== undefined;
    return (await this.#options.directory.read()).candidates(service, this.#model, isRecorded);
  }

  /** Ids of the sessions that a worker holds. @throws MeshError PEER_LOST, DEADLINE_EXCEEDED */
  async heldSessions(address: string): Promise<ReadonlySet<string>> {
    const { directory, closeDeadlineMs } = this.#options;
    const answer: StatsResponse = await callUnary(
      directory.clientsAt(address).stage,
      'stats',
      {},
      { deadlineMs: closeDeadlineMs },
    );
    return new Set(answer.sessions.map(({ sessionId }) => sessionId));
  }

  /** Closes a stage that has moved, and asks again when its worker did not answer in time: a draining one would wait for it until its deadline. */
  async closeMoved(sessionId: string, place: WorkerPlace): Promise<void> {
    for (const pauseMs of CLOSE_AGAIN_MS) {
      await sleep(pauseMs);
      const left = await this.close(sessionId, { [place.service]: place }, 'moved');
      if (left[place.service] === undefined) return;
    }
  }

  /** Closes stages in parallel. @returns those that did not answer in time */
  async close(sessionId: string, placement: Placement, reason: string): Promise<Placement> {
    const left: Placement = {};
    const closeOne = async (service: WorkerName): Promise<void> => {
      const place = placement[service];
      if (place === undefined) return;
      try {
        const { stage } = this.#options.directory.clientsAt(place.grpcAddress);
        await callUnary(stage, 'close', { sessionId, reason }, { deadlineMs: this.#options.closeDeadlineMs });
      } catch (thrown) {
        const error = MeshError.from(thrown);
        left[service] = place;
        this.#closeFailures.inc({ service, reason: error.reason });
        this.#options.log.warn(
          { err: error, sessionId, target: service, worker: place.instanceId },
          'a stage could not be closed; the reaper tries again',
        );
      }
    };
    await Promise.all(OPEN_ORDER.map(closeOne));
    return left;
  }

  /** Statistics of one session by stage; a stage that does not answer in time is left out. */
  async stats(
    sessionId: string,
    placement: Placement,
    signal: AbortSignal,
  ): Promise<Partial<Record<WorkerName, StageStats>>> {
    const stats: Partial<Record<WorkerName, StageStats>> = {};
    const askOne = async (service: WorkerName): Promise<void> => {
      const place = placement[service];
      if (place === undefined) return;
      const { stage } = this.#options.directory.clientsAt(place.grpcAddress);
      const answer: StatsResponse = await callUnary(
        stage,
        'stats',
        {},
        { deadlineMs: this.#options.closeDeadlineMs, signal },
      );
      const found = answer.sessions.find((session) => session.sessionId === sessionId);
      if (found === undefined) return;
      const { sessionId: _, ...rest } = found;
      stats[service] = rest;
    };
    await Promise.allSettled(OPEN_ORDER.map(askOne));
    return stats;
  }

  async #request(
    { service, instanceId }: WorkerPlace,
    record: SessionRecord,
    providerKey: string,
  ): Promise<OpenRequest> {
    const { avatar, seed, quality = '', size = 0 } = record;
    const recorded = record.output === 'record';
    const options: Record<WorkerName, OpenRequest> = {
      'webrtc-egress': service === 'webrtc-egress' ? { egress: await this.#egressOptions(record) } : {},
      'vae-decode': { decode: { avatar, size } },
      'score-model': { score: { avatar, seed, quality, unpaced: recorded } },
      'audio-llm-bridge': { bridge: bridgeOptions(record, providerKey) },
      'audio-ingest': service === 'audio-ingest' ? { ingest: await this.#ingestOptions(record) } : {},
    };
    return { sessionId: record.id, instanceId, epoch: 0, ...options[service] };
  }

  async #ingestOptions({ id, provider, choices, livekit }: SessionRecord): Promise<NonNullable<OpenRequest['ingest']>> {
    const vad = provider !== 'external' && choices?.input !== 'push-to-talk';
    if (livekit?.microphone === undefined) return { vad };
    const { identity, attributes } = livekit.microphone;
    const token = await this.#options.rooms.listenerToken(livekit, id);
    return { vad, room: { url: livekit.url, token, identity, attributes, avatar: livekit.identity } };
  }

  async #egressOptions(record: SessionRecord): Promise<NonNullable<OpenRequest['egress']>> {
    const { output, livekit, disclosure, recording: wanted, owner, avatar, provider } = record;
    const { fps, name, version } = this.#options.manifest;
    const { width, height } = pictureSize(this.#options.manifest, record.size);
    const recording = wanted && { ...wanted, owner, avatar, provider, model: `${name}@${version}` };
    const picture = { width, height, fps, ...(disclosure && { disclosure }), ...(recording && { recording }) };
    if (livekit === undefined) return { sink: SINKS[output], ...picture };
    const { url, agent } = livekit;
    const room = { url, agent, token: await this.#options.rooms.avatarToken(livekit) };
    return { sink: 'SINK_LIVEKIT', ...picture, livekit: room };
  }
}

function bridgeOptions({ provider, choices, ownKey = false }: SessionRecord, providerKey: string) {
  const { tools = [], ...texts } = choices ?? {};
  return {
    ...{ provider, ...texts, providerKey, ownKey },
    tools: tools.map(({ name, description, parameters }) => ({
      ...{ name, description },
      parametersJson: JSON.stringify(parameters),
    })),
  };
}

/** An older worker would open the session and record nothing. */
const recordsNothing = (instanceId: string): MeshError =>
  new MeshError(
    'RECORDING_UNAVAILABLE',
    `${instanceId} records no calls: it is of an older version, or has no TALKMESH_RECORDINGS_FOLDER`,
  );

function refusalOf(service: WorkerName, refused: readonly MeshError[], noneReady: string): MeshError {
  const full = refused.find((error) => error.reason === 'SESSION_LIMIT');
  if (full !== undefined)
    return new MeshError(
      'SESSION_LIMIT',
      `every ${service} worker is full (${full.message}); try again later or add workers`,
      {
        cause: full,
        retryAfterMs: full.retryAfterMs ?? 2000,
      },
    );
  const unrecorded = refused.find((error) => error.reason === 'RECORDING_UNAVAILABLE');
  if (unrecorded !== undefined)
    return new MeshError('RECORDING_UNAVAILABLE', `no worker can record the session: ${unrecorded.message}`, {
      cause: unrecorded,
    });
  const why =
    refused.length === 0 ? noneReady : `${refused.length} refused it (the last with ${refused.at(-1)?.reason})`;
  return new MeshError(
    'NO_WORKER',
    `no ${service} worker opened the session: ${why}; look at the workers' logs and /readyz`,
    {
      cause: refused.at(-1),
      retryAfterMs: 2000,
    },
  );
}
