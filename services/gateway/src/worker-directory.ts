import { type ServiceName, v1, type WorkerName, type WorkerRecord, workerRecord } from '@talkmesh/contracts';
import { closeClient, connectClient, type KvBucket } from '@talkmesh/service-kit';

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

/** Reads the registry and keeps one set of gRPC clients per worker address. */
export class WorkerDirectory {
  private readonly bucket: KvBucket;
  private readonly clients = new Map<string, Clients>();
  standingOf: StandingOf = ALL_FIT;

  constructor(bucket: KvBucket) {
    this.bucket = bucket;
  }

  /** Entries that are no worker records are left out. @throws MeshError NATS_UNAVAILABLE */
  async read(): Promise<WorkerSnapshot> {
    const entries = await this.bucket.list();
    const parsed = entries.map((entry) => workerRecord.safeParse(entry.value));
    return new WorkerSnapshot(
      parsed.flatMap((result) => (result.success ? [result.data] : [])),
      this.standingOf,
    );
  }

  at(address: string): Clients {
    const known = this.clients.get(address);
    if (known !== undefined) return known;
    const made: Clients = {
      stage: connectClient(v1.StageService, address),
      signalling: connectClient(v1.SignallingService, address),
      conversation: connectClient(v1.ConversationService, address),
      audio: connectClient(v1.AudioIngest, address),
      pictures: connectClient(v1.PictureService, address),
    };
    this.clients.set(address, made);
    return made;
  }

  /** Closes the clients of addresses nobody needs any more. */
  prune(needed: ReadonlySet<string>): void {
    for (const [address, clients] of this.clients)
      if (!needed.has(address)) {
        this.clients.delete(address);
        for (const client of Object.values(clients)) closeClient(client);
      }
  }

  close(): void {
    this.prune(new Set());
  }
}
