import { Client, type ClientWritableStream } from '@grpc/grpc-js';
import {
  type AudioMessage,
  decodeAudio,
  encodePlayhead,
  type MeshEvent,
  newSessionId,
  type PlayheadMessage,
  v1,
} from '@talkmesh/contracts';
import { callUnary, connectClient, fromServiceError } from '@talkmesh/service-kit';
import { createTestContext, type NatsServer, startNatsServer } from '@talkmesh/service-kit/testing';
import { ServiceProcess } from '@talkmesh/webrtc/testing';

const DEADLINE_MS = 20_000;

type Neighbour = Awaited<ReturnType<typeof createTestContext>>;
type StreamResponse = { samples: number; seconds: number };
type StreamRequest = { sessionId?: string; sampleRateHz?: number; channels?: number; pcm?: Buffer };

/** What the bridge hears of a session, and a playhead to play with. */
export class Listener {
  readonly mic: AudioMessage[] = [];
  readonly events: MeshEvent[] = [];
  readonly sessionId: string;
  readonly #egress: Neighbour;

  constructor(bridge: Neighbour, egress: Neighbour, sessionId: string) {
    this.sessionId = sessionId;
    this.#egress = egress;
    bridge.bus.subscribe('mic', sessionId, (payload) => this.mic.push(decodeAudio(payload)));
    bridge.bus.subscribeEvents(sessionId, (event) => this.events.push(event));
  }

  get samples(): Int16Array {
    return Int16Array.from(this.mic.flatMap((message) => [...message.pcm]));
  }

  eventsOf(type: MeshEvent['type']): MeshEvent[] {
    return this.events.filter((event) => event.type === type);
  }

  /** Plays ten times as fast as time until it is disposed of. */
  playing(): Disposable {
    let mediaTimeMs = 0;
    const timer = setInterval(() => {
      mediaTimeMs += 200;
      this.playhead(mediaTimeMs);
    }, 20);
    return { [Symbol.dispose]: () => clearInterval(timer) };
  }

  /** Says that so much was played. */
  playhead(mediaTimeMs: number): void {
    const message: PlayheadMessage = {
      sessionId: this.sessionId,
      epoch: 3,
      turn: 2,
      chunk: 0,
      frame: 0,
      mediaTimeUs: mediaTimeMs * 1000,
      deadlineUs: 0,
      creditChunks: 2,
      heldFrames: 0,
      turnPlayedMs: 0,
    };
    this.#egress.bus.publish('playhead', this.sessionId, encodePlayhead(message));
  }
}

/** NATS, the service as a process, and its neighbours. */
export class IngestBench implements AsyncDisposable {
  readonly nats: NatsServer;
  readonly service: ServiceProcess;
  readonly stage: InstanceType<typeof v1.StageService>;
  readonly signalling: InstanceType<typeof v1.SignallingService>;
  readonly audio: InstanceType<typeof v1.AudioIngest>;
  readonly #bridge: Neighbour;
  readonly #egress: Neighbour;

  static async start(env: Record<string, string> = {}): Promise<IngestBench> {
    const nats = await startNatsServer();
    const settings = { TALKMESH_NATS_URL: nats.url, TALKMESH_RTC_ADVERTISE: '127.0.0.1', ...env };
    const service = await ServiceProcess.start(new URL('../main.ts', import.meta.url), settings);
    const bridge = await createTestContext('audio-llm-bridge', undefined, nats.url);
    const egress = await createTestContext('webrtc-egress', undefined, nats.url);
    return new IngestBench(nats, service, bridge, egress);
  }

  private constructor(nats: NatsServer, service: ServiceProcess, bridge: Neighbour, egress: Neighbour) {
    this.nats = nats;
    this.service = service;
    this.#bridge = bridge;
    this.#egress = egress;
    this.stage = connectClient(v1.StageService, service.grpcAddress);
    this.signalling = connectClient(v1.SignallingService, service.grpcAddress);
    this.audio = connectClient(v1.AudioIngest, service.grpcAddress);
  }

  async open(vad: boolean): Promise<Listener> {
    const listener = new Listener(this.#bridge, this.#egress, newSessionId());
    await this.#bridge.bus.flush();
    await this.call(this.stage, 'Open', { sessionId: listener.sessionId, epoch: 0, ingest: { vad } });
    return listener;
  }

  call<Res>(client: Client, method: string, request: object): Promise<Res> {
    return callUnary<object, Res>(client, method, request, { deadlineMs: DEADLINE_MS });
  }

  /** A call of StreamAudio and its outcome; failures are MeshErrors. */
  stream(): { call: ClientWritableStream<StreamRequest>; response: Promise<StreamResponse> } {
    let call: ClientWritableStream<StreamRequest> | undefined;
    const response = new Promise<StreamResponse>((resolve, reject) => {
      call = this.audio.StreamAudio((error: unknown, value?: StreamResponse) => {
        if (error || value === undefined) reject(fromServiceError(error));
        else resolve(value);
      }) as unknown as ClientWritableStream<StreamRequest>;
      call.on('error', () => {});
    });
    response.catch(() => undefined);
    return { call: call as ClientWritableStream<StreamRequest>, response };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // StageService has a method of that name, so the client's own must be called by its class.
    for (const client of [this.stage, this.signalling, this.audio]) Client.prototype.close.call(client);
    for (const resource of [this.#bridge, this.#egress, this.service, this.nats]) await resource[Symbol.asyncDispose]();
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
