import { MeshError } from '@talkmesh/contracts';
import {
  type Bus,
  type Logger,
  RollingPercentiles,
  type SessionStats,
  type Subscription,
  waitAtMost,
} from '@talkmesh/service-kit';
import { subscribeInbound } from './inbound.js';
import type { BridgeMetrics } from './metrics.js';
import { Outbound } from './outbound.js';
import type { Provider, ProviderOutput, ProviderSession } from './providers/provider.js';
import { recallConversation } from './resume.js';
import { Speaker } from './speaker.js';
import {
  Conversation,
  type ConversationOptions,
  MAX_RUNNING_TURNS,
  type StageInput,
  type StageOutput,
} from './stage.js';
import type { SpeechSynthesizer } from './tts/synthesizer.js';

export interface BridgeSessionOptions {
  readonly sessionId: string;
  readonly epoch: number;
  readonly voice: string;
  /** Take over what another bridge led. */
  readonly resume: boolean;
  readonly provider: Provider;
  readonly conversation: Omit<ConversationOptions, 'provider'>;
  readonly tts: SpeechSynthesizer;
  readonly bus: Bus;
  readonly log: Logger;
  readonly metrics: BridgeMetrics;
}

const RELEASE_MS = 1500;

const isTakeover = (input: StageInput): boolean =>
  input.kind === 'event' && input.event.type === 'flush' && input.event.cause === 'resume';

/** One session: NATS in -> stage -> provider, text-to-speech and NATS out. */
export class BridgeSession implements AsyncDisposable {
  readonly #options: BridgeSessionOptions;
  readonly #conversation: Conversation;
  readonly #outbound: Outbound;
  readonly #speaker: Speaker;
  readonly #abort = new AbortController();
  readonly #replies = new RollingPercentiles();
  #provider: ProviderSession | undefined;
  #inbound: Disposable | undefined;
  #reconnection: Subscription | undefined;
  #waiting: StageInput[] = [];
  #busy = false;
  #userStoppedAtMs: number | undefined;
  #lines = 0;
  #counts = { in: 0, out: 0, cutTurns: 0 };

  private constructor(options: BridgeSessionOptions) {
    this.#options = options;
    this.#conversation = new Conversation({ ...options.conversation, provider: options.provider }, options.epoch);
    this.#outbound = new Outbound(options.bus, options.sessionId);
    this.#speaker = new Speaker(options.tts, (output) => this.#onOutput(output));
  }

  static async open(options: BridgeSessionOptions): Promise<BridgeSession> {
    const session = new BridgeSession(options);
    const { sessionId, provider, bus } = options;
    session.#provider = await provider.open({ sessionId, signal: session.#abort.signal }, (output) =>
      session.#onOutput(output),
    );
    let deliver = (input: StageInput): void => void session.#waiting.push(input);
    session.#inbound = subscribeInbound(bus, sessionId, (input) => deliver(input));
    session.#reconnection = bus.onReconnect(() => session.#again());
    await bus.flush();
    if (options.resume) await session.#takeOver();
    deliver = (input) => session.#handle(input);
    return session;
  }

  get stats(): SessionStats {
    return {
      sessionId: this.#options.sessionId,
      epoch: this.#conversation.epoch,
      chunk: 0,
      itemsIn: this.#counts.in,
      itemsOut: this.#counts.out,
      dropped: this.#counts.cutTurns,
      p50Ms: this.#replies.p(0.5),
      p95Ms: this.#replies.p(0.95),
      late: 0,
    };
  }

  /** Speaks a text. @returns its turn. @throws MeshError RATE_LIMITED, TTS_UNAVAILABLE and the others of text-to-speech */
  async say(text: string, signal: AbortSignal): Promise<number> {
    this.#lines += 1;
    const response = `text-${this.#lines}`;
    const turn = this.#conversation.beginText(response);
    if (turn === undefined)
      throw new MeshError(
        'RATE_LIMITED',
        `${MAX_RUNNING_TURNS} turns wait to be spoken already; wait for turn.finished`,
      );
    await this.#speaker.say({ response, text, voice: this.#options.voice }, signal);
    return turn;
  }

  /** False when nothing was being said. */
  interrupt(): boolean {
    const outputs = this.#conversation.interrupt('command');
    for (const output of outputs) this.#carryOut(output);
    return outputs.some(({ kind }) => kind === 'cancel');
  }

  /** False when it was paused already. */
  pause(): boolean {
    return this.#setPaused(true);
  }

  /** False when it was not paused. */
  resume(): boolean {
    return this.#setPaused(false);
  }

  #setPaused(paused: boolean): boolean {
    const changes = this.#conversation.paused !== paused;
    for (const output of this.#conversation.pause(paused)) this.#carryOut(output);
    return changes;
  }

  /** Another bridge goes on: lines that are being made are waited for, and everything that waits is sent. */
  async release(): Promise<void> {
    await waitAtMost(this.#speaker.settled(), RELEASE_MS);
    for (const output of this.#conversation.release()) this.#carryOut(output);
  }

  /** NATS was away, or another score worker goes on with a pause that may be longer than speech is retained. */
  #again(): void {
    this.#outbound.again();
    for (const output of this.#conversation.pauseAgain()) this.#carryOut(output);
  }

  async #takeOver(): Promise<void> {
    const { bus, sessionId, log } = this.#options;
    const so = await recallConversation(bus, sessionId);
    log.info({ sessionId, turns: so.turns, unfinished: so.unfinished.length }, 'conversation taken over');
    for (const output of this.#conversation.resume(so)) this.#carryOut(output);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#reconnection?.unsubscribe();
    this.#inbound?.[Symbol.dispose]();
    this.#abort.abort();
    await this.#speaker[Symbol.asyncDispose]();
    await this.#provider?.[Symbol.asyncDispose]();
  }

  #onOutput(output: ProviderOutput): void {
    if (this.#abort.signal.aborted) return;
    const { log, metrics, provider } = this.#options;
    if (output.kind === 'opaque') {
      metrics.opaque.inc({ provider: provider.name, type: output.type });
      log.debug({ sessionId: this.#options.sessionId, type: output.type }, 'provider event without a meaning here');
    }
    if (output.kind === 'failed') log.warn({ err: output.error, sessionId: this.#options.sessionId }, 'speech failed');
    this.#handle({ kind: 'output', output });
  }

  /** A provider may answer inside `push`: what it says then waits its turn, so that outputs stay in order. */
  #handle(input: StageInput): void {
    this.#waiting.push(input);
    if (this.#busy) return;
    this.#busy = true;
    try {
      for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
        if (next.kind === 'mic') this.#counts.in += 1;
        if (next.kind === 'playhead') this.#outbound.heard(next.playhead);
        for (const output of this.#conversation.handle(next, performance.now())) this.#carryOut(output);
        if (isTakeover(next) && this.#conversation.paused) this.#again();
      }
    } finally {
      this.#busy = false;
    }
  }

  #carryOut(output: StageOutput): void {
    if (output.kind === 'speech') {
      this.#counts.out += 1;
      this.#outbound.speech(output);
    } else if (output.kind === 'event') {
      this.#measure(output.body);
      this.#outbound.event(output);
    } else if (output.kind === 'input') {
      if (output.input.kind === 'user.stopped') this.#userStoppedAtMs = performance.now();
      this.#provider?.push(output.input);
    } else if (output.source === 'text') this.#speaker.cancel(output.cut.response);
    else this.#provider?.cancel(output.cut);
  }

  #measure(body: Extract<StageOutput, { kind: 'event' }>['body']): void {
    const { metrics, provider } = this.#options;
    if (body.type === 'turn.finished') {
      metrics.turns.inc({ provider: provider.name, outcome: body.interrupted ? 'interrupted' : 'played' });
      if (body.interrupted) this.#counts.cutTurns += 1;
    }
    if (body.type !== 'turn.started' || body.source !== 'voice' || this.#userStoppedAtMs === undefined) return;
    const replyMs = performance.now() - this.#userStoppedAtMs;
    this.#userStoppedAtMs = undefined;
    this.#replies.add(replyMs);
    metrics.replySeconds.observe({ provider: provider.name }, replyMs / 1000);
  }
}
