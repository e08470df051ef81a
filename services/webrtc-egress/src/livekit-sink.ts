import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { MeshError, type Reason } from '@talkmesh/contracts';
import type { Logger } from '@talkmesh/service-kit';
import type { FromRoom, RoomEnd, RoomHost, RoomState } from '@talkmesh/webrtc';
import { agentReportOf, type FromAgent, type SpeechReport } from './agent-messages.js';
import type { AgentSpeech } from './agent-speech.js';
import type { EgressMetrics } from './metrics.js';
import { RemotePlayout } from './remote-playout.js';
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
  readonly log: Logger;
}

/** How long the opening of a session waits for the join, and a little longer for the answer. */
const AWAIT_JOIN_MS = 5000;
const OPEN_DEADLINE_MS = 9000;
const CRASH_PAUSE_MS = 200;

const ENDINGS: Readonly<Record<RoomEnd, { readonly reason: Reason; readonly message: string }>> = {
  removed: { reason: 'ROOM_REFUSED', message: 'the avatar was removed from its LiveKit room' },
  'room-closed': { reason: 'ROOM_REFUSED', message: 'the LiveKit room was closed' },
  replaced: {
    reason: 'ROOM_REFUSED',
    message: 'another participant joined the LiveKit room with the identity of the avatar',
  },
  refused: {
    reason: 'ROOM_REFUSED',
    message: "the LiveKit server no longer accepts the avatar's token; give it a longer lifetime",
  },
  unreachable: { reason: 'ROOM_UNREACHABLE', message: 'the LiveKit room could not be joined again in time' },
};

/** Sends a session to a LiveKit room as one participant, encoded once for all who watch. The playout clock is in the child process. */
export class LivekitSink implements Sink {
  readonly #options: LivekitSinkOptions;
  #roomId = '';
  #playout: RemotePlayout | undefined;
  /** The newest token: the server renews those of participants. */
  #token: string;
  #connected = false;
  #closed = false;
  #aloneTimer: NodeJS.Timeout | undefined;
  readonly #agent: AgentSpeech | undefined;
  #agentTimer: NodeJS.Timeout | undefined;

  constructor(options: LivekitSinkOptions) {
    this.#options = options;
    this.#token = options.token;
    if (options.setup.agent !== '') this.#agent = this.#followAgent();
  }

  /**
   * Joins the room. @param awaitsJoin whether to wait for the join; without, it is tried until `rejoinMs` has passed
   * @throws MeshError ROOM_REFUSED, ROOM_UNREACHABLE
   */
  async join(awaitsJoin: boolean): Promise<void> {
    const { session, host, metrics, setup, playoutFrames, url, rejoinMs } = this.#options;
    const roomId = randomUUID();
    this.#roomId = roomId;
    const post = (message: ToRoom): boolean => host.post(roomId, message);
    this.#playout = new RemotePlayout({ session, metrics, sink: 'livekit', playoutFrames, post });
    const ifCurrent =
      <T extends unknown[]>(handle: (...values: T) => void) =>
      (...values: T): void => {
        if (roomId === this.#roomId && !this.#closed) handle(...values);
      };
    await host.open(
      roomId,
      { url, token: this.#token, rejoinMs, awaitJoinMs: awaitsJoin ? AWAIT_JOIN_MS : 0, setup },
      {
        onState: ifCurrent((state: RoomState, end?: string) => this.#changed(state, end as RoomEnd | undefined)),
        onMessage: ifCurrent((message: FromRoom<FromRoomPeer>) => this.#receive(message)),
        onLost: ifCurrent(() => this.#crashed()),
      },
      { deadlineMs: OPEN_DEADLINE_MS },
    );
  }

  pump(): void {
    if (this.#connected) this.#playout?.pump();
  }

  flush(epoch: number, fromChunk: number): void {
    this.#playout?.flush(epoch, fromChunk);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#aloneTimer);
    clearTimeout(this.#agentTimer);
    this.#count(false);
    await this.#options.host.close(this.#roomId);
  }

  #changed(state: RoomState, end: RoomEnd | undefined): void {
    const { session } = this.#options;
    this.#count(state === 'connected');
    // Whether the room is empty is known only while it is joined.
    if (state !== 'connected') clearTimeout(this.#aloneTimer);
    if (state !== 'connected') this.#agentIsHere();
    if (state === 'connected') session.watch.connected();
    else if (state === 'disconnected') session.watch.lost('disconnected');
    else if (end !== undefined) this.#leave(end, ENDINGS[end]);
    this.pump();
  }

  #receive(message: FromRoom<FromRoomPeer>): void {
    if (message.type === 'token') this.#token = message.token;
    else if (message.type === 'participants') this.#watchCompany(message.identities);
    else if (message.body.type === 'agent') this.#hearAgent(message.body.message);
    else this.#playout?.receive(message.body);
    this.pump();
  }

  #followAgent(): AgentSpeech {
    const { session, host, setup, takeOver, log } = this.#options;
    return session.followAgent({
      takeOver,
      mutes: false,
      report: (said: SpeechReport) => {
        const report = agentReportOf(said, Date.now());
        if (report !== undefined) host.post(this.#roomId, { type: 'report', report });
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
    void this.#joinAgain();
  }

  async #joinAgain(): Promise<void> {
    while (!this.#closed) {
      await sleep(CRASH_PAUSE_MS, undefined, { ref: false });
      if (this.#closed) return;
      try {
        await this.join(false);
        return;
      } catch (thrown) {
        if (MeshError.from(thrown).reason !== 'PEER_LOST') this.#leave('unreachable', ENDINGS.unreachable);
      }
    }
  }

  #leave(cause: string, failure: { readonly reason: Reason; readonly message: string }): void {
    this.#options.session.failed(failure.reason, failure.message);
    this.#options.session.watch.left(cause);
  }

  #count(connected: boolean): void {
    if (this.#connected !== connected) this.#options.metrics.viewers.inc(connected ? 1 : -1);
    this.#connected = connected;
  }
}
