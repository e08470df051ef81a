import { type AudioMessage, decodeAudio, MeshError, type MeshEvent, sentence } from '@talkmesh/contracts';
import type { Bus, Logger } from '@talkmesh/service-kit';
import { type IceServers, parseOffer } from '@talkmesh/webrtc';
import type { Opener } from '../auth.js';
import type { StreamedEvent } from '../event-stream.js';
import { newSession } from '../new-session.js';
import type { Sessions } from '../sessions.js';
import type { WorkerDirectory } from '../worker-directory.js';
import { type ClientEvent, EventRefusal } from './client-events.js';
import { InputAudio } from './input-audio.js';
import { type OutEvent, ResponseWriter } from './response-writer.js';
import {
  describeSession,
  type RealtimeConfig,
  readClientSdp,
  sessionBody,
  withSettings,
  writeServerSdp,
} from './session-config.js';

export interface RealtimeDependencies {
  readonly sessions: Sessions;
  readonly directory: WorkerDirectory;
  readonly bus: Pick<Bus, 'subscribe'>;
  readonly ice: Pick<IceServers, 'own'>;
  readonly maxSessionMs: number;
  readonly checkMs: number;
  readonly log: Logger;
}

/**
 * The caller: a key or grant opens a session of its own, a token joins the session that it is for. The session may be opened long after
 * the connection, so `identify` says who the caller is by then. It rejects with MeshError TOKEN_EXPIRED, TOKEN_INVALID.
 */
export type RealtimeCaller = { readonly identify: () => Promise<Opener> } | { readonly sessionId: string };

export interface RealtimeOptions extends RealtimeDependencies {
  readonly id: string;
  readonly caller: RealtimeCaller;
  readonly config: RealtimeConfig;
  readonly send: (event: OutEvent | ErrorEvent) => void;
  /** The session of the mesh is over. */
  readonly onEnd: (cause: string) => void;
}

export interface ErrorEvent {
  readonly type: 'error';
  readonly error: {
    readonly type: 'invalid_request_error' | 'server_error';
    readonly code: string;
    readonly message: string;
    readonly param: string | null;
    readonly event_id: string | null;
  };
}

const BYTES_PER_SAMPLE = 2;
/** Shorter utterances are refused, as the real service does, milliseconds. */
const SHORTEST_COMMIT_MS = 100;

/** One connection: client events in, a session of the mesh behind it, server events out. The session is opened when it is first needed. */
export class RealtimeSession {
  readonly #options: RealtimeOptions;
  readonly #writer: ResponseWriter;
  readonly #closed = new AbortController();
  readonly #stops: (() => void)[] = [];
  #config: RealtimeConfig;
  #sessionId: string | undefined;
  #input: InputAudio | undefined;
  #hasViewer = false;
  #appendedMs = 0;
  #committedMs = 0;
  /** Whether something was committed or answered that the provider answers by itself. */
  #isAnswerDue = false;

  constructor(options: RealtimeOptions) {
    this.#options = options;
    this.#config = options.config;
    this.#writer = new ResponseWriter({
      send: options.send,
      writesAudio: () => this.#config.alwaysWritesAudio || !this.#hasViewer,
    });
  }

  begin(): void {
    this.#options.send({ type: 'session.created', session: this.#describe() as never });
  }

  /** Ends the session of the mesh if this connection opened it. */
  async close(cause: string): Promise<void> {
    if (this.#closed.signal.aborted) return;
    this.#closed.abort(new MeshError('CANCELLED', 'the client disconnected'));
    this.#input?.close();
    for (const stop of this.#stops) stop();
    if (this.#sessionId === undefined || !('identify' in this.#options.caller)) return;
    await this.#options.sessions.end(this.#sessionId, { reason: 'ended', cause }).catch((err: unknown) => {
      this.#options.log.warn(
        { err, sessionId: this.#sessionId },
        'a realtime session was not ended; the reaper ends it',
      );
    });
  }

  /** Handles one event; call it again only when it has resolved. Never rejects. */
  async receive(event: ClientEvent, eventId: string | null): Promise<void> {
    try {
      await this.#handle(event);
    } catch (thrown) {
      this.refuse(thrown, eventId);
    }
  }

  refuse(thrown: unknown, eventId: string | null): void {
    if (this.#closed.signal.aborted) return;
    const error = MeshError.from(thrown);
    const refusal = error instanceof EventRefusal ? error : undefined;
    const isServers = error.retryable || error.reason === 'INTERNAL';
    this.#options.send({
      type: 'error',
      error: {
        type: isServers ? 'server_error' : 'invalid_request_error',
        code: refusal?.code ?? error.reason.toLowerCase(),
        message: sentence(error.reason === 'INTERNAL' ? 'the gateway failed; its log says why' : error.message),
        param: refusal?.param ?? null,
        event_id: eventId,
      },
    });
    if (error.reason === 'INTERNAL') this.#options.log.error({ err: thrown }, 'a realtime event failed');
  }

  async #handle(event: ClientEvent): Promise<void> {
    switch (event.type) {
      case 'session.update':
        this.#config = withSettings(this.#config, event.session, this.#sessionId !== undefined);
        this.#options.send({ type: 'session.updated', session: this.#describe() as never });
        break;
      case 'input_audio_buffer.append':
        await this.#append(event.audio);
        break;
      case 'input_audio_buffer.commit':
        this.#commit();
        break;
      case 'input_audio_buffer.clear':
        this.#committedMs = this.#appendedMs;
        this.#input?.clear();
        this.#options.send({ type: 'input_audio_buffer.cleared' });
        break;
      case 'output_audio_buffer.clear':
        await this.#cut();
        break;
      case 'conversation.item.create':
        await this.#createItem(event.item);
        break;
      case 'conversation.item.truncate':
        await this.#truncate(event);
        break;
      case 'response.create':
        await this.#respond(event.response?.pre_generated_assistant_message?.content);
        break;
      case 'response.cancel':
        if (!this.#writer.isActive)
          throw new EventRefusal('response_cancel_not_active', 'no response is active, so there is nothing to cancel');
        await this.#cut();
        break;
      case 'session.avatar.connect':
        await this.#connectAvatar(event.client_sdp);
        break;
    }
  }

  async #append(base64: string): Promise<void> {
    const pcm = Buffer.from(base64, 'base64');
    if (pcm.length === 0 || pcm.length % BYTES_PER_SAMPLE !== 0)
      throw new EventRefusal('invalid_value', 'audio is not base64 of whole PCM16 samples', 'audio');
    const input = await this.#openInput();
    input.push(pcm, this.#config.inputRateHz);
    this.#appendedMs += this.#msOf(pcm.length);
  }

  /** Ends the user's turn. The provider has heard it already and answers by itself. */
  #commit(): void {
    const ms = this.#appendedMs - this.#committedMs;
    if (ms < SHORTEST_COMMIT_MS)
      throw new EventRefusal(
        'input_audio_buffer_commit_empty',
        `the buffer has ${Math.round(ms)} ms of audio; commit at least ${SHORTEST_COMMIT_MS} ms`,
      );
    this.#committedMs = this.#appendedMs;
    this.#isAnswerDue = true;
    this.#input?.endTurn();
    // Otherwise the end of the user's speech, which follows, is the commit.
    if (!this.#config.detectsTurns) this.#writer.committed();
  }

  /** Says given words. Any other answer comes by itself, after the end of the user's turn or a tool's result. */
  async #respond(words: readonly { readonly text?: string | undefined }[] | undefined): Promise<void> {
    const text = (words ?? [])
      .map((part) => part.text ?? '')
      .join(' ')
      .trim();
    if (text === '' && !this.#isAnswerDue)
      throw new EventRefusal(
        'nothing_to_answer',
        'the user has said nothing new; append and commit audio, or send pre_generated_assistant_message to have words spoken',
      );
    this.#isAnswerDue = false;
    if (text === '') return;
    const id = await this.#open();
    // It resolves at the first sound; events that follow must not wait for that.
    this.#options.sessions.say(id, text, this.#closed.signal).catch((thrown: unknown) => this.refuse(thrown, null));
  }

  async #createItem(item: Extract<ClientEvent, { type: 'conversation.item.create' }>['item']): Promise<void> {
    if (item.type !== 'function_call_output')
      throw new EventRefusal(
        'unsupported_item',
        'only function_call_output can be added: the providers of this gateway hear the user and keep the conversation themselves',
        'item.type',
      );
    const { call_id = '', output = '' } = item;
    await this.#options.sessions.answerTool(await this.#open(), call_id, output, this.#closed.signal);
    this.#isAnswerDue = true;
    const added = { id: item.id ?? `item_output_${call_id}`, type: 'function_call_output', call_id, output } as const;
    this.#options.send({ type: 'conversation.item.added', item: added, previous_item_id: null });
  }

  /** The position that counts is what the mesh played; a client that plays the audio itself may have heard less. */
  async #truncate({
    item_id,
    audio_end_ms,
  }: Extract<ClientEvent, { type: 'conversation.item.truncate' }>): Promise<void> {
    const response = this.#writer.find(item_id);
    if (response === undefined)
      throw new EventRefusal('item_not_found', 'no item of the avatar has this id', 'item_id');
    const sentMs = this.#writer.sentMsOf(response);
    if (audio_end_ms > sentMs)
      throw new EventRefusal(
        'invalid_value',
        `audio_end_ms is ${audio_end_ms}, and the item has ${sentMs} ms`,
        'audio_end_ms',
      );
    if (response.state === 'over') this.#writer.truncated(response, audio_end_ms);
    else await this.#cut();
  }

  async #cut(): Promise<void> {
    if (this.#sessionId === undefined) return;
    this.#writer.cancelling();
    await this.#options.sessions.command(this.#sessionId, 'interrupt', this.#closed.signal);
  }

  async #connectAvatar(clientSdp: string): Promise<void> {
    const { sdp, isEncoded } = readClientSdp(clientSdp);
    const offer = parseOffer(sdp, ['video', 'audio']).sdp;
    const id = await this.#open();
    const answer = await this.#options.sessions.offer(id, 'webrtc-egress', offer, this.#closed.signal);
    this.#hasViewer = true;
    this.#options.send({ type: 'session.avatar.connecting', server_sdp: writeServerSdp(answer.sdp, isEncoded) });
  }

  async #openInput(): Promise<InputAudio> {
    const sessionId = await this.#open();
    const { sessions, directory, maxSessionMs } = this.#options;
    this.#input ??= new InputAudio({
      ...{ sessionId, maxSessionMs },
      client: async () => directory.clientsAt(await sessions.addressOf(sessionId, 'audio-ingest')).audio,
      onError: (error) => this.refuse(error, null),
    });
    return this.#input;
  }

  /** Opens or joins the session of the mesh, once. @returns its id */
  async #open(): Promise<string> {
    if (this.#sessionId !== undefined) return this.#sessionId;
    const { caller, sessions } = this.#options;
    const id =
      'identify' in caller ? await this.#create(caller.identify) : (await sessions.getLive(caller.sessionId)).id;
    this.#sessionId = id;
    if (this.#closed.signal.aborted) {
      if ('identify' in caller) await sessions.end(id, { reason: 'ended', cause: 'hung-up' });
      this.#closed.signal.throwIfAborted();
    }
    const speech = this.#options.bus.subscribe('speech', id, (payload) => this.#onSpeech(decodeAudio(payload)));
    this.#stops.push(() => speech.unsubscribe());
    const watch = { checkMs: this.#options.checkMs, lastEventId: undefined };
    const stop = await sessions.watch(id, watch, (event) => this.#onEvent(event));
    if (this.#closed.signal.aborted) stop();
    else this.#stops.push(stop);
    return id;
  }

  async #create(identify: () => Promise<Opener>): Promise<string> {
    const wanted = newSession(sessionBody(this.#config), await identify());
    return (await this.#options.sessions.create(wanted, this.#closed.signal)).id;
  }

  #onSpeech(message: AudioMessage): void {
    if (!this.#closed.signal.aborted) this.#writer.onSpeech(message);
  }

  #onEvent(event: StreamedEvent): void {
    if (event.type === 'session.snapshot' || this.#closed.signal.aborted) return;
    if (event.type === 'speech.started' && this.#config.detectsTurns)
      this.#writer.speechStarted(Math.round(this.#appendedMs));
    else if (event.type === 'speech.stopped' && this.#config.detectsTurns)
      this.#writer.speechStopped(Math.round(this.#appendedMs));
    else if (event.type === 'error') this.refuse(meshErrorOf(event), null);
    else if (event.type === 'stage.moved' && event.service === 'webrtc-egress') this.#viewerLost();
    else if (event.type === 'session.ended') this.#options.onEnd(event.cause);
    else this.#writer.onEvent(event);
  }

  #viewerLost(): void {
    this.#hasViewer = false;
    const message = 'the video moved to another worker; send session.avatar.connect with a new offer';
    this.refuse(new EventRefusal('avatar_connection_lost', message), null);
  }

  #msOf(bytes: number): number {
    return (bytes * 1000) / (BYTES_PER_SAMPLE * this.#config.inputRateHz);
  }

  #describe(): Record<string, unknown> {
    return describeSession(this.#options.id, this.#config, this.#options.ice.own(this.#options.id));
  }
}

function meshErrorOf({ reason, message }: Extract<MeshEvent, { type: 'error' }>): MeshError {
  return new EventRefusal(reason.toLowerCase(), message);
}
