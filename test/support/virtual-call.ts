/**
 * Score, decoder and egress of one call in one process on a virtual clock, with messages that take their time: what a real
 * mesh does in minutes happens in milliseconds, a thousand times over, with every order of events. Only the networks are
 * replaced: their pictures carry, as a marker, how often the call had been rolled back when they were made.
 */
import {
  chunkGeometry,
  decodeEvent,
  decodeLatent,
  decodePlayhead,
  encodeEvent,
  encodeFrame,
  encodeLatent,
  type MeshEvent,
  newSessionId,
} from '@talkmesh/contracts';
import type { DecodedChunk, GeneratedChunk } from '@talkmesh/inference';
import { type Bus, createLogger, createMetrics, RollingPercentiles } from '@talkmesh/service-kit';
import type { PeerListener } from '@talkmesh/webrtc';
import { type Flush, ScoreScheduler } from '../../services/score-model/src/testing/index.js';
import { DecodeScheduler } from '../../services/vae-decode/src/testing/index.js';
import {
  createEgressMetrics,
  EgressSession,
  type FromViewer,
  Playout,
  type PlayoutFrame,
  type ViewerHost,
  WebrtcSink,
} from '../../services/webrtc-egress/src/testing/index.js';

const SIDE = 4;
const PICTURE_BYTES = (SIDE * SIDE * 3) / 2;
const PATIENCE_MS = 3_600_000;
const START_US = 1_800_000_000_000_000;
const OFFER =
  'v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 VP8/90000\r\na=recvonly\r\n' +
  `a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=fingerprint:sha-256 ${'AB:'.repeat(31)}AB\r\n`;

export const geometry = chunkGeometry({
  fps: 25,
  chunk: { latentFrames: 3, temporalCompression: 4 },
  latent: { channels: 1, height: 1, width: 1 },
  audio: { sampleRateHz: 24_000 },
});

/** A picture that a viewer saw, without repetitions: of which chunk, made after how many rollbacks. */
export interface Shown {
  readonly atMs: number;
  readonly rollbacks: number;
  readonly chunk: number;
  /** Loudest sample of the sound that began with it. */
  readonly heard: number;
  /** Its chunk was held: it is the picture before. */
  readonly isHeld: boolean;
}

export interface VirtualCallOptions {
  readonly random: () => number;
  readonly scoreMs: number;
  readonly decodeMs: number;
  /** A message takes up to so long; those of one sender to one receiver keep their order. */
  readonly hopMs: number;
}

export class VirtualCall {
  readonly sessionId = newSessionId();
  readonly shown: Shown[] = [];
  /** What was said and, in blocks, what was heard: of speech no sample is 0. */
  readonly said: Int16Array[] = [];
  readonly sound: Int16Array[] = [];
  /** When a flush had reached the viewer's player. */
  readonly flushed: { readonly atMs: number; readonly flush: Flush; readonly rollbacks: number }[] = [];
  heldFrames = 0;
  readonly #options: VirtualCallOptions;
  readonly #score: ScoreScheduler;
  readonly #decode: DecodeScheduler;
  readonly #egress: EgressSession;
  readonly #sink: WebrtcSink;
  readonly #playout: Playout;
  readonly #lanes = new Map<string, number>();
  readonly #due: { atMs: number; deliver: () => void }[] = [];
  #handlers = new Map<string, (payload: Uint8Array) => void>();
  #peer: PeerListener<FromViewer> | undefined;
  #nowMs = 0;
  #rollbacks = 0;
  #lastHeard = 0;
  #isHeld = false;
  #seen: Uint8Array | undefined;
  /** Rollbacks before a chunk was made, by epoch and chunk; and the same of each picture, which may be mixed with another. */
  readonly #made = new Map<string, number>();
  readonly #pictures = new WeakMap<Uint8Array, { readonly rollbacks: number; readonly chunk: number }>();
  #working = { score: false, decode: false };

  constructor(options: VirtualCallOptions) {
    this.#options = options;
    const clock = {
      nowMs: () => this.#nowMs,
      wallUs: () => START_US + this.#nowMs * 1000,
      traceUs: () => this.#nowMs * 1000,
      sleep: () => new Promise<void>(() => {}),
    };
    this.#score = new ScoreScheduler({ geometry, steps: 2, clock, downstreamMs: options.decodeMs + 2 * options.hopMs });
    this.#decode = new DecodeScheduler({
      geometry,
      fps: 25,
      clock,
      downstreamMs: options.hopMs,
    });
    this.#playout = new Playout({
      fps: 25,
      sampleRateHz: 24_000,
      now: clock.nowMs,
      video: (i420) => this.#see(i420),
      audio: (block) => {
        this.sound.push(block);
        this.#lastHeard = block.reduce((loudest, sample) => Math.max(loudest, Math.abs(sample)), 0);
        const last = this.shown.at(-1);
        if (last !== undefined)
          this.shown[this.shown.length - 1] = { ...last, heard: Math.max(last.heard, this.#lastHeard) };
      },
      onPlayed: (report) => this.#send('viewer', () => this.#peer?.onMessage({ type: 'played', report })),
      onHeld: () => this.#held(),
      onStall: () => {},
    });
    const metrics = createEgressMetrics(createMetrics({ defaults: false }));
    this.#egress = this.#openEgress(metrics);
    this.#sink = this.#openSink(metrics);
    this.#egress.start(this.#sink);
    this.#openWorkers();
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  async connect(): Promise<void> {
    await this.#sink.offer(OFFER);
    this.#peer?.onState('connected');
  }

  speak(turn: number, seconds: number): void {
    const pcm = Int16Array.from({ length: Math.round(seconds * 24_000) }, (_, i) => 1000 + ((7 * i + turn) % 30_000));
    this.said.push(pcm);
    this.#send('bridge', () => this.#flush(this.#score.speech(this.sessionId, turn, pcm, true).flush));
  }

  interrupt(turn: number): void {
    this.#send('bridge', () => this.#flush(this.#score.interrupt(this.sessionId, turn).flush));
  }

  pause(paused: boolean): void {
    this.#send('bridge', () =>
      this.#flush(this.#score.pause(this.sessionId, { type: paused ? 'pause' : 'resume', cause: 'command' }).flush),
    );
  }

  async advance(ms: number): Promise<void> {
    const end = this.#nowMs + ms;
    while (this.#nowMs < end) {
      this.#nowMs += 1;
      for (let next = this.#due[0]; next !== undefined && next.atMs <= this.#nowMs; next = this.#due[0]) {
        this.#due.shift();
        next.deliver();
      }
      void this.#makeChunk();
      void this.#decodeChunk();
      if (this.#peer !== undefined) this.#playout.tick();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async close(): Promise<void> {
    await this.#egress.close();
  }

  /** Delivered later, but never before what the same lane carried earlier. */
  #send(lane: string, deliver: () => void, tookMs = 0): void {
    const hop = this.#options.random() * this.#options.hopMs;
    const atMs = Math.max(this.#lanes.get(lane) ?? 0, this.#nowMs + tookMs + hop);
    this.#lanes.set(lane, atMs);
    this.#due.push({ atMs, deliver });
    this.#due.sort((a, b) => a.atMs - b.atMs);
  }

  #see(i420: Uint8Array): void {
    const isRepeated = this.#isHeld;
    this.#isHeld = false;
    if (isRepeated) return;
    const { rollbacks = 0, chunk = 0 } = this.#pictures.get(i420) ?? {};
    this.shown.push({ atMs: this.#nowMs, rollbacks, chunk, heard: 0, isHeld: i420 === this.#seen });
    this.#seen = i420;
  }

  /** The picture of a held frame is that of an earlier one. */
  #mark({ epoch, chunk, i420 }: PlayoutFrame): void {
    if (this.#pictures.has(i420)) return;
    this.#pictures.set(i420, { rollbacks: this.#made.get(`${epoch}/${chunk}`) ?? 0, chunk });
  }

  #held(): void {
    this.heldFrames += 1;
    this.#isHeld = true;
    this.#send('viewer', () => this.#peer?.onMessage({ type: 'held' }));
  }

  #openWorkers(): void {
    const { sessionId } = this;
    const timing = {
      leadChunks: 2,
      maxLeadChunks: 8,
      speechGraceMs: 120,
      flushMarginMs: 80,
      maxSpeechSamples: 10 ** 7,
    };
    const wait = (ms: number): Promise<void> => new Promise((resolve) => void this.#wake(ms, resolve));
    let abandonedFrom = Number.POSITIVE_INFINITY;
    let making = -1;
    const maker = {
      generate: async (chunk: number, _pcm: Int16Array, steps = 2): Promise<GeneratedChunk | undefined> => {
        making = chunk;
        abandonedFrom = Number.POSITIVE_INFINITY;
        const values = new Float32Array(steps === 0 ? 0 : 3).fill(this.#rollbacks * 1000 + chunk);
        await wait((this.#options.scoreMs * steps) / 2);
        making = -1;
        return chunk >= abandonedFrom ? undefined : { values, steps };
      },
      rollback: (fromChunk: number) => {
        this.#rollbacks += 1;
        if (making >= fromChunk) abandonedFrom = fromChunk;
      },
      dispose: () => {},
    };
    this.#score.open({ sessionId, epoch: 0, unpaced: false, ...timing }, maker, new RollingPercentiles());
    let decoding = -1;
    let givenUp = false;
    const decoder = {
      decode: async (chunk: number, values: Float32Array): Promise<DecodedChunk | undefined> => {
        decoding = chunk;
        givenUp = false;
        await wait(this.#options.decodeMs);
        decoding = -1;
        if (givenUp) return undefined;
        const marker = values[0] as number;
        const picture = new Uint8Array(PICTURE_BYTES).fill(0);
        picture.set([Math.floor(marker / 1000)]);
        return { frames: Array.from({ length: 12 }, () => picture), missing: 0 };
      },
      rollback: (fromChunk: number) => {
        if (decoding >= fromChunk) givenUp = true;
      },
      dispose: () => {},
    };
    const size = { width: SIDE, height: SIDE, cost: 1 };
    this.#decode.open({ sessionId, epoch: 0, queueChunks: 16, size }, decoder, new RollingPercentiles());
  }

  #wake(ms: number, resolve: () => void): void {
    this.#due.push({ atMs: this.#nowMs + ms, deliver: resolve });
    this.#due.sort((a, b) => a.atMs - b.atMs);
  }

  async #makeChunk(): Promise<void> {
    if (this.#working.score) return;
    this.#working.score = true;
    const output = await this.#score.step();
    this.#working.score = false;
    if (output?.type !== 'latent') return;
    const bytes = encodeLatent(output.message);
    this.#send('score>decode', () => void this.#decode.latent(decodeLatent(bytes)));
  }

  async #decodeChunk(): Promise<void> {
    if (this.#working.decode) return;
    this.#working.decode = true;
    for await (const output of this.#decode.step()) {
      if (output.type !== 'frame') continue;
      const { epoch, chunk, i420, held } = output.message;
      if (!held) this.#made.set(`${epoch}/${chunk}`, i420[0] ?? 0);
      const bytes = encodeFrame(output.message);
      this.#send('decode>egress', () => this.#handlers.get('frame')?.(bytes));
    }
    this.#working.decode = false;
  }

  /** One event, two subscribers: each gets it in its own time. */
  #flush(flush: Flush | undefined): void {
    if (flush === undefined) return;
    const { epoch, fromChunk } = flush;
    const bytes = encodeEvent({
      id: `virtual.${epoch}`,
      sessionId: this.sessionId,
      type: 'flush',
      ...flush,
    });
    this.#send('score>decode', () => void this.#decode.flush(this.sessionId, epoch, fromChunk));
    const rollbacks = this.#rollbacks;
    this.#send('score>egress', () => {
      this.#handlers.get('event')?.(bytes);
      this.#send('player', () => this.flushed.push({ atMs: this.#nowMs, flush, rollbacks }));
    });
  }

  #openEgress(metrics: ReturnType<typeof createEgressMetrics>): EgressSession {
    const bus = {
      subscribe: (stream: string, _sid: string, on: (payload: Uint8Array) => void) => {
        this.#handlers.set(stream, on);
        return { unsubscribe: () => this.#handlers.delete(stream) };
      },
      subscribeEvents: (_sid: string, on: (event: MeshEvent) => void) => {
        this.#handlers.set('event', (payload) => on(decodeEvent(payload)));
        return { unsubscribe: () => this.#handlers.delete('event') };
      },
      publish: (_stream: string, _sid: string, payload: Uint8Array) =>
        this.#send('egress>score', () => this.#score.playhead(decodePlayhead(payload))),
      publishEvent: () => {},
      onReconnect: () => ({ unsubscribe: () => {} }),
    } as unknown as Bus;
    return new EgressSession({
      sessionId: this.sessionId,
      epoch: 0,
      fps: 25,
      shape: { width: SIDE, height: SIDE, samples: 960 },
      creditChunks: 2,
      connectTimeoutMs: PATIENCE_MS,
      goneMs: PATIENCE_MS,
      bus,
      log: createLogger({ service: 'test', instanceId: 'test', level: 'silent', pretty: false }),
      metrics,
    });
  }

  #openSink(metrics: ReturnType<typeof createEgressMetrics>): WebrtcSink {
    const host: ViewerHost = {
      open: async (_peerId, _sdp, _setup, listener) => {
        this.#peer = listener;
        return 'answer';
      },
      ice: async () => '',
      post: (_peerId, message) => {
        if (message.type === 'frame') this.#mark(message.frame);
        this.#send('player', () => {
          if (message.type === 'frame') return this.#playout.push(message.frame);
          const serials = this.#playout.flush(message.epoch, message.fromChunk);
          if (serials.length > 0) this.#send('viewer', () => this.#peer?.onMessage({ type: 'discarded', serials }));
        });
        return true;
      },
      close: async () => {},
    };
    const setup = { width: SIDE, height: SIDE, fps: 25, sampleRateHz: 24_000 };
    return new WebrtcSink({
      session: this.#egress,
      host,
      metrics,
      setup,
      playoutFrames: 6,
      maxKbps: 500,
      startKbps: 100,
    });
  }
}
