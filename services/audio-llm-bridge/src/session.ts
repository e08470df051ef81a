import { MeshError, type SessionChoices } from '@talkmesh/contracts';
import {
  type Bus,
  HeldInlet,
  type Logger,
  RollingPercentiles,
  type SessionStats,
  type Subscription,
  type Trail,
  trailOf,
  waitAtMost,
} from '@talkmesh/service-kit';
import { Conversation, MAX_RUNNING_TURNS } from './conversation.js';
import type {
  ConversationInput,
  ConversationOptions,
  ConversationOutput,
  InputCommand,
} from './conversation-messages.js';
import { subscribeInbound } from './inbound.js';
import type { BridgeMetrics } from './metrics.js';
import { Outbound } from './outbound.js';
import type { Provider, ProviderOutput, ProviderSession, ToolResult, Utterance } from './providers/provider.js';
import { Speaker } from './speaker.js';
import { readBackConversation } from './takeover.js';
import { ToolCalls } from './tool-calls.js';
import type { SpeechSynthesizer } from './tts/synthesizer.js';
import { TurnTraces } from './turn-traces.js';
import { TurnWait } from './turn-wait.js';

export interface BridgeSessionOptions {
  readonly sessionId: string;
  readonly epoch: number;
  readonly choices: SessionChoices;
  /** The session's own key for the provider; empty: the deployment's. */
  readonly key: string;
  /** Whether another bridge led this session before. */
  readonly takeOver: boolean;
  readonly provider: Provider;
  readonly conversation: Omit<ConversationOptions, 'provider'>;
  /** How long a tool call waits for its answer, milliseconds. */
  readonly toolDeadlineMs: number;
  readonly tts: SpeechSynthesizer;
  readonly bus: Bus;
  readonly log: Logger;
  readonly metrics: BridgeMetrics;
}

/** How long a hand-over waits for typed lines that are still being synthesised. */
const RELEASE_DEADLINE_MS = 1500;

const isTakeover = (input: ConversationInput): boolean =>
  input.kind === 'event' && input.event.type === 'flush' && input.event.cause === 'takeover';

/** One session. Messages from NATS and outputs of the provider go into its `Conversation`; this class carries out what that decides. */
export class BridgeSession implements AsyncDisposable {
  readonly #options: BridgeSessionOptions;
  readonly #log: Logger;
  readonly #conversation: Conversation;
  readonly #outbound: Outbound;
  readonly #speaker: Speaker;
  readonly #tools: ToolCalls;
  readonly #abort = new AbortController();
  readonly #replies = new RollingPercentiles();
  #provider: ProviderSession | undefined;
  #inbound: Disposable | undefined;
  #reconnection: Subscription | undefined;
  #queue: { readonly input: ConversationInput; readonly trail: Trail }[] = [];
  #isHandling = false;
  /** Whether another bridge continues the session. */
  #isMoving = false;
  #decision: NodeJS.Timeout | undefined;
  #userStoppedAtMs: number | undefined;
  readonly #wait = new TurnWait();
  readonly #traces: TurnTraces;
  /** Of what is being handled; undefined between inputs. */
  #trail: Trail | undefined;
  /** Of the newest event that the user has stopped speaking. */
  #stopped: Trail | undefined;
  #textCount = 0;
  #counts = { in: 0, out: 0, cutTurns: 0 };

  private constructor(options: BridgeSessionOptions) {
    this.#options = options;
    this.#log = options.log.child({ sessionId: options.sessionId });
    this.#conversation = new Conversation({ ...options.conversation, provider: options.provider }, options.epoch);
    this.#outbound = new Outbound(options.bus, options.sessionId);
    this.#traces = new TurnTraces(options.sessionId, options.provider.name);
    this.#speaker = new Speaker(options.tts, (output) => this.#onOutput(output));
    this.#tools = new ToolCalls({
      deadlineMs: options.toolDeadlineMs,
      tell: (body) => this.#carryOut({ kind: 'event', epoch: this.#conversation.epoch, turn: 0, body }),
      answer: (result) => this.#provider?.answerTool?.(result),
    });
  }

  static async open(options: BridgeSessionOptions): Promise<BridgeSession> {
    const session = new BridgeSession(options);
    try {
      await session.#open();
      return session;
    } catch (error) {
      await session[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #open(): Promise<void> {
    const { sessionId, bus, takeOver } = this.#options;
    const inlet = new HeldInlet();
    const handle = inlet.hold((input: ConversationInput, trail: Trail) => this.#handle(input, trail));
    this.#inbound = subscribeInbound(bus, sessionId, handle);
    this.#reconnection = bus.onReconnect(() => this.#republish());
    await bus.flush();
    const history = takeOver ? await this.#takeOver() : [];
    await this.#openProvider(history);
    inlet.start();
  }

  async #openProvider(history: readonly Utterance[]): Promise<void> {
    const { sessionId, provider, choices, key, takeOver: isTakeover } = this.#options;
    const { signal } = this.#abort;
    const options = { sessionId, choices, key, isTakeover, history, signal, log: this.#log };
    this.#provider = await provider
      .open(options, (output) => this.#onOutput(output))
      .catch((thrown: unknown) => {
        this.#countFailure(MeshError.from(thrown));
        throw thrown;
      });
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

  /**
   * Speaks a text. Resolves with its first sound, or when an interrupt cancels it before.
   * @throws MeshError RATE_LIMITED, or what SpeechSynthesizer.speak throws
   */
  async say(text: string, signal: AbortSignal): Promise<{ turn: number; cancelled: boolean }> {
    this.#textCount += 1;
    const response = `text-${this.#textCount}`;
    const { turn, outputs } = this.#conversation.beginText(response);
    for (const output of outputs) this.#carryOut(output);
    if (turn === undefined)
      throw new MeshError(
        'RATE_LIMITED',
        `${MAX_RUNNING_TURNS} turns already wait to be spoken; retry after a turn.finished event`,
      );
    const { provider, choices } = this.#options;
    const voice = provider.voices === 'text-to-speech' ? choices.voice : '';
    const heard = await this.#speaker.say({ response, text, voice }, signal);
    return { turn, cancelled: !heard };
  }

  /** @returns false when there was no turn to cut and no answer to give up */
  interrupt(): boolean {
    const outputs = this.#conversation.interrupt(performance.now());
    for (const output of outputs) this.#carryOut(output);
    return outputs.some(({ kind }) => kind === 'cancel');
  }

  /** @returns false when the session was already paused */
  pause(): boolean {
    return this.#setPaused(true);
  }

  /** @returns false when the session was not paused */
  resume(): boolean {
    return this.#setPaused(false);
  }

  /** Begins, ends or drops what the user says. @returns false when there is nothing to do. @throws MeshError ARGUMENT_INVALID without push-to-talk */
  input(command: InputCommand): boolean {
    const { done, outputs } = this.#conversation.input(command, performance.now());
    for (const output of outputs) this.#carryOut(output);
    this.#waitForDecision();
    return done;
  }

  /** Answers a tool call of the model. @throws MeshError NOT_FOUND, ARGUMENT_INVALID */
  answerTool(result: ToolResult): void {
    this.#tools.answer(result);
  }

  #setPaused(paused: boolean): boolean {
    const changed = this.#conversation.paused !== paused;
    for (const output of this.#conversation.pause(paused)) this.#carryOut(output);
    return changed;
  }

  /**
   * Prepares a hand-over: finishes the typed lines that are being synthesised, then publishes all speech that waits, because the next
   * bridge can only read back what was published.
   */
  async release(): Promise<void> {
    this.#isMoving = true;
    await waitAtMost(this.#speaker.settled(), RELEASE_DEADLINE_MS);
    for (const output of this.#conversation.release()) this.#carryOut(output);
  }

  /**
   * Republishes what may not have arrived: after a reconnection to NATS, and when a score worker takes over a paused session, because
   * a pause may last longer than NATS retains speech.
   */
  #republish(): void {
    this.#outbound.republish((turn, publish) => this.#traces.run(turn, publish));
    for (const output of this.#conversation.repeatPauseOrResume()) this.#carryOut(output);
  }

  /** @returns what was said so far */
  async #takeOver(): Promise<readonly Utterance[]> {
    const { bus, sessionId } = this.#options;
    const { state, traces } = await readBackConversation(bus, sessionId);
    for (const [turn, context] of traces) this.#traces.adopt(turn, context);
    this.#log.info({ turns: state.turns, unfinished: state.unfinished.length }, 'conversation taken over');
    for (const output of this.#conversation.takeOver(state)) this.#carryOut(output);
    return state.history;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#reconnection?.unsubscribe();
    this.#inbound?.[Symbol.dispose]();
    this.#abort.abort();
    clearTimeout(this.#decision);
    this.#tools[Symbol.dispose]();
    await this.#speaker[Symbol.asyncDispose]();
    this.#traces.close(this.#isMoving ? 'moved' : 'interrupted');
    await this.#provider?.[Symbol.asyncDispose]();
  }

  #onOutput(output: ProviderOutput): void {
    if (this.#abort.signal.aborted) return;
    const { metrics, provider } = this.#options;
    if (output.kind === 'opaque') metrics.opaque.inc({ provider: provider.name, type: metrics.eventType(output.type) });
    if (output.kind === 'timing')
      metrics.providerSeconds.observe({ provider: provider.name, step: output.step }, output.ms / 1000);
    if (output.kind === 'tool.call') this.#tools.begin(output.call);
    if (output.kind === 'tool.cancelled') this.#tools.cancel(output.id);
    if (output.kind === 'failed') {
      this.#countFailure(output.error);
      this.#log.warn({ err: output.error }, 'provider or text-to-speech failed');
    }
    this.#handle({ kind: 'output', output });
  }

  #countFailure({ reason }: MeshError): void {
    const { metrics, provider } = this.#options;
    metrics.providerErrors.inc({ provider: provider.name, reason });
  }

  /** A provider may emit outputs from inside `push`. They are queued until the current input is done, so that outputs stay in order. */
  #handle(input: ConversationInput, trail = trailOf()): void {
    this.#queue.push({ input, trail });
    if (this.#isHandling) return;
    this.#isHandling = true;
    try {
      for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
        this.#trail = next.trail;
        this.#step(next.input, next.trail);
      }
      this.#waitForDecision();
    } finally {
      this.#isHandling = false;
      this.#trail = undefined;
    }
  }

  #step(input: ConversationInput, trail: Trail): void {
    if (input.kind === 'mic') this.#counts.in += 1;
    if (input.kind === 'event' && input.event.type === 'speech.stopped') this.#stopped = trail;
    if (input.kind === 'playhead') {
      this.#outbound.heard(input.playhead);
      this.#traces.playhead(input.playhead, trail);
    }
    for (const output of this.#conversation.handle(input, performance.now())) this.#carryOut(output);
    if (isTakeover(input) && this.#conversation.silent) this.#republish();
  }

  /** The conversation decides even when neither audio nor playheads arrive. */
  #waitForDecision(): void {
    clearTimeout(this.#decision);
    const { decidesAtMs } = this.#conversation;
    if (decidesAtMs === undefined || this.#abort.signal.aborted) return;
    this.#decision = setTimeout(() => this.#handle({ kind: 'time' }), Math.max(1, decidesAtMs - performance.now() + 1));
  }

  #carryOut(output: ConversationOutput): void {
    if (output.kind === 'speech') {
      this.#counts.out += 1;
      this.#wait.sent(output.turn, performance.now());
      this.#traces.speech(output.turn, (ledger) => this.#outbound.speech(output, ledger));
    } else if (output.kind === 'event') this.#tell(output);
    else if (output.kind === 'input') {
      const { kind } = output.input;
      if (kind === 'user.stopped' || kind === 'user.spoke') {
        this.#userStoppedAtMs = performance.now();
        this.#traces.heard(this.#stopped ?? this.#trail ?? trailOf());
        this.#stopped = undefined;
      }
      if (kind === 'user.withdrawn') {
        this.#userStoppedAtMs = undefined;
        this.#traces.heard(undefined);
      }
      this.#provider?.push(output.input);
    } else if (output.source === 'text') this.#speaker.cancel(output.cut.response);
    else this.#provider?.cancel(output.cut);
  }

  /** Publishes an event, in the span of its turn. */
  #tell(output: Extract<ConversationOutput, { kind: 'event' }>): void {
    const { turn, body } = output;
    if (body.type === 'turn.queued') this.#traces.begin(turn, body.source, this.#trail);
    this.#traces.run(turn, () => {
      this.#measure(output);
      this.#outbound.event(output);
    });
    if (body.type === 'turn.truncated') this.#traces.truncated(turn);
    if (body.type === 'turn.finished')
      this.#traces.end(turn, { ...body, outcome: body.interrupted ? 'interrupted' : 'played' });
    if (body.type === 'turn.cancelled') this.#traces.end(turn, { outcome: 'cancelled' });
  }

  #measure({ turn, body }: Extract<ConversationOutput, { kind: 'event' }>): void {
    const { metrics, provider } = this.#options;
    if (body.type === 'tool.finished') metrics.toolCalls.inc({ provider: provider.name, outcome: body.outcome });
    const waitedMs = this.#wait.event(turn, body.type, performance.now());
    if (waitedMs !== undefined) metrics.turnWaitSeconds.observe(waitedMs / 1000);
    const stages = body.type === 'turn.started' ? this.#traces.started(turn) : undefined;
    if (waitedMs !== undefined)
      for (const [stage, ms] of stages ?? []) metrics.turnStageSeconds.observe({ stage }, ms / 1000);
    if (body.type === 'turn.finished' || body.type === 'turn.cancelled') {
      const outcome = body.type === 'turn.cancelled' ? 'cancelled' : body.interrupted ? 'interrupted' : 'played';
      metrics.turns.inc({ provider: provider.name, outcome });
      if (outcome !== 'played') this.#counts.cutTurns += 1;
    }
    if (body.type !== 'turn.queued' || body.source !== 'voice' || this.#userStoppedAtMs === undefined) return;
    const replyMs = performance.now() - this.#userStoppedAtMs;
    this.#userStoppedAtMs = undefined;
    this.#replies.add(replyMs);
    metrics.replySeconds.observe({ provider: provider.name }, replyMs / 1000);
  }
}
