import { randomInt } from 'node:crypto';
import {
  MeshError,
  type MeshEvent,
  newSessionId,
  OPEN_ORDER,
  type Reason,
  type SessionRecord,
  type WorkerName,
} from '@talkmesh/contracts';
import { type Bus, callUnary, type Logger, type Metrics } from '@talkmesh/service-kit';
import type { AvatarCatalogue } from './avatars.js';
import type { SessionStore, StoredSession } from './session-store.js';
import type { StageStats, Stages } from './stages.js';
import type { WorkerDirectory } from './worker-directory.js';

export interface NewSession {
  readonly avatar: string;
  readonly provider: string;
  readonly output: 'webrtc' | 'record';
  readonly seed: number | undefined;
}

export interface SessionLimits {
  readonly maxSessions: number;
  readonly createDeadlineMs: number;
  /** How long all stages of a call together may wait for workers that are not there yet, milliseconds. */
  readonly placementWaitMs: number;
  readonly callDeadlineMs: number;
}

export interface SessionsOptions {
  readonly store: SessionStore;
  readonly directory: WorkerDirectory;
  readonly stages: Stages;
  readonly avatars: AvatarCatalogue;
  readonly bus: Pick<Bus, 'publishEvent' | 'subscribeEvents' | 'forgetRetained'>;
  readonly limits: SessionLimits;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Aborted when this gateway drains: sessions go on, new ones are refused. */
  readonly draining: AbortSignal;
}

/** Why a session ended: a word for workers and metrics, and what listeners are told. */
export interface Ending {
  readonly reason: 'ended' | 'viewer-gone' | 'failed';
  readonly cause: string;
  /** Told as an `error` event first. */
  readonly failure?: { readonly service: WorkerName; readonly reason: Reason; readonly message: string };
}

/** The life of sessions, for REST and gRPC alike. Holds nothing: the KV bucket is the truth. */
export class Sessions {
  private readonly o: SessionsOptions;
  private readonly created;
  private readonly endings;
  private readonly openSeconds;

  constructor(options: SessionsOptions) {
    this.o = options;
    const { metrics } = options;
    this.created = metrics.counter('talkmesh_sessions_created_total', 'Sessions asked for', ['outcome']);
    this.endings = metrics.counter('talkmesh_sessions_ended_total', 'Sessions ended', ['reason']);
    this.openSeconds = metrics.histogram('talkmesh_session_open_seconds', 'Time to open all stages of a session');
  }

  /**
   * Places and opens a session; when it fails, whatever was opened is closed again.
   * @throws MeshError AVATAR_NOT_FOUND, PROVIDER_UNKNOWN, DRAINING, SESSION_LIMIT, NO_WORKER, NATS_UNAVAILABLE, CANCELLED
   */
  async create(request: NewSession, signal: AbortSignal): Promise<SessionRecord> {
    const stop = this.openSeconds.startTimer();
    try {
      const record = await this.place(request, signal);
      this.created.inc({ outcome: 'ok' });
      stop();
      this.o.log.info({ sessionId: record.id, avatar: record.avatar, output: record.output }, 'session opened');
      return record;
    } catch (thrown) {
      const error = MeshError.from(thrown);
      this.created.inc({ outcome: error.reason });
      throw error;
    }
  }

  async get(id: string): Promise<SessionRecord> {
    return (await this.o.store.get(id)).record;
  }

  /** @throws MeshError SESSION_NOT_FOUND, SESSION_ENDED */
  getLive(id: string): Promise<SessionRecord> {
    return this.o.store.getLive(id);
  }

  /** Sessions that have not ended, oldest first. */
  async list(): Promise<SessionRecord[]> {
    const records = (await this.o.store.list()).map(({ record }) => record);
    return records.filter((record) => record.state !== 'ended').sort((a, b) => a.createdAtMs - b.createdAtMs);
  }

  /**
   * Ends a session once, whoever asks first: closes every stage, then tells the listeners.
   * @returns false when it had ended before. @throws MeshError SESSION_NOT_FOUND
   */
  async end(id: string, ending: Ending): Promise<boolean> {
    const ended = await this.o.store.modify(id, (record) =>
      record.state === 'ended' ? undefined : { state: 'ended' },
    );
    if (ended === undefined) {
      await this.o.store.get(id);
      return false;
    }
    const head = { sid: id, epoch: 0, turn: 0 };
    if (ending.failure !== undefined) this.o.bus.publishEvent({ ...head, type: 'error', ...ending.failure });
    await this.release(id, ended.record.placement, ending.reason);
    this.endings.inc({ reason: ending.reason });
    this.o.bus.publishEvent({ ...head, type: 'session.ended', cause: ending.cause });
    this.o.log.info({ sessionId: id, reason: ending.reason, cause: ending.cause }, 'session ended');
    this.o.bus.forgetRetained(id).catch((thrown: unknown) => {
      this.o.log.warn({ err: thrown, sessionId: id }, 'what NATS retains of an ended session stays until it is old');
    });
    return true;
  }

  /** Closes stages of an ended session; the record keeps those that did not answer. */
  async release(id: string, placement: SessionRecord['placement'], reason: string): Promise<void> {
    const left = await this.o.stages.close(id, placement, reason);
    await this.o.store.modify(id, () => ({ placement: left }));
  }

  /** @throws MeshError TTS_UNAVAILABLE, ... of the bridge */
  say(id: string, text: string, signal: AbortSignal): Promise<{ turn: number }> {
    return this.call(id, 'audio-llm-bridge', 'conversation', 'say', { text }, signal);
  }

  interrupt(id: string, signal: AbortSignal): Promise<{ interrupted: boolean }> {
    return this.call(id, 'audio-llm-bridge', 'conversation', 'interrupt', {}, signal);
  }

  /** Silence that keeps what is left to be said; false: it was paused already. */
  pause(id: string, signal: AbortSignal): Promise<{ paused: boolean }> {
    return this.call(id, 'audio-llm-bridge', 'conversation', 'pause', {}, signal);
  }

  /** Goes on where the listener stopped hearing; false: it was not paused. */
  resume(id: string, signal: AbortSignal): Promise<{ resumed: boolean }> {
    return this.call(id, 'audio-llm-bridge', 'conversation', 'resume', {}, signal);
  }

  /** Hands an offer to the pod that holds the peer connection: WHIP to audio-ingest, WHEP to webrtc-egress. */
  offer(
    id: string,
    service: 'audio-ingest' | 'webrtc-egress',
    sdp: string,
    signal: AbortSignal,
  ): Promise<{ sdp: string; resourceId: string }> {
    return this.call(id, service, 'signalling', 'offer', { sdp }, signal);
  }

  /** Closes one connection; one that is closed already, with its session or without, is no error. */
  async hangUp(
    id: string,
    service: 'audio-ingest' | 'webrtc-egress',
    resourceId: string,
    signal: AbortSignal,
  ): Promise<void> {
    const { record } = await this.o.store.get(id);
    if (record.state === 'ended') return;
    await this.call(id, service, 'signalling', 'hangup', { resourceId }, signal).catch((thrown: unknown) => {
      const error = MeshError.from(thrown);
      const unknown = MeshError.from(error.cause).reason === 'SESSION_NOT_FOUND';
      if (error.reason !== 'SESSION_ENDED' && !unknown) throw error;
    });
  }

  /** What the stages say of a live session. @throws MeshError SESSION_NOT_FOUND, SESSION_ENDED */
  async stats(id: string, signal: AbortSignal): Promise<Partial<Record<WorkerName, StageStats>>> {
    return this.o.stages.stats(id, (await this.getLive(id)).placement, signal);
  }

  /** Where a stage of a live session is. @throws MeshError SESSION_NOT_FOUND, SESSION_ENDED, NO_WORKER */
  async addressOf(id: string, service: WorkerName): Promise<string> {
    const place = (await this.getLive(id)).placement[service];
    if (place === undefined)
      throw new MeshError('NO_WORKER', `the session has no ${service} yet; try again in a moment`);
    return place.grpcAddress;
  }

  /**
   * Events of a session from now on. Also looks at the record from time to time, because events travel at most once:
   * a missed end is told all the same.
   * @returns what stops it. @throws MeshError SESSION_NOT_FOUND, SESSION_ENDED
   */
  async watch(id: string, checkMs: number, onEvent: (event: MeshEvent) => void): Promise<() => void> {
    const subscription = this.o.bus.subscribeEvents(id, onEvent);
    let endedChecks = 0;
    const check = setInterval(() => {
      this.getLive(id).catch((thrown: unknown) => {
        const { reason } = MeshError.from(thrown);
        if (reason !== 'SESSION_ENDED' && reason !== 'SESSION_NOT_FOUND') return;
        // Ended at the first check may mean that the stages are being closed and the event is about to come.
        endedChecks += 1;
        if (endedChecks === 2)
          onEvent({ v: 1, sid: id, epoch: 0, turn: 0, atMs: Date.now(), type: 'session.ended', cause: 'ended' });
      });
    }, checkMs);
    const stop = (): void => {
      clearInterval(check);
      subscription.unsubscribe();
    };
    await this.getLive(id).catch((error: unknown) => {
      stop();
      throw error;
    });
    return stop;
  }

  private async place(request: NewSession, signal: AbortSignal): Promise<SessionRecord> {
    const { store, stages, directory, limits, avatars } = this.o;
    if (this.o.draining.aborted)
      throw new MeshError('DRAINING', 'this gateway is going away; another one takes new sessions');
    await avatars.check(request.avatar);
    const deadlineAtMs = Date.now() + limits.createDeadlineMs;
    const waitUntilMs = Math.min(deadlineAtMs, Date.now() + limits.placementWaitMs);
    const { avatar, provider, output, seed = randomInt(2 ** 32) } = request;
    let stored = await store.create({
      id: newSessionId(),
      state: 'opening',
      ...{ avatar, provider, output, seed },
      createdAtMs: Date.now(),
      placement: {},
    });
    const onChange = (next: StoredSession): void => {
      stored = next;
    };
    try {
      await this.admit();
      const workers = await directory.read();
      for (const service of OPEN_ORDER)
        await stages.open(stored, service, workers, { signal, deadlineAtMs, waitUntilMs, onChange });
      onChange(await store.update(stored, { state: 'open' }));
      return stored.record;
    } catch (thrown) {
      throw await this.rollBack(stored, MeshError.from(thrown));
    }
  }

  /** Counted after the record was written, so that gateways that create at the same moment never admit one too many. */
  private async admit(): Promise<void> {
    const { maxSessions } = this.o.limits;
    if ((await this.list()).length > maxSessions)
      throw new MeshError(
        'SESSION_LIMIT',
        `${maxSessions} sessions are open, as many as TALKMESH_MAX_SESSIONS allows`,
        { retryAfterMs: 2000 },
      );
  }

  private async rollBack(stored: StoredSession, error: MeshError): Promise<MeshError> {
    const { id } = stored.record;
    const { stages, store, log } = this.o;
    try {
      const left = await stages.close(id, stored.record.placement, 'failed');
      await store.modify(id, () => ({ state: 'ended', placement: left }));
    } catch (cause) {
      log.error({ err: cause, sessionId: id }, 'a failed session was not rolled back; the reaper will');
    }
    if (error.reason !== 'SESSION_EXISTS') return error;
    return new MeshError('SESSION_ENDED', 'the session was ended while it was opened', { cause: error });
  }

  private async call<T>(
    id: string,
    service: WorkerName,
    client: 'conversation' | 'signalling',
    method: string,
    request: object,
    signal: AbortSignal,
  ): Promise<T> {
    const target = this.o.directory.at(await this.addressOf(id, service))[client];
    const { callDeadlineMs: deadlineMs } = this.o.limits;
    return callUnary<object, T>(target, method, { sessionId: id, ...request }, { deadlineMs, signal }).catch(
      (thrown: unknown) => {
        const error = MeshError.from(thrown);
        if (error.reason !== 'SESSION_NOT_FOUND') throw error;
        // The session lives: its new worker is placed already and about to open it.
        throw new MeshError('PEER_LOST', `the ${service} of this session is being taken over; try again in a moment`, {
          cause: error,
          retryAfterMs: 300,
        });
      },
    );
  }
}
