import {
  decodePlayhead,
  encodeFrame,
  type FrameMessage,
  type MeshEvent,
  newSessionId,
  type PlayheadMessage,
  type SessionDisclosure,
} from '@talkmesh/contracts';
import { v1 } from '@talkmesh/contracts/protos';
import { moduleUrl } from '@talkmesh/service-kit/testing';
import { EdgeBench, type Neighbour } from '@talkmesh/webrtc/testing';
import { FRAMES_PER_CHUNK } from './frames.js';

const FPS = 25;

export type MakeFrame = (sessionId: string, chunk: number, frame: number) => FrameMessage;

/** Stands in for score-model and vae-decode: publishes the chunks that the playhead grants, at once. */
export class TestProducer {
  readonly playheads: PlayheadMessage[] = [];
  readonly events: MeshEvent[] = [];
  /** False stops it, whatever the credit. */
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

/** The service after score-model and vae-decode. */
export class EgressBench extends EdgeBench {
  readonly recording = this.client(v1.RecordService);
  readonly avatar = this.client(v1.AvatarService);
  readonly score: Neighbour;
  readonly vae: Neighbour;
  readonly bridge: Neighbour;

  static async start(env: Record<string, string> = {}): Promise<EgressBench> {
    const main = moduleUrl('../main', import.meta.url);
    const settings = { TALKMESH_LOG_LEVEL: 'debug', ...env };
    return new EgressBench(
      ...(await EdgeBench.startParts(main, settings, ['score-model', 'vae-decode', 'audio-llm-bridge'])),
    );
  }

  private constructor(...[nats, service, neighbours]: Awaited<ReturnType<typeof EdgeBench.startParts>>) {
    super(nats, service, neighbours);
    [this.score, this.vae, this.bridge] = neighbours as [Neighbour, Neighbour, Neighbour];
  }

  /** Opens a session that a producer feeds. */
  async open(
    sink: 'SINK_WEBRTC' | 'SINK_RECORD' | 'SINK_LIVEKIT' | 'SINK_FRAMES',
    side: number,
    make: MakeFrame,
    more?: {
      readonly livekit?: { readonly url: string; readonly token: string };
      readonly disclosure?: SessionDisclosure;
      readonly recording?: object;
    },
  ): Promise<TestProducer> {
    const producer = new TestProducer(this.score, this.vae, newSessionId(), make);
    await this.score.bus.flush();
    const egress = { sink, width: side, height: side, fps: FPS, ...more };
    await this.call(this.stage, 'Open', { sessionId: producer.sessionId, epoch: 0, egress });
    return producer;
  }
}
