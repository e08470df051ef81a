import {
  CHUNK_LENGTH_SETTING,
  type ServiceName,
  type WorkerName,
  type WorkerRecord,
  workerRecord,
} from '@talkmesh/contracts';
import { v1 } from '@talkmesh/contracts/protos';
import { type ClientSecurity, type KvBucket, PeerConnection, PLAIN_CLIENT } from '@talkmesh/service-kit';

/** Whether new sessions may go to a worker. The registry alone does not show it: it keeps the entry of a dead worker until the TTL. */
export type Eligibility = 'eligible' | 'last-resort' | 'excluded';
export type EligibilityOf = (instanceId: string) => Eligibility;
const ALL_ELIGIBLE: EligibilityOf = () => 'eligible';

/** The registry as it was read once. */
export class WorkerSnapshot {
  readonly #workers: readonly WorkerRecord[];
  readonly #eligibilityOf: EligibilityOf;

  constructor(workers: readonly WorkerRecord[], eligibilityOf: EligibilityOf = ALL_ELIGIBLE) {
    this.#workers = workers;
    this.#eligibilityOf = eligibilityOf;
  }

  get all(): readonly WorkerRecord[] {
    return this.#workers;
  }

  has(service: ServiceName, instanceId: string): boolean {
    return this.#workers.some((worker) => worker.service === service && worker.instanceId === instanceId);
  }

  /**
   * Ready workers of a service for a model (or for services without one), least loaded first and equally loaded ones in random order.
   * `last-resort` workers follow: one of them may still accept a session that would otherwise be refused.
   * @param isRecorded workers that record calls come first
   */
  candidates(service: WorkerName, model: string, isRecorded = false): WorkerRecord[] {
    return this.#workers
      .filter((worker) => worker.service === service && worker.state === 'ready')
      .filter((worker) => worker.model === '' || worker.model === model)
      .map((worker) => ({ worker, eligibility: this.#eligibilityOf(worker.instanceId) }))
      .filter(({ eligibility }) => eligibility !== 'excluded')
      .map(({ worker, eligibility }) => ({
        worker,
        rank: eligibility === 'eligible' ? 0 : 1,
        unable: isRecorded && !worker.recordsCalls ? 1 : 0,
        load: worker.sessions / worker.capacity,
        tie: Math.random(),
      }))
      .sort((a, b) => a.rank - b.rank || a.unable - b.unable || a.load - b.load || a.tie - b.tie)
      .map(({ worker }) => worker);
  }

  /** Models of ready workers besides `model`, each once: of another version, or with chunks of another length. */
  otherModels(model: string): string[] {
    const ready = this.#workers.filter(({ state }) => state === 'ready').map((worker) => worker.model);
    return [...new Set(ready)].filter((other) => other !== '' && other !== model).sort();
  }

  get addresses(): ReadonlySet<string> {
    return new Set(this.#workers.map((worker) => worker.grpcAddress));
  }
}

type Clients = {
  readonly stage: InstanceType<typeof v1.StageService>;
  readonly signalling: InstanceType<typeof v1.SignallingService>;
  readonly conversation: InstanceType<typeof v1.ConversationService>;
  readonly audio: InstanceType<typeof v1.AudioIngest>;
  readonly pictures: InstanceType<typeof v1.PictureService>;
};

interface Peer {
  readonly connection: PeerConnection;
  readonly clients: Clients;
}

/** For a message: the model that is wanted, and which others workers have instead. */
export const otherThan = (model: string, others: readonly string[]): string =>
  others.length === 0
    ? model
    : `${model}, while others run ${others.join(' and ')}: give all services the same TALKMESH_MODEL and ${CHUNK_LENGTH_SETTING}`;

/** Reads the worker entries in NATS. */
export class WorkerRegistry {
  readonly #bucket: KvBucket;

  constructor(bucket: KvBucket) {
    this.#bucket = bucket;
  }

  /** Skips entries that are not valid worker records. @throws MeshError NATS_UNAVAILABLE */
  async read(eligibilityOf?: EligibilityOf): Promise<WorkerSnapshot> {
    const entries = await this.#bucket.list();
    const parsed = entries.map(({ value, revision }) => ({ ...workerRecord.safeParse(value), revision }));
    const workers = parsed.flatMap(({ data, revision }) => (data === undefined ? [] : [{ ...data, revision }]));
    return new WorkerSnapshot(lastOwners(workers), eligibilityOf);
  }
}

/** The registry joined with what the health watch knows, and one connection with its gRPC clients per worker address. */
export class WorkerDirectory {
  readonly #registry: WorkerRegistry;
  readonly #eligibilityOf: EligibilityOf;
  readonly #peers = new Map<string, Peer>();

  readonly #security: ClientSecurity;

  constructor(
    registry: WorkerRegistry,
    eligibilityOf: EligibilityOf = ALL_ELIGIBLE,
    security: ClientSecurity = PLAIN_CLIENT,
  ) {
    this.#registry = registry;
    this.#security = security;
    this.#eligibilityOf = eligibilityOf;
  }

  /** @throws MeshError NATS_UNAVAILABLE */
  read(): Promise<WorkerSnapshot> {
    return this.#registry.read(this.#eligibilityOf);
  }

  /** The clients of a worker. A failed connection is replaced instead of waiting for its back-off: a new worker may listen there by now. */
  clientsAt(address: string): Clients {
    const known = this.#peers.get(address);
    if (known !== undefined && !known.connection.failed) return known.clients;
    known?.connection.close();
    const connection = new PeerConnection(address, this.#security);
    const clients: Clients = {
      stage: connection.client(v1.StageService),
      signalling: connection.client(v1.SignallingService),
      conversation: connection.client(v1.ConversationService),
      audio: connection.client(v1.AudioIngest),
      pictures: connection.client(v1.PictureService),
    };
    this.#peers.set(address, { connection, clients });
    return clients;
  }

  /** A connection of its own to a worker, for a stream of frames: it would delay the other calls. The caller closes it. */
  connect(address: string): PeerConnection {
    return new PeerConnection(address, this.#security);
  }

  /** Closes the connections to all other addresses. */
  prune(needed: ReadonlySet<string>): void {
    for (const [address, { connection }] of this.#peers)
      if (!needed.has(address)) {
        this.#peers.delete(address);
        connection.close();
      }
  }

  close(): void {
    this.prune(new Set());
  }
}

/** An address belongs to the worker that registered last; earlier owners are dead, although their entries stay until the TTL. */
function lastOwners(workers: readonly (WorkerRecord & { revision: number })[]): WorkerRecord[] {
  const owners = new Map<string, WorkerRecord>();
  for (const { revision: _, ...worker } of workers.toSorted((a, b) => a.revision - b.revision))
    owners.set(worker.grpcAddress, worker);
  return [...owners.values()];
}
