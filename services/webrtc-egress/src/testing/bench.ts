import { readFile } from 'node:fs/promises';
import { Client } from '@grpc/grpc-js';
import {
  decodePlayhead,
  encodeFrame,
  type FrameMessage,
  type MeshEvent,
  newSessionId,
  type PlayheadMessage,
  v1,
} from '@talkmesh/contracts';
import { callUnary, connectClient } from '@talkmesh/service-kit';
import { createTestContext, type NatsServer, startNatsServer } from '@talkmesh/service-kit/testing';
import { ServiceProcess } from '@talkmesh/webrtc/testing';
import { FRAMES_PER_CHUNK } from './frames.js';

const FPS = 25;
const DEADLINE_MS = 20_000;

type Neighbour = Awaited<ReturnType<typeof createTestContext>>;

export type MakeFrame = (sessionId: string, chunk: number, frame: number) => FrameMessage;

/** Score service and decoder in one: makes what the playhead gives credit for, as fast as it gives it. */
export class TestProducer {
  readonly playheads: PlayheadMessage[] = [];
  readonly events: MeshEvent[] = [];
  /** False: it makes nothing more, whatever the credit. */
  producing = true;
  epoch = 0;
  nextChunk = 0;
  readonly sessionId: string;
  readonly #vae: Neighbour;
  readonly #make: MakeFrame;

  constructor(score: Neighbour, vae: Neighbour, sessionId: string, make: MakeFrame) {
    this.sessionId = sessionId;
    this.#vae = vae;
    this.#make = make;
    score.bus.subscribe('playhead', sessionId, (payload) => {
      this.playheads.push(decodePlayhead(payload));
      this.produce();
    });
    score.bus.subscribeEvents(sessionId, (event) => this.events.push(event));
  }

  get playhead(): PlayheadMessage | undefined {
    return this.playheads.at(-1);
  }

  eventsOf(type: MeshEvent['type']): MeshEvent[] {
    return this.events.filter((event) => event.type === type);
  }

  produce(): void {
    const playhead = this.playhead;
    if (playhead === undefined || !this.producing) return;
    while (this.nextChunk < playhead.chunk + playhead.creditChunks) this.publish(this.nextChunk++);
  }

  publish(chunk: number, changes: Partial<FrameMessage> = {}): void {
    for (let frame = 0; frame < FRAMES_PER_CHUNK; frame++) {
      const message = { ...this.#make(this.sessionId, chunk, frame), epoch: this.epoch, ...changes };
      this.#vae.bus.publish('frame', this.sessionId, encodeFrame(message));
    }
  }
}

/** NATS, the service as a process, and the neighbours it talks to. */
export class EgressBench implements AsyncDisposable {
  readonly nats: NatsServer;
  readonly service: ServiceProcess;
  readonly score: Neighbour;
  readonly vae: Neighbour;
  readonly stage: InstanceType<typeof v1.StageService>;
  readonly signalling: InstanceType<typeof v1.SignallingService>;
  readonly recording: InstanceType<typeof v1.RecordService>;

  static async start(env: Record<string, string> = {}): Promise<EgressBench> {
    const nats = await startNatsServer();
    const main = new URL('../main.ts', import.meta.url);
    const settings = {
      TALKMESH_NATS_URL: nats.url,
      TALKMESH_RTC_ADVERTISE: '127.0.0.1',
      TALKMESH_LOG_LEVEL: 'debug',
      ...env,
    };
    const service = await ServiceProcess.start(main, settings);
    const score = await createTestContext('score-model', undefined, nats.url);
    const vae = await createTestContext('vae-decode', undefined, nats.url);
    return new EgressBench(nats, service, score, vae);
  }

  private constructor(nats: NatsServer, service: ServiceProcess, score: Neighbour, vae: Neighbour) {
    this.nats = nats;
    this.service = service;
    this.score = score;
    this.vae = vae;
    this.stage = connectClient(v1.StageService, service.grpcAddress);
    this.signalling = connectClient(v1.SignallingService, service.grpcAddress);
    this.recording = connectClient(v1.RecordService, service.grpcAddress);
  }

  /** Opens a session that a producer feeds. */
  async open(sink: 'SINK_WEBRTC' | 'SINK_RECORD', side: number, make: MakeFrame): Promise<TestProducer> {
    const producer = new TestProducer(this.score, this.vae, newSessionId(), make);
    await this.score.bus.flush();
    const egress = { sink, width: side, height: side, fps: FPS };
    await this.call(this.stage, 'Open', { sessionId: producer.sessionId, epoch: 0, egress });
    return producer;
  }

  call<Res>(client: Client, method: string, request: object): Promise<Res> {
    return callUnary<object, Res>(client, method, request, { deadlineMs: DEADLINE_MS });
  }

  /** The WebRTC child process of the service, found by its parent. */
  async childPid(): Promise<number> {
    const children = await readFile(`/proc/${this.service.pid}/task/${this.service.pid}/children`, 'utf8');
    return Number(children.trim().split(' ')[0]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // StageService has a method of that name, so the client's own must be called by its class.
    for (const client of [this.stage, this.signalling, this.recording]) Client.prototype.close.call(client);
    for (const resource of [this.score, this.vae, this.service, this.nats]) await resource[Symbol.asyncDispose]();
  }
}

/** Polls until it is true. @throws Error after 20 s */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const untilMs = performance.now() + DEADLINE_MS;
  while (!(await condition())) {
    if (performance.now() > untilMs) throw new Error(`never happened: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
