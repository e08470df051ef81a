import { randomInt } from 'node:crypto';
import {
  EVENT_VERSION,
  MeshError,
  newSessionId,
  OPEN_ORDER,
  REASONS,
  RETAINED_STREAMS,
  type Reason,
  type SessionRecord,
  type WorkerName,
} from '@talkmesh/contracts';
import { type Bus, callUnary, type Logger, type Metrics } from '@talkmesh/service-kit';
import type { AvatarCatalogue } from './avatar-catalogue.js';
import { type StreamedEvent, streamEvents } from './event-stream.js';
import type { LivekitRooms } from './livekit-rooms.js';
import { type NewSession, providerOf, type RecordingPolicy, recordingOf } from './new-session.js';
import type { SessionQualities } from './session-qualities.js';
import type { SessionSizes } from './session-sizes.js';
import type { SessionStore, StoredSession } from './session-store.js';
import type { StageClient, StageStats } from './stage-client.js';
import type { WorkerDirectory } from './worker-directory.js';

export interface MeshLimits {
  readonly maxSessions: number;
  /** Of one API key that is no admin key; 0: no limit. */
  readonly maxSessionsPerKey: number;
  readonly createDeadlineMs: number;
  /** How long the opening of a session may wait for workers that are not ready yet, all stages together, milliseconds. */
  readonly placementWaitMs: number;
  readonly callDeadlineMs: number;
}

export interface WatchOptions {
  /** How often the session's record is read. */
  readonly checkMs: number;
  /** The last event that the caller received; undefined: it has none. */
  readonly lastEventId: string | undefined;
}

interface CommandAnswers {
  readonly interrupt: { readonly interrupted: boolean };
  readonly pause: { readonly paused: boolean };
  readonly resume: { readonly resumed: boolean };
  readonly startInput: { readonly started: boolean };
  readonly commitInput: { readonly committed: boolean };
  readonly cancelInput: { readonly cancelled: boolean };
}
export type ConversationCommand = keyof CommandAnswers;

export interface SessionsOptions {
  readonly store: SessionStore;
  readonly directory: WorkerDirectory;
  readonly stages: StageClient;
  readonly avatars: AvatarCatalogue;
  readonly qualities: SessionQualities;
  readonly sizes: SessionSizes;
  readonly rooms: Pick<LivekitRooms, 'admit'>;
  readonly bus: Pick<Bus, 'publishEvent' | 'subscribeEvents' | 'readBack' | 'flush' | 'deleteRetained'>;
  readonly limits: MeshLimits;
  readonly defaultProvider: string;
  /** `always`: the label is drawn into every picture; `optional`: into those of sessions that ask for it. */
  readonly disclosureBadge: 'optional' | 'always';
  readonly disclosureLabel: string;
  readonly recordingPolicy: RecordingPolicy | undefined;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Aborted when this gateway drains: open sessions continue, new ones are refused. */
  readonly draining: AbortSignal;
  /** Whether events become webhooks: then the gateway that sends those deletes the events of an ended session. */
  readonly hasWebhooks: boolean;
}

const ENDING_REASONS = ['ended', 'viewer-gone', 'failed'] as const;

/** Why a session ended: `reason` for workers and metrics, `cause` for the `session.ended` event. */
export interface Ending {
  readonly reason: (typeof ENDING_REASONS)[number];
  readonly cause: string;
  /** Published as an `error` event before `session.ended`. */
  readonly failure?: { readonly service: WorkerName; readonly reason: Reason; readonly message: string };
}

/** Life cycle of sessions for REST and gRPC. Stateless: the KV bucket in NATS is the only record, so any gateway can serve any session. */
export class Sessions {
  readonly #options: SessionsOptions;
  readonly #created;
  readonly #endings;
  readonly #openSeconds;

  constructor(options: SessionsOptions) {
    this.#options = options;
    const { metrics } = options;
    this.#created = metrics.counter('talkmesh_sessions_created_total', 'Requests to create a session', ['outcome'], {
      outcome: ['ok', ...Object.keys(REASONS)],
    });
    this.#endings = metrics.counter('talkmesh_sessions_ended_total', 'Sessions ended', ['reason'], {
      reason: ENDING_REASONS,
    });
    this.#openSeconds = metrics.histogram('talkmesh_session_open_seconds', 'Time to open all stages of a session');
  }

  /**
   * Places and opens a session. On failure the stages that were opened are closed again.
   * @throws MeshError ARGUMENT_INVALID, AVATAR_NOT_FOUND, PROVIDER_UNKNOWN, PROVIDER_FAILED, PERMISSION_DENIED, RECORDING_UNAVAILABLE, ROOM_REFUSED, ROOM_UNREACHABLE, DRAINING, SESSION_LIMIT, NO_WORKER, NATS_UNAVAILABLE, CANCELLED
   */
  async create(request: NewSession, signal: AbortSignal): Promise<SessionRecord> {
    const stop = this.#openSeconds.startTimer();
    try {
      const record = await this.#place(request, signal);
      this.#created.inc({ outcome: 'ok' });
      stop();
      this.#options.log.info(
        {
          sessionId: record.id,
          avatar: record.avatar,
          output: record.output,
          quality: record.quality,
          size: record.size,
        },
        'session opened',
      );
      const { id: sessionId, avatar, provider, createdAtMs } = record;
      const head = { sessionId, epoch: 0, turn: 0 };
      this.#options.bus.publishEvent({ ...head, type: 'session.started', avatar, provider, createdAtMs });
      return record;
    } catch (thrown) {
      const error = MeshError.from(thrown);
      this.#created.inc({ outcome: error.reason });
      throw error;
    }
  }

  async get(id: string): Promise<SessionRecord> {
    return (await this.#options.store.get(id)).record;
  }

  /** @throws MeshError SESSION_NOT_FOUND */
  ownerOf(id: string): Promise<string> {
    return this.#options.store.ownerOf(id);
  }

  /** @throws MeshError SESSION_NOT_FOUND, SESSION_ENDED */
  getLive(id: string): Promise<SessionRecord> {
    return this.#options.store.getLive(id);
  }

  /** Sessions that have not ended, oldest first; only those of one owner when it is given. */
  async list(owner?: string): Promise<SessionRecord[]> {
    const records = (await this.#options.store.list()).map(({ record }) => record);
    return records
      .filter((record) => record.state !== 'ended' && (owner === undefined || record.owner === owner))
      .sort((a, b) => a.createdAtMs - b.createdAtMs);
  }

  /**
   * Ends a session: closes every stage, then publishes `session.ended`. Only the first of several requests does it.
   * @returns false when it had already ended. @throws MeshError SESSION_NOT_FOUND
   */
  async end(id: string, ending: Ending): Promise<boolean> {
    const ended = await this.#options.store.modify(id, (record) =>
      record.state === 'ended' ? undefined : { state: 'ended' },
    );
    if (ended === undefined) {
      await this.#options.store.get(id);
      return false;
    }
    const head = { sessionId: id, epoch: 0, turn: 0 };
    if (ending.failure !== undefined) this.#options.bus.publishEvent({ ...head, type: 'error', ...ending.failure });
    await this.release(id, ended.record.placement, ending.reason);
    this.#endings.inc({ reason: ending.reason });
    this.#options.bus.publishEvent({ ...head, type: 'session.ended', cause: ending.cause });
    this.#options.log.info({ sessionId: id, reason: ending.reason, cause: ending.cause }, 'session ended');
    const { bus, hasWebhooks } = this.#options;
    const retained = RETAINED_STREAMS.filter((stream) => !hasWebhooks || stream !== 'event');
    bus.deleteRetained(id, retained).catch((thrown: unknown) => {
      this.#options.log.warn(
        { err: thrown, sessionId: id },
        'retained messages of an ended session could not be deleted; NATS removes them when they expire',
      );
    });
    return true;
  }

  /** Closes stages of an ended session. Stages that did not answer stay in the record, and the reaper closes them later. */
  async release(id: string, placement: SessionRecord['placement'], reason: string): Promise<void> {
    const left = await this.#options.stages.close(id, placement, reason);
    await this.#options.store.modify(id, () => ({ placement: left }));
  }

  /** @throws MeshError TTS_UNAVAILABLE and other errors of the bridge */
  say(id: string, text: string, signal: AbortSignal): Promise<{ turn: number; cancelled: boolean }> {
    return this.#call(id, 'audio-llm-bridge', 'conversation', 'say', { text }, signal);
  }

  /**
   * Interrupts, pauses or resumes the speech of the avatar, or begins, ends or drops what the user says with push-to-talk.
   * @returns one boolean: false when there was nothing to do
   */
  command<C extends ConversationCommand>(id: string, command: C, signal: AbortSignal): Promise<CommandAnswers[C]> {
    return this.#call(id, 'audio-llm-bridge', 'conversation', command, {}, signal);
  }

  /** Answers a tool call of the model. @throws MeshError NOT_FOUND when no call waits for it */
  async answerTool(id: string, callId: string, output: unknown, signal: AbortSignal): Promise<void> {
    const text = typeof output === 'string' ? output : JSON.stringify(output);
    await this.#call(id, 'audio-llm-bridge', 'conversation', 'answerTool', { callId, output: text }, signal);
  }

  /** Forwards an SDP offer to the worker that holds the peer connection: WHIP to audio-ingest, WHEP to webrtc-egress. */
  offer(
    id: string,
    service: 'audio-ingest' | 'webrtc-egress',
    sdp: string,
    signal: AbortSignal,
  ): Promise<{ sdp: string; resourceId: string }> {
    return this.#call(id, service, 'signalling', 'offer', { sdp }, signal);
  }

  /** Forwards trickled candidates or an ICE restart. @returns the server's fragment of a restart, otherwise empty */
  async changeIce(
    id: string,
    service: 'audio-ingest' | 'webrtc-egress',
    change: { readonly resourceId: string; readonly ifMatch: string; readonly fragment: string },
    signal: AbortSignal,
  ): Promise<string> {
    const answer = await this.#call<{ fragment: string }>(id, service, 'signalling', 'changeIce', change, signal);
    return answer.fragment;
  }

  /** Closes one peer connection. Idempotent: a connection or session that has ended already is no error. */
  async hangUp(
    id: string,
    service: 'audio-ingest' | 'webrtc-egress',
    resourceId: string,
    signal: AbortSignal,
  ): Promise<void> {
    const { record } = await this.#options.store.get(id);
    if (record.state === 'ended') return;
    await this.#call(id, service, 'signalling', 'hangup', { resourceId }, signal).catch((thrown: unknown) => {
      const error = MeshError.from(thrown);
      const unknown = MeshError.from(error.cause).reason === 'SESSION_NOT_FOUND';
      if (error.reason !== 'SESSION_ENDED' && !unknown) throw error;
    });
  }

  /** Statistics of the stages of a session that has not ended. @throws MeshError SESSION_NOT_FOUND, SESSION_ENDED */
  async stats(id: string, signal: AbortSignal): Promise<Partial<Record<WorkerName, StageStats>>> {
    return this.#options.stages.stats(id, (await this.getLive(id)).placement, signal);
  }

  /** Address of the worker that holds a stage of a session that has not ended. @throws MeshError SESSION_NOT_FOUND, SESSION_ENDED, NO_WORKER */
  async addressOf(id: string, service: WorkerName): Promise<string> {
    const place = (await this.getLive(id)).placement[service];
    if (place === undefined)
      throw new MeshError('NO_WORKER', `the session has no ${service} yet; try again in a moment`);
    return place.grpcAddress;
  }

  /**
   * Delivers the events of a session, see `streamEvents`. Live events are delivered at most once, so the record is also polled: a lost
   * `session.ended` is replaced.
   * @returns a function that stops the delivery. @throws MeshError SESSION_NOT_FOUND, SESSION_ENDED, NATS_UNAVAILABLE
   */
  async watch(
    id: string,
    { checkMs, lastEventId }: WatchOptions,
    onEvent: (event: StreamedEvent) => void,
  ): Promise<() => void> {
    const { recording } = await this.getLive(id);
    const stopEvents = await streamEvents(this.#options.bus, { id, recording }, lastEventId, onEvent);
    let endedChecks = 0;
    const check = setInterval(() => {
      this.getLive(id).catch((thrown: unknown) => {
        const { reason } = MeshError.from(thrown);
        if (reason !== 'SESSION_ENDED' && reason !== 'SESSION_NOT_FOUND') return;
        // At the first check the stages may still be closing and the event still on its way.
        endedChecks += 1;
        if (endedChecks === 2)
          onEvent({
            ...{ v: EVENT_VERSION, id: 'session.ended', sessionId: id, epoch: 0, turn: 0, atMs: Date.now() },
            ...{ type: 'session.ended', cause: 'ended' },
          });
      });
    }, checkMs);
    const stop = (): void => {
      clearInterval(check);
      stopEvents();
    };
    return stop;
  }

  async #place(request: NewSession, signal: AbortSignal): Promise<SessionRecord> {
    const { store, stages, directory, limits, avatars } = this.#options;
    if (this.#options.draining.aborted)
      throw new MeshError('DRAINING', 'this gateway is shutting down; try again to reach another one');
    await avatars.check(request.avatar, request.isAdmin ? undefined : request.owner);
    const quality = this.#options.qualities.choose(request.quality);
    const size = this.#options.sizes.choose(request.size);
    const deadlineAtMs = performance.now() + limits.createDeadlineMs;
    const waitUntilMs = Math.min(deadlineAtMs, performance.now() + limits.placementWaitMs);
    const { owner, avatar, output, choices, limits: own, providerKey = '', seed = randomInt(2 ** 32) } = request;
    const id = newSessionId();
    const livekit = request.transport && (await this.#options.rooms.admit(request.transport.livekit, id));
    const { defaultProvider, disclosureLabel: label, disclosureBadge } = this.#options;
    const provider = providerOf(request.provider, livekit, defaultProvider);
    const recording = recordingOf(request.recording, provider, this.#options.recordingPolicy);
    const disclosure = { label, badge: request.badge || disclosureBadge === 'always' };
    // Without a record: a full mesh would keep one for an hour for each attempt.
    await this.#admit(request, 1);
    let stored = await store.create({
      id,
      state: 'opening',
      ...{ owner, avatar, provider, choices, limits: own, output, disclosure },
      ...{ quality, size, seed, ownKey: providerKey !== '' },
      ...(livekit && { livekit }),
      ...(recording && { recording }),
      createdAtMs: Date.now(),
      placement: {},
    });
    const onChange = (next: StoredSession): void => {
      stored = next;
    };
    try {
      await this.#admit(request, 0);
      const workers = await directory.read();
      for (const service of OPEN_ORDER)
        await stages.open(stored, service, workers, { signal, deadlineAtMs, waitUntilMs, providerKey, onChange });
      onChange(await store.update(stored, { state: 'open' }));
      return stored.record;
    } catch (thrown) {
      throw await this.#rollBack(stored, MeshError.from(thrown));
    }
  }

  /**
   * Counts once more after the record was written: gateways that create sessions at the same moment count each other's and never exceed
   * the limit. @param unwritten sessions to come that have no record yet
   */
  async #admit({ owner, isAdmin, limits: { grantId, maxOfGrant = 1 } }: NewSession, unwritten: 0 | 1): Promise<void> {
    const { maxSessions, maxSessionsPerKey } = this.#options.limits;
    const live = await this.list();
    const ofGrant = live.filter(({ limits }) => limits?.grantId === grantId).length + unwritten;
    if (grantId !== undefined && ofGrant > maxOfGrant)
      throw limitReached(`the grant allows ${maxOfGrant} open sessions; end one first`);
    const ofKey = live.filter((record) => record.owner === owner).length + unwritten;
    if (maxSessionsPerKey > 0 && !isAdmin && ofKey > maxSessionsPerKey)
      throw limitReached(
        `this API key has ${maxSessionsPerKey} open sessions, the limit of TALKMESH_MAX_SESSIONS_PER_KEY; end one first`,
      );
    if (live.length + unwritten > maxSessions)
      throw limitReached(
        `${maxSessions} sessions are open, the limit of TALKMESH_MAX_SESSIONS; end one or try again later`,
      );
  }

  async #rollBack(stored: StoredSession, error: MeshError): Promise<MeshError> {
    const { id } = stored.record;
    const { stages, store, log } = this.#options;
    try {
      const left = await stages.close(id, stored.record.placement, 'failed');
      await store.modify(id, () => ({ state: 'ended', placement: left }));
    } catch (cause) {
      log.error(
        { err: cause, sessionId: id },
        'the stages of a failed session could not be closed; the reaper closes them',
      );
    }
    if (error.reason !== 'SESSION_EXISTS') return error;
    return new MeshError('SESSION_ENDED', 'the session was ended while it was being opened; create a new one', {
      cause: error,
    });
  }

  async #call<T>(
    id: string,
    service: WorkerName,
    client: 'conversation' | 'signalling',
    method: string,
    request: object,
    signal: AbortSignal,
  ): Promise<T> {
    const target = this.#options.directory.clientsAt(await this.addressOf(id, service))[client];
    const { callDeadlineMs: deadlineMs } = this.#options.limits;
    return callUnary<object, T>(target, method, { sessionId: id, ...request }, { deadlineMs, signal }).catch(
      (thrown: unknown) => {
        const error = MeshError.from(thrown);
        if (error.reason !== 'SESSION_NOT_FOUND') throw error;
        // The placement names the new worker before that worker has opened the session.
        throw new MeshError('PEER_LOST', `the ${service} of this session is being taken over; try again in a moment`, {
          cause: error,
          retryAfterMs: 300,
        });
      },
    );
  }
}

const limitReached = (message: string): MeshError => new MeshError('SESSION_LIMIT', message, { retryAfterMs: 2000 });
