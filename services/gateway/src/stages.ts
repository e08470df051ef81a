import {
  MeshError,
  type ModelManifest,
  OPEN_ORDER,
  type SessionRecord,
  type v1,
  type WorkerName,
  type WorkerRecord,
} from '@talkmesh/contracts';
import { callUnary, type Logger, type Metrics, type SessionStats } from '@talkmesh/service-kit';
import type { SessionStore, StoredSession } from './session-store.js';
import type { WorkerPlace } from './watched-worker.js';
import { askWilling } from './willing-worker.js';
import type { WorkerDirectory, WorkerSnapshot } from './worker-directory.js';

type OpenRequest = Parameters<InstanceType<typeof v1.StageService>['open']>[0];
export type StageStats = Omit<SessionStats, 'sessionId'>;
type StatsResponse = { readonly sessions: readonly SessionStats[] };
type Placement = SessionRecord['placement'];

export interface StagesOptions {
  readonly directory: WorkerDirectory;
  readonly store: SessionStore;
  readonly manifest: Pick<ModelManifest, 'name' | 'version' | 'width' | 'height' | 'fps'>;
  readonly openDeadlineMs: number;
  readonly closeDeadlineMs: number;
  readonly log: Logger;
  readonly metrics: Metrics;
}

export interface OpenCall {
  readonly signal: AbortSignal;
  /** When all stages have to be open, and until when a worker may appear, `Date.now()` milliseconds. */
  readonly deadlineAtMs: number;
  readonly waitUntilMs: number;
  readonly onChange: (stored: StoredSession) => void;
}

/** Answers that leave open whether the worker took the session. */
export const MAY_HOLD = new Set(['DEADLINE_EXCEEDED', 'PEER_LOST', 'CANCELLED']);

/** Opens and closes the five stages of a session on workers of the registry. */
export class Stages {
  private readonly o: StagesOptions;
  private readonly refusals;
  private readonly waits;
  private readonly closeFailures;

  constructor(options: StagesOptions) {
    this.o = options;
    this.refusals = options.metrics.counter('talkmesh_placement_refusals_total', 'Stage openings a worker refused', [
      'service',
      'reason',
    ]);
    this.waits = options.metrics.counter(
      'talkmesh_placement_waits_total',
      'Stage openings that waited for a worker to come',
      ['service'],
    );
    this.closeFailures = options.metrics.counter(
      'talkmesh_stage_close_failures_total',
      'Stages that could not be closed',
      ['service', 'reason'],
    );
  }

  /**
   * Opens one stage on the first worker that takes it, waiting for one while those that are there are just going. The intended worker
   * is written down before it is asked, so that whoever ends the session knows whom to close, even if this process dies meanwhile.
   * @throws MeshError NO_WORKER, SESSION_LIMIT (all full), or what the worker said when the request itself is wrong
   */
  async open(from: StoredSession, service: WorkerName, workers: WorkerSnapshot, call: OpenCall): Promise<void> {
    const { store, directory } = this.o;
    const { id } = from.record;
    const letGo = new Map<string, Promise<unknown>>();
    let stored = from;
    const ask = async ({ instanceId, grpcAddress }: WorkerRecord): Promise<void> => {
      const place = { service, instanceId, grpcAddress };
      // Asked before, it may hold the session: a Close must not overtake the Open that comes now.
      await letGo.get(instanceId);
      const leftMs = call.deadlineAtMs - Date.now();
      if (leftMs <= 0) throw new MeshError('DEADLINE_EXCEEDED', 'the session was not opened in time');
      if (stored.record.placement[service]?.instanceId !== instanceId) {
        stored = await store.update(stored, {
          placement: { ...stored.record.placement, [service]: { instanceId, grpcAddress } },
        });
        call.onChange(stored);
      }
      await this.ask(stored.record, place, Math.min(leftMs, this.o.openDeadlineMs), call.signal).catch(
        (error: MeshError) => {
          if (!call.signal.aborted && MAY_HOLD.has(error.reason))
            letGo.set(instanceId, this.close(id, { [service]: { instanceId, grpcAddress } }, 'failed'));
          throw error;
        },
      );
    };
    const asked = await askWilling({
      ...{ directory, service, model: this.model, workers, untilMs: call.waitUntilMs, signal: call.signal, ask },
      onWait: () => {
        this.waits.inc({ service });
        this.o.log.info({ sessionId: id, target: service }, 'no worker takes the session yet, it waits for one');
      },
    });
    if ('refused' in asked) throw summarise(service, asked.refused);
  }

  private async ask(record: SessionRecord, place: WorkerPlace, deadlineMs: number, signal: AbortSignal): Promise<void> {
    const { service, instanceId, grpcAddress } = place;
    try {
      const request = this.request(place, record);
      await callUnary(this.o.directory.at(grpcAddress).stage, 'open', request, { deadlineMs, signal });
    } catch (thrown) {
      const error = MeshError.from(thrown);
      const { reason } = error;
      this.refusals.inc({ service, reason });
      this.o.log.warn({ err: error, target: service, worker: instanceId, reason }, 'a worker did not open the session');
      throw error;
    }
  }

  /** Opens a stage on one worker, from what NATS retains of the session. @throws MeshError of the worker */
  async resume(record: SessionRecord, place: WorkerPlace, deadlineMs: number): Promise<void> {
    const request = { ...this.request(place, record), resume: true };
    await callUnary(this.o.directory.at(place.grpcAddress).stage, 'open', request, {
      deadlineMs: Math.min(deadlineMs, this.o.openDeadlineMs),
    });
  }

  private get model(): string {
    return `${this.o.manifest.name}@${this.o.manifest.version}`;
  }

  /** Ready workers that could hold a stage, best first. @throws MeshError NATS_UNAVAILABLE */
  async candidates(service: WorkerName): Promise<WorkerRecord[]> {
    return (await this.o.directory.read()).candidates(service, this.model);
  }

  /** The sessions a worker says it holds. @throws MeshError PEER_LOST, DEADLINE_EXCEEDED */
  async held(address: string): Promise<ReadonlySet<string>> {
    const { directory, closeDeadlineMs } = this.o;
    const answer: StatsResponse = await callUnary(
      directory.at(address).stage,
      'stats',
      {},
      { deadlineMs: closeDeadlineMs },
    );
    return new Set(answer.sessions.map(({ sessionId }) => sessionId));
  }

  /** Closes stages in parallel. @returns those that did not answer in time */
  async close(sessionId: string, placement: Placement, reason: string): Promise<Placement> {
    const left: Placement = {};
    const closeOne = async (service: WorkerName): Promise<void> => {
      const place = placement[service];
      if (place === undefined) return;
      try {
        const { stage } = this.o.directory.at(place.grpcAddress);
        await callUnary(stage, 'close', { sessionId, reason }, { deadlineMs: this.o.closeDeadlineMs });
      } catch (thrown) {
        const error = MeshError.from(thrown);
        left[service] = place;
        this.closeFailures.inc({ service, reason: error.reason });
        this.o.log.warn({ err: error, target: service, worker: place.instanceId }, 'a stage was not closed');
      }
    };
    await Promise.all(OPEN_ORDER.map(closeOne));
    return left;
  }

  /** What each stage says of one session; a stage that does not answer in time is left out. */
  async stats(
    sessionId: string,
    placement: Placement,
    signal: AbortSignal,
  ): Promise<Partial<Record<WorkerName, StageStats>>> {
    const stats: Partial<Record<WorkerName, StageStats>> = {};
    const askOne = async (service: WorkerName): Promise<void> => {
      const place = placement[service];
      if (place === undefined) return;
      const { stage } = this.o.directory.at(place.grpcAddress);
      const answer: StatsResponse = await callUnary(stage, 'stats', {}, { deadlineMs: this.o.closeDeadlineMs, signal });
      const found = answer.sessions.find((session) => session.sessionId === sessionId);
      if (found === undefined) return;
      const { sessionId: _, ...rest } = found;
      stats[service] = rest;
    };
    await Promise.allSettled(OPEN_ORDER.map(askOne));
    return stats;
  }

  private request({ service, instanceId }: WorkerPlace, record: SessionRecord): OpenRequest {
    const { width, height, fps } = this.o.manifest;
    const { avatar, provider, seed } = record;
    const recorded = record.output === 'record';
    const options: Record<WorkerName, OpenRequest> = {
      'webrtc-egress': { egress: { sink: recorded ? 'SINK_RECORD' : 'SINK_WEBRTC', width, height, fps } },
      'vae-decode': { decode: { avatar } },
      'score-model': { score: { avatar, seed, unpaced: recorded } },
      'audio-llm-bridge': { bridge: { provider } },
      'audio-ingest': { ingest: { vad: provider !== 'external' } },
    };
    return { sessionId: record.id, instanceId, epoch: 0, ...options[service] };
  }
}

function summarise(service: WorkerName, refused: readonly MeshError[]): MeshError {
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
  const provider = refused.find((error) => error.reason === 'PROVIDER_FAILED');
  if (provider !== undefined) return provider;
  const why =
    refused.length === 0
      ? 'none is ready for this model'
      : `${refused.length} did not open it (${refused.at(-1)?.reason})`;
  return new MeshError('NO_WORKER', `no ${service} worker took the session: ${why}; look at its log and /readyz`, {
    cause: refused.at(-1),
    retryAfterMs: 2000,
  });
}
