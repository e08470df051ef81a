import { isDeepStrictEqual } from 'node:util';
import { assertSessionId, MeshError, type ServiceName } from '@talkmesh/contracts';
import { v1 } from '@talkmesh/contracts/protos';
import { type GrpcServiceImpl, type UnaryCall, unary } from '../grpc/grpc.js';
import type { Logger } from '../logging.js';
import { runSetUp } from '../telemetry/stage-span.js';
import { waitUntil } from '../waiting.js';
import type { Lifecycle } from './lifecycle.js';
import type { DescribeResponse, OpenRequest, WorkerHandlers } from './worker.js';

type Handlers = {
  [M in keyof (typeof v1.StageService)['service']]: unknown;
};
type CloseRequest = { sessionId: string; reason: string };

/** The member of OpenRequest's oneof `options` that each worker expects. */
const OPTIONS_OF: Partial<Record<ServiceName, NonNullable<OpenRequest['options']>>> = {
  'audio-ingest': 'ingest',
  'audio-llm-bridge': 'bridge',
  'score-model': 'score',
  'vae-decode': 'decode',
  'webrtc-egress': 'egress',
};
const MAX_DRAIN_RPC_MS = 3_600_000;
const MAX_REASON_CHARACTERS = 64;

interface Held {
  readonly request: OpenRequest;
  readonly opening: Promise<void>;
  opened: boolean;
  closing?: Promise<void>;
}

export interface WorkerIdentity {
  readonly service: ServiceName;
  readonly instanceId: string;
  readonly version: string;
}

/** Admits sessions to a worker: checks id, options, capacity and draining, and makes Open and Close idempotent. */
export class SessionAdmission {
  readonly #worker: WorkerHandlers;
  readonly #service: ServiceName;
  readonly #lifecycle: Lifecycle;
  readonly #held = new Map<string, Held>();
  readonly #onCountChange: () => void;

  /** @param onCountChange called after every change of the number of sessions */
  constructor(worker: WorkerHandlers, service: ServiceName, lifecycle: Lifecycle, onCountChange: () => void) {
    this.#onCountChange = onCountChange;
    this.#worker = worker;
    this.#service = service;
    this.#lifecycle = lifecycle;
  }

  /** Number of sessions that the worker holds or is opening. */
  get size(): number {
    this.#removeEnded();
    return Math.max(this.#worker.sessions(), this.#held.size);
  }

  /** Ids of the sessions that are open and not being closed. */
  get openSessions(): string[] {
    return [...this.#held].flatMap(([id, { opened, closing }]) => (opened && closing === undefined ? [id] : []));
  }

  async open(request: OpenRequest, signal: AbortSignal): Promise<void> {
    const id = assertSessionId(request.sessionId);
    const expected = OPTIONS_OF[this.#service];
    if (request.options !== expected)
      throw new MeshError(
        'ARGUMENT_INVALID',
        `${this.#service} needs the options "${expected}", but the request has "${request.options ?? ''}"`,
      );
    for (let closing = this.#held.get(id)?.closing; closing !== undefined; closing = this.#held.get(id)?.closing)
      await closing.catch(() => undefined);
    this.#removeEnded();
    const held = this.#held.get(id);
    if (held !== undefined) {
      if (isSame(held.request, request)) return held.opening;
      throw new MeshError('SESSION_EXISTS', 'the session is already open on this worker with other options');
    }
    if (this.#lifecycle.drainSignal.aborted)
      throw new MeshError('DRAINING', 'this worker is draining: open the session on another worker');
    if (this.size >= this.#worker.capacity)
      throw new MeshError(
        'SESSION_LIMIT',
        `this worker is full (${this.#worker.capacity} sessions, TALKMESH_CAPACITY): open the session on another worker`,
      );
    return this.#open(id, request, signal);
  }

  #open(id: string, request: OpenRequest, signal: AbortSignal): Promise<void> {
    const opening = runSetUp(() => Promise.resolve().then(() => this.#worker.open(request, signal)));
    const held: Held = { request, opening, opened: false };
    this.#held.set(id, held);
    this.#onCountChange();
    return opening.then(
      () => {
        held.opened = true;
        this.#onCountChange();
      },
      (thrown: unknown) => {
        this.#held.delete(id);
        this.#onCountChange();
        throw thrown;
      },
    );
  }

  /** Closes a session. Closing an unknown session succeeds; a session that is still opening is closed as soon as it is open. */
  async close(sessionId: string, reason: string): Promise<void> {
    const id = assertSessionId(sessionId);
    const held = this.#held.get(id);
    if (held === undefined) return;
    held.closing ??= held.opening
      .then(
        () => this.#worker.close(id, reason.slice(0, MAX_REASON_CHARACTERS)),
        () => undefined,
      )
      .finally(() => {
        this.#held.delete(id);
        this.#onCountChange();
      });
    await held.closing;
  }

  /** Closes every session. @returns the errors of those that failed; never rejects */
  async closeAll(reason: string): Promise<unknown[]> {
    const results = await Promise.allSettled([...this.#held.keys()].map((id) => this.close(id, reason)));
    return results.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []));
  }

  /** Removes sessions that the worker has ended on its own: those that its stats no longer list. */
  #removeEnded(): void {
    if (this.#held.size <= this.#worker.sessions()) return;
    const stats = this.#worker.stats();
    if (stats.length !== this.#worker.sessions()) return;
    const listed = new Set(stats.map((entry) => entry.sessionId));
    for (const [id, held] of this.#held)
      if (held.opened && held.closing === undefined && !listed.has(id)) this.#held.delete(id);
  }
}

/** Whether two requests open the same session. A takeover of a session that this worker already holds matches it and changes nothing. */
function isSame(held: OpenRequest, requested: OpenRequest): boolean {
  const ignored = { instanceId: '', ...(requested.takeOver && { takeOver: true, epoch: 0 }) };
  // A takeover does not repeat the session's own key, which is stored nowhere.
  const bridge = (request: OpenRequest) =>
    request.bridge && requested.takeOver && { bridge: { ...request.bridge, providerKey: '' } };
  return isDeepStrictEqual(
    { ...held, ...ignored, ...bridge(held) },
    { ...requested, ...ignored, ...bridge(requested) },
  );
}

/** Implements `talkmesh.v1.StageService` for a worker. */
export function stageService(
  worker: WorkerHandlers,
  admission: SessionAdmission,
  identity: WorkerIdentity,
  lifecycle: Lifecycle,
  log: Logger,
): GrpcServiceImpl {
  const describe = async (): Promise<DescribeResponse> => ({
    service: identity.service,
    instanceId: identity.instanceId,
    version: identity.version,
    state: workerState(lifecycle),
    sessions: worker.sessions(),
    capacity: worker.capacity,
    model: worker.model,
  });
  const open = async (request: OpenRequest, call: UnaryCall) => {
    if (request.instanceId !== '' && request.instanceId !== identity.instanceId)
      throw new MeshError(
        'PEER_LOST',
        `${request.instanceId} no longer has this address, ${identity.instanceId} has it now`,
      );
    await admission.open(request, call.signal);
    log.info({ sessionId: request.sessionId }, 'session opened');
    return {};
  };
  const close = async ({ sessionId, reason }: CloseRequest) => {
    await admission.close(sessionId, reason);
    log.info({ sessionId, reason }, 'session closed');
    return {};
  };
  const drain = async ({ deadlineMs }: { deadlineMs: number }, call: UnaryCall) => {
    lifecycle.drain();
    await waitUntil(() => admission.size === 0, Math.min(deadlineMs, MAX_DRAIN_RPC_MS), call.signal);
    return { sessionsLeft: admission.size };
  };
  const implementation = {
    Describe: unary(describe),
    Open: unary(open),
    Close: unary(close),
    Drain: unary(drain),
    Stats: unary(async () => ({ sessions: worker.stats() })),
  } satisfies Handlers;
  return { definition: v1.StageService.service, implementation };
}

function workerState(lifecycle: Lifecycle): DescribeResponse['state'] {
  if (lifecycle.drainSignal.aborted) return 'WORKER_STATE_DRAINING';
  return lifecycle.state === 'READY' ? 'WORKER_STATE_READY' : 'WORKER_STATE_WARMING';
}
