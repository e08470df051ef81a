import { type ServiceName, v1, type WorkerName, type WorkerRecord, workerRecord } from '@talkmesh/contracts';
import { type KvBucket, PeerConnection } from '@talkmesh/service-kit';

/** What is known of a worker beyond the registry, which remembers the dead until its TTL. */
export type Standing = 'fit' | 'doubtful' | 'unfit';
export type StandingOf = (instanceId: string) => Standing;
const ALL_FIT: StandingOf = () => 'fit';

/** The workers of one moment. */
export class WorkerSnapshot {
  private readonly workers: readonly WorkerRecord[];
  private readonly standingOf: StandingOf;

  constructor(workers: readonly WorkerRecord[], standingOf: StandingOf = ALL_FIT) {
    this.workers = workers;
    this.standingOf = standingOf;
  }

  get all(): readonly WorkerRecord[] {
    return this.workers;
  }

  has(service: ServiceName, instanceId: string): boolean {
    return this.workers.some((worker) => worker.service === service && worker.instanceId === instanceId);
  }

  /**
   * Ready workers of a service for a model (or without one), least loaded first, equals in random order. Doubtful ones come last: better
   * to ask one than to refuse a call that it could have taken.
   */
  candidates(service: WorkerName, model: string): WorkerRecord[] {
    return this.workers
      .filter((worker) => worker.service === service && worker.state === 'ready')
      .filter((worker) => worker.model === '' || worker.model === model)
      .map((worker) => ({ worker, standing: this.standingOf(worker.instanceId) }))
      .filter(({ standing }) => standing !== 'unfit')
      .map(({ worker, standing }) => ({
        worker,
        doubt: standing === 'fit' ? 0 : 1,
        load: worker.sessions / worker.capacity,
        tie: Math.random(),
      }))
      .sort((a, b) => a.doubt - b.doubt || a.load - b.load || a.tie - b.tie)
      .map(({ worker }) => worker);
  }

  get addresses(): ReadonlySet<string> {
    return new Set(this.workers.map((worker) => worker.grpcAddress));
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

/** Reads the registry and keeps one connection and its gRPC clients per worker address. */
export class WorkerDirectory {
  private readonly bucket: KvBucket;
  private readonly peers = new Map<string, Peer>();
  standingOf: StandingOf = ALL_FIT;

  constructor(bucket: KvBucket) {
    this.bucket = bucket;
  }

  /** Entries that are no worker records are left out. @throws MeshError NATS_UNAVAILABLE */
  async read(): Promise<WorkerSnapshot> {
    const entries = await this.bucket.list();
    const parsed = entries.map(({ value, revision }) => ({ ...workerRecord.safeParse(value), revision }));
    const workers = parsed.flatMap(({ data, revision }) => (data === undefined ? [] : [{ ...data, revision }]));
    return new WorkerSnapshot(withoutDead(workers), this.standingOf);
  }

  /** The clients of a worker. Whose connection failed is tried at once, not after a pause: somebody else may listen there by now. */
  at(address: string): Clients {
    const known = this.peers.get(address);
    if (known !== undefined && !known.connection.failed) return known.clients;
    known?.connection.close();
    const connection = new PeerConnection(address);
    const clients: Clients = {
      stage: connection.client(v1.StageService),
      signalling: connection.client(v1.SignallingService),
      conversation: connection.client(v1.ConversationService),
      audio: connection.client(v1.AudioIngest),
      pictures: connection.client(v1.PictureService),
    };
    this.peers.set(address, { connection, clients });
    return clients;
  }

  /** Closes the connections to addresses nobody needs any more. */
  prune(needed: ReadonlySet<string>): void {
    for (const [address, { connection }] of this.peers)
      if (!needed.has(address)) {
        this.peers.delete(address);
        connection.close();
      }
  }

  close(): void {
    this.prune(new Set());
  }
}

/** An address has one owner, the one that wrote last: whoever had it before is dead, though the registry remembers it until its TTL. */
function withoutDead(workers: readonly (WorkerRecord & { revision: number })[]): WorkerRecord[] {
  const owners = new Map<string, WorkerRecord>();
  for (const { revision: _, ...worker } of workers.toSorted((a, b) => a.revision - b.revision))
    owners.set(worker.grpcAddress, worker);
  return [...owners.values()];
}
