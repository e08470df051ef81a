import type { ClientWritableStream } from '@grpc/grpc-js';
import {
  type AudioMessage,
  decodeAudio,
  encodePlayhead,
  type MeshEvent,
  newSessionId,
  type PlayheadMessage,
} from '@talkmesh/contracts';
import { v1 } from '@talkmesh/contracts/protos';
import { fromServiceError } from '@talkmesh/service-kit';
import { moduleUrl } from '@talkmesh/service-kit/testing';
import { EdgeBench, type Neighbour } from '@talkmesh/webrtc/testing';

type StreamResponse = { samples: number; seconds: number };
type StreamRequest = { sessionId?: string; sampleRateHz?: number; channels?: number; pcm?: Buffer };

/** Stands in for the bridge and the egress: records what a session publishes, and publishes playheads. */
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

  /** Moves the playhead at ten times real time until it is disposed of. */
  playing(): Disposable {
    let mediaTimeMs = 0;
    const timer = setInterval(() => {
      mediaTimeMs += 200;
      this.playhead(mediaTimeMs);
    }, 20);
    return { [Symbol.dispose]: () => clearInterval(timer) };
  }

  /** Publishes a playhead at this position. */
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

/** The service between the bridge and the egress. */
export class IngestBench extends EdgeBench {
  readonly audio = this.client(v1.AudioIngest);
  readonly #bridge: Neighbour;
  readonly #egress: Neighbour;

  static async start(env: Record<string, string> = {}): Promise<IngestBench> {
    const main = moduleUrl('../main', import.meta.url);
    return new IngestBench(...(await EdgeBench.startParts(main, env, ['audio-llm-bridge', 'webrtc-egress'])));
  }

  private constructor(...[nats, service, neighbours]: Awaited<ReturnType<typeof EdgeBench.startParts>>) {
    super(nats, service, neighbours);
    [this.#bridge, this.#egress] = neighbours as [Neighbour, Neighbour];
  }

  /** @param room the LiveKit room that is heard, as RoomMicrophone */
  async open(vad: boolean, room?: object): Promise<Listener> {
    const listener = new Listener(this.#bridge, this.#egress, newSessionId());
    await this.#bridge.bus.flush();
    await this.call(this.stage, 'Open', { sessionId: listener.sessionId, epoch: 0, ingest: { vad, room } });
    return listener;
  }

  /** Opens a StreamAudio call; failures of its response are MeshErrors. */
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
}
