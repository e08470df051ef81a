import type { MeshEvent } from '@talkmesh/contracts';
import type { Logger } from '@talkmesh/service-kit';
import { type RoomEnd, type RoomHost, RoomMember, type RoomState, roomFailure } from '@talkmesh/webrtc';
import { agentReportOf, type FromAgent, type SpeechReport } from './agent-messages.js';
import type { AgentSpeech } from './agent-speech.js';
import type { Flush } from './inbound.js';
import type { EgressMetrics } from './metrics.js';
import { RemotePlayout } from './remote-playout.js';
import type { RoomTexts } from './room-texts.js';
import type { EgressSession, Sink } from './session.js';
import type { FromRoomPeer, RoomSetup, ToRoom } from './viewer-messages.js';

export type EgressRoomHost = Pick<RoomHost<RoomSetup, ToRoom, FromRoomPeer>, 'open' | 'post' | 'close'>;

export interface LivekitSinkOptions {
  readonly session: EgressSession;
  readonly host: EgressRoomHost;
  readonly metrics: EgressMetrics;
  readonly setup: RoomSetup;
  readonly playoutFrames: number;
  /** ws:// or wss:// URL of the LiveKit server. */
  readonly url: string;
  /** Access token of the avatar's identity in its room. */
  readonly token: string;
  /** How long joins are tried, milliseconds. */
  readonly rejoinMs: number;
  /** The avatar leaves when it has been alone in its room for this long, milliseconds. */
  readonly aloneMs: number;
  /** The avatar leaves when the agent that speaks through it has been away for this long, milliseconds. */
  readonly agentGoneMs: number;
  readonly takeOver: boolean;
  /** Of a session that is taken over they know what was said before. */
  readonly texts: RoomTexts;
  readonly log: Logger;
}

/** Sends a session to a LiveKit room as one participant, encoded once for all who watch. The playout clock is in the child process. */
export class LivekitSink implements Sink {
  readonly #options: LivekitSinkOptions;
  readonly #member: RoomMember<RoomSetup, ToRoom, FromRoomPeer>;
  readonly #texts: RoomTexts;
  readonly #agent: AgentSpeech | undefined;
  #playout: RemotePlayout | undefined;
  #connected = false;
  #aloneTimer: NodeJS.Timeout | undefined;
  #agentTimer: NodeJS.Timeout | undefined;

  constructor(options: LivekitSinkOptions) {
    this.#options = options;
    const { session, metrics, playoutFrames, texts } = options;
    this.#texts = texts;
    const post = (message: ToRoom): boolean => this.#member.post(message);
    this.#member = new RoomMember({
      ...options,
      onJoining: () => {
        this.#playout = new RemotePlayout({ session, metrics, sink: 'livekit', playoutFrames, post });
      },
      onState: (state) => this.#changed(state),
      onMessage: (message) => this.#receive(message),
      onCompany: (identities) => this.#watchCompany(identities),
      onCrash: () => this.#crashed(),
      onEnd: (end) => this.#leave(end),
    });
    if (options.setup.agent !== '') this.#agent = this.#followAgent();
  }

  /** As `RoomMember.join`. @throws MeshError ROOM_REFUSED, ROOM_UNREACHABLE */
  join(awaitsJoin: boolean): Promise<void> {
    return this.#member.join(awaitsJoin);
  }

  pump(): void {
    if (this.#connected) this.#playout?.pump();
  }

  flush(flush: Flush): void {
    this.#playout?.flush(flush);
  }

  /** What participants may read of the session's events goes to the room as text. */
  event(event: MeshEvent): void {
    for (const text of this.#texts.after(event)) if (this.#connected) this.#member.post({ type: 'text', text });
  }

  async close(): Promise<void> {
    clearTimeout(this.#aloneTimer);
    clearTimeout(this.#agentTimer);
    this.#count(false);
    await this.#member.close();
  }

  #changed(state: RoomState): void {
    const { session } = this.#options;
    this.#count(state === 'connected');
    // Whether the room is empty is known only while it is joined.
    if (state !== 'connected') clearTimeout(this.#aloneTimer);
    if (state !== 'connected') this.#agentIsHere();
    if (state === 'connected') session.watch.connected();
    else if (state === 'disconnected') session.watch.lost('disconnected');
    this.pump();
  }

  #receive(message: FromRoomPeer): void {
    if (message.type === 'agent') this.#hearAgent(message.message);
    else this.#playout?.receive(message);
    this.pump();
  }

  #followAgent(): AgentSpeech {
    const { session, setup, takeOver, log } = this.#options;
    return session.followAgent({
      takeOver,
      mutes: false,
      report: (said: SpeechReport) => {
        const report = agentReportOf(said, Date.now());
        if (report !== undefined) this.#member.post({ type: 'report', report });
      },
      warn: (stream, what) => log.warn({ stream, agent: setup.agent }, what),
    });
  }

  #hearAgent(message: FromAgent): void {
    const { log, setup } = this.#options;
    const { agent } = setup;
    if (message.type === 'unanswered') {
      const { method, why } = message;
      // An agent that does not wait for the start does not know the method.
      log[method === 'lk.playback_started' ? 'debug' : 'warn'](
        { agent, method, why },
        'the agent did not take a report',
      );
      return;
    }
    // What it sends may come seconds before the server says that it is in the room.
    this.#agentIsHere();
    try {
      this.#agent?.receive(message);
    } catch (err) {
      log.warn({ err, agent }, 'a segment of the agent is dropped');
    }
  }

  #agentIsHere(): void {
    clearTimeout(this.#agentTimer);
    this.#agentTimer = undefined;
  }

  #watchCompany(identities: readonly string[]): void {
    const { session, setup, agentGoneMs } = this.#options;
    clearTimeout(this.#aloneTimer);
    this.#aloneTimer = undefined;
    if (setup.agent === '' || identities.includes(setup.agent)) this.#agentIsHere();
    else this.#agentTimer ??= setTimeout(() => session.watch.left('agent-gone'), agentGoneMs);
    if (identities.length > 0) return;
    this.#aloneTimer = setTimeout(() => session.watch.left('room-empty'), this.#options.aloneMs);
  }

  /** The child crashed. Unlike a viewer that sends offers, this side joins again by itself. */
  #crashed(): void {
    this.#count(false);
    const { session } = this.#options;
    session.restore();
    session.watch.lost('peer-lost');
  }

  #leave(end: RoomEnd): void {
    const { reason, message } = roomFailure(end, 'the avatar');
    this.#options.session.failed(reason, message);
    this.#options.session.watch.left(end);
  }

  #count(connected: boolean): void {
    if (this.#connected !== connected) this.#options.metrics.viewers.inc(connected ? 1 : -1);
    this.#connected = connected;
  }
}
