import {
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerWritableStream,
  type sendUnaryData,
} from '@grpc/grpc-js';
import {
  type ConversationOffer,
  MeshError,
  WORKERS_BUCKET,
  type WorkerName,
  type WorkerRecord,
} from '@talkmesh/contracts';
import { v1 } from '@talkmesh/contracts/protos';
import { type KvBucket, type OpenRequest, toServiceError, unary } from '@talkmesh/service-kit';
import { createTestContext, HealthImplementation, type TestContext } from '@talkmesh/service-kit/testing';

export interface FakeWorkerOptions {
  readonly service: WorkerName;
  readonly natsUrl: string;
  readonly capacity?: number;
  readonly model?: string;
  readonly instanceId?: string;
}

const input: ConversationOffer['providers'][number]['input'] = ['voice-activity', 'push-to-talk'];
/** What the fake bridge announces. */
export const OFFER: ConversationOffer = {
  providers: [
    { name: 'parrot', input, voices: ['en-us', 'en-gb'], onlyTheseVoices: false },
    { name: 'cascade', input, voices: ['nova', 'alloy'], onlyTheseVoices: true },
    { name: 'external', input: [], voices: [], onlyTheseVoices: false },
  ],
  choices: ['voice', 'language'],
};

export type InspectRequest = { rgb: Buffer; landmarks: number[] };
type Frame = { index: number; i420: Buffer; pcm: Buffer };

type Connect = (typeof v1.AvatarService)['service']['Connect'];
type AvatarRequest = ReturnType<Connect['requestDeserialize']>;
type AvatarResponse = Parameters<Connect['responseSerialize']>[0];

/** A call of AvatarService.Connect. */
export interface AvatarStream {
  readonly call: ServerDuplexStream<AvatarRequest, AvatarResponse>;
  /** What was received, in order; audio as its number of bytes. */
  readonly received: (number | string)[];
  readonly attach: NonNullable<AvatarRequest['attach']>;
}

/** Finds a face where the avatars of the test model have theirs, or at the given landmarks. */
export const findFace = async ({ landmarks }: Pick<InspectRequest, 'landmarks'>): Promise<object> => ({
  landmarks: landmarks.length === 6 ? landmarks : [32, 40, 24, 28, 40, 28],
  confidence: [0.9, 0.9, 0.9],
  kinds: { fits: 1 },
  found: true,
  fits: true,
  reasons: [],
});

/** A worker over real gRPC, in the real registry, whose answers the test decides. */
export class FakeWorker implements AsyncDisposable {
  readonly opened = new Map<string, OpenRequest>();
  readonly closed: { sessionId: string; reason: string }[] = [];
  readonly offers: { sessionId: string; sdp: string }[] = [];
  readonly iceChanges: { sessionId: string; resourceId: string; ifMatch: string; fragment: string }[] = [];
  readonly hangups: { sessionId: string; resourceId: string }[] = [];
  readonly said: { sessionId: string; text: string }[] = [];
  readonly toolResults: { sessionId: string; callId: string; output: string }[] = [];
  readonly paused = new Set<string>();
  /** Bytes of audio received. */
  receivedBytes = 0;
  /** Frames sent so far. */
  framesSent = 0;
  recordCancelled = false;
  /** While true it stops reading audio, so that backpressure builds up. */
  isAudioBlocked = false;
  onOpen: (request: OpenRequest, signal: AbortSignal) => Promise<void> = async () => undefined;
  onDescribe: () => Promise<void> = async () => undefined;
  onClose: () => Promise<void> = async () => undefined;
  onOffer: () => Promise<{ sdp: string; resourceId: string }> = async () => ({
    sdp: 'v=0\r\nanswer',
    resourceId: 'r-1',
  });
  onIce: () => Promise<{ fragment: string }> = async () => ({ fragment: '' });
  onSay: () => Promise<{ turn: number }> = async () => ({ turn: 7 });
  readonly inspected: InspectRequest[] = [];
  onInspect: (request: InspectRequest) => Promise<object> = findFace;
  readonly avatarStreams: AvatarStream[] = [];
  /** The answer to attach. @throws MeshError */
  onAttach: (attach: AvatarStream['attach']) => AvatarResponse = () => ({
    ready: { width: 64, height: 64, fps: 25, graceMs: 8000, hasFrames: true },
  });
  address = '';
  readonly record: WorkerRecord;
  #server = new Server();
  #health = new HealthImplementation();
  #heartbeat: NodeJS.Timeout | undefined;
  #context!: TestContext<object>;
  #registry!: KvBucket;

  private constructor(options: FakeWorkerOptions) {
    this.record = {
      service: options.service,
      instanceId: options.instanceId ?? `${options.service}-${Math.random().toString(36).slice(2, 10)}`,
      grpcAddress: '',
      version: '0.1.0',
      state: 'ready',
      sessions: 0,
      capacity: options.capacity ?? 4,
      ...(options.service === 'audio-llm-bridge' && { offer: OFFER }),
      ...(options.service === 'webrtc-egress' && { recordsCalls: true }),
      model: options.model ?? (options.service === 'score-model' || options.service === 'vae-decode' ? 'nano@9' : ''),
    };
  }

  static async start(options: FakeWorkerOptions): Promise<FakeWorker> {
    const worker = new FakeWorker(options);
    worker.#context = await createTestContext(options.service, undefined, options.natsUrl);
    worker.#registry = await worker.#context.bus.kv(WORKERS_BUCKET, { ttlMs: 10_000 });
    await worker.#listen(0);
    await worker.register();
    return worker;
  }

  async #listen(port: number): Promise<void> {
    this.#serve();
    const bound = await new Promise<number>((resolve, reject) => {
      this.#server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, at) =>
        error === null ? resolve(at) : reject(error),
      );
    });
    this.address = `127.0.0.1:${bound}`;
    this.reportHealth(true);
  }

  /** Sets the status that its health service reports. */
  reportHealth(serving: boolean): void {
    this.#health.setStatus('', serving ? 'SERVING' : 'NOT_SERVING');
  }

  /** As after SIGTERM: it keeps its sessions, refuses new ones and announces that it drains. */
  async drain(): Promise<void> {
    await this.register({ state: 'draining' });
  }

  /** As by kill -9: the port is closed, the registry entry remains, and its sessions are lost. */
  kill(): void {
    clearInterval(this.#heartbeat);
    this.#server.forceShutdown();
    this.opened.clear();
  }

  /** Starts the next process at the same address, with the same instance id or another. */
  async comeBack(instanceId = this.record.instanceId): Promise<void> {
    this.record.instanceId = instanceId;
    this.record.state = 'ready';
    this.#server = new Server();
    this.#health = new HealthImplementation();
    await this.#listen(Number(this.address.split(':')[1]));
    await this.register();
  }

  /** Breaks all connections while the worker stays healthy. */
  breakConnections(): void {
    type Internals = { http2Servers: Map<unknown, { sessions: Set<{ destroy(): void }> }> };
    for (const { sessions } of (this.#server as unknown as Internals).http2Servers.values())
      for (const connection of sessions) connection.destroy();
  }

  get bus(): TestContext<object>['bus'] {
    return this.#context.bus;
  }

  get id(): string {
    return this.record.instanceId;
  }

  /** Writes its registry entry. */
  async register(change: Partial<WorkerRecord> = {}): Promise<void> {
    Object.assign(this.record, { grpcAddress: this.address, sessions: this.opened.size }, change);
    const put = (): Promise<unknown> =>
      this.#registry.put(`${this.record.service}.${this.record.instanceId}`, this.record);
    clearInterval(this.#heartbeat);
    this.#heartbeat = setInterval(() => void put().catch(() => undefined), 3000);
    await put();
    if (change.state !== undefined) this.reportHealth(change.state === 'ready');
  }

  async leaveRegistry(): Promise<void> {
    clearInterval(this.#heartbeat);
    await this.#registry.delete(`${this.record.service}.${this.record.instanceId}`);
  }

  /** As when its machine fails: it does not answer and its registry entry is gone. */
  async die(): Promise<void> {
    this.kill();
    await this.leaveRegistry();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#heartbeat);
    this.#server.forceShutdown();
    await this.#context[Symbol.asyncDispose]();
  }

  #serve(): void {
    this.#health.addToServer(this.#server);
    this.#server.addService(v1.StageService.service, {
      describe: unary(async () => {
        await this.onDescribe();
        return {
          ...this.record,
          state: `WORKER_STATE_${this.record.state.toUpperCase()}`,
          sessions: this.opened.size,
        };
      }),
      drain: unary(async () => ({})),
      stats: unary(async () => ({
        sessions: [...this.opened.keys()].map((sessionId) => ({ sessionId, chunk: 3, p50Ms: 1.5 })),
      })),
      open: unary(async (request: OpenRequest, { signal }) => {
        if (this.opened.size >= this.record.capacity) throw new MeshError('SESSION_LIMIT', 'full');
        if (request.instanceId !== this.record.instanceId)
          throw new MeshError('PEER_LOST', 'another instance listens here');
        await this.onOpen(request, signal);
        if (signal.aborted) throw MeshError.from(signal.reason);
        this.opened.set(request.sessionId, request);
        return {};
      }),
      close: unary(async ({ sessionId, reason }: { sessionId: string; reason: string }) => {
        await this.onClose();
        this.opened.delete(sessionId);
        this.closed.push({ sessionId, reason });
        return {};
      }),
    });
    this.#server.addService(v1.SignallingService.service, {
      offer: unary(async (request: { sessionId: string; sdp: string }) => {
        this.offers.push(request);
        return this.onOffer();
      }),
      changeIce: unary(async (request: FakeWorker['iceChanges'][number]) => {
        this.iceChanges.push(request);
        return this.onIce();
      }),
      hangup: unary(async (request: { sessionId: string; resourceId: string }) => {
        this.hangups.push(request);
        return {};
      }),
    });
    this.#server.addService(v1.ConversationService.service, {
      say: unary(async (request: { sessionId: string; text: string }) => {
        this.said.push(request);
        return this.onSay();
      }),
      answerTool: unary(async (request: { sessionId: string; callId: string; output: string }) => {
        if (request.callId !== 'call-1') throw new MeshError('NOT_FOUND', 'no such call');
        this.toolResults.push(request);
        return {};
      }),
      interrupt: unary(async () => ({ interrupted: true })),
      startInput: unary(async () => ({ started: true })),
      commitInput: unary(async () => ({ committed: true })),
      cancelInput: unary(async () => ({ cancelled: false })),
      pause: unary(async ({ sessionId }: { sessionId: string }) => ({ paused: this.#setPaused(sessionId, true) })),
      resume: unary(async ({ sessionId }: { sessionId: string }) => ({ resumed: this.#setPaused(sessionId, false) })),
    });
    this.#server.addService(v1.PictureService.service, {
      inspectPicture: unary(async (request: InspectRequest) => {
        this.inspected.push(request);
        return this.onInspect(request);
      }),
    });
    this.#serveStreams();
  }

  /** @returns whether the state changed */
  #setPaused(sessionId: string, paused: boolean): boolean {
    const was = this.paused.has(sessionId);
    if (paused) this.paused.add(sessionId);
    else this.paused.delete(sessionId);
    return was !== paused;
  }

  #serveStreams(): void {
    this.#server.addService(v1.AudioIngest.service, {
      streamAudio: (call: ServerReadableStream<{ pcm: Buffer }, object>, done: sendUnaryData<object>) => {
        call.on('data', ({ pcm }) => {
          this.receivedBytes += pcm.length;
          if (pcm.length === 3) return done(toServiceError(new MeshError('AUDIO_FORMAT_INVALID', 'odd')));
          if (this.isAudioBlocked) call.pause();
        });
        call.on('end', () => done(null, { samples: this.receivedBytes / 2, seconds: this.receivedBytes / 48_000 }));
      },
    });
    this.#server.addService(v1.RecordService.service, {
      record: (call: ServerWritableStream<{ sessionId: string; stopAfterFrames: number }, Frame>) => {
        if (call.request.stopAfterFrames === 13) {
          call.emit('error', toServiceError(new MeshError('SESSION_NOT_FOUND', 'not here')));
          return;
        }
        call.on('cancelled', () => {
          this.recordCancelled = true;
        });
        const i420 = Buffer.alloc(96_000, 5);
        const pump = (): void => {
          while (this.framesSent < call.request.stopAfterFrames) {
            this.framesSent += 1;
            if (!call.write({ index: this.framesSent - 1, i420, pcm: Buffer.alloc(1920, 1) })) {
              call.once('drain', pump);
              return;
            }
          }
          call.end();
        };
        pump();
      },
    });
    this.#server.addService(v1.AvatarService.service, {
      connect: (call: AvatarStream['call']) => {
        const received: (number | string)[] = [];
        call.on('data', ({ attach, pcm, body }: AvatarRequest) => {
          if (attach == null) {
            received.push(pcm?.length ?? String(body));
            return;
          }
          try {
            const ready = this.onAttach(attach);
            this.avatarStreams.push({ call, received, attach });
            call.write(ready);
          } catch (thrown) {
            call.emit('error', toServiceError(thrown));
          }
        });
        call.on('cancelled', () => received.push('broken'));
        call.on('end', () => call.end());
      },
    });
  }
}
