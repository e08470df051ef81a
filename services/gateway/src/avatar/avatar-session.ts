import { MeshError, type SessionRecord, SPEECH_RATE_HZ } from '@talkmesh/contracts';
import type { Logger } from '@talkmesh/service-kit';
import type { Auth, IssuedToken, KeyPrincipal } from '../auth.js';
import type { StreamedEvent } from '../event-stream.js';
import { check } from '../http/problems.js';
import { EXTERNAL, newSession } from '../new-session.js';
import { createSessionBody } from '../schemas.js';
import type { Sessions } from '../sessions.js';
import type { WorkerDirectory } from '../worker-directory.js';
import type { MediaPart, ServerMessage, StartMessage } from './avatar-messages.js';
import { AvatarUpstream, type Frame, type Ready, type Video } from './avatar-upstream.js';
import { Utterances } from './utterances.js';

export interface AvatarDependencies {
  readonly sessions: Sessions;
  readonly directory: WorkerDirectory;
  readonly auth: Pick<Auth, 'issue'>;
  readonly maxSessionMs: number;
  readonly checkMs: number;
  readonly defaultAvatar: string;
  readonly log: Logger;
}

/** A key opens a session of its own or continues one; a token continues the session that it is for. */
export type AvatarCaller = { readonly opener?: KeyPrincipal; readonly sessionId?: string };

export interface AvatarSessionOptions extends AvatarDependencies {
  readonly caller: AvatarCaller;
  readonly send: (message: ServerMessage) => void;
  readonly sendMedia: (part: MediaPart) => void;
  /** More is taken, after `audio` has returned false. */
  readonly onDrain: () => void;
  /** The connection is of no use any more. */
  readonly onEnd: (error: MeshError) => void;
}

const VIDEO = { jpeg: 'VIDEO_FORMAT_JPEG', i420: 'VIDEO_FORMAT_I420', none: 'VIDEO_FORMAT_UNSPECIFIED' } as const;

/** One program that speaks: its session of the mesh, and the stream to the worker that plays it. */
export class AvatarSession {
  readonly #options: AvatarSessionOptions;
  readonly #closed = new AbortController();
  readonly #utterances: Utterances;
  readonly #stops: (() => void)[] = [];
  #record: SessionRecord | undefined;
  #upstream: AvatarUpstream | undefined;
  /** What the program does while no worker has the stream. */
  #waiting: (() => void)[] = [];
  #openClears = 0;
  #isReady = false;

  constructor(options: AvatarSessionOptions) {
    this.#options = options;
    this.#utterances = new Utterances((report) => options.send(report));
  }

  /** Opens or joins the session; `ready` follows. @throws MeshError */
  async start(message: StartMessage): Promise<void> {
    try {
      await this.#start(message);
    } catch (thrown) {
      // Without a program it would only wait for one.
      if (this.#options.caller.sessionId === undefined) await this.#end();
      throw thrown;
    }
  }

  async #start(message: StartMessage): Promise<void> {
    const { caller, sessions, directory, auth, maxSessionMs, checkMs } = this.#options;
    const { sessionId } = caller;
    const record = sessionId === undefined ? await this.#create(message) : await this.#join(sessionId, message);
    this.#record = record;
    this.#closed.signal.throwIfAborted();
    const stop = await sessions.watch(record.id, { checkMs, lastEventId: undefined }, (event) => this.#onEvent(event));
    if (this.#closed.signal.aborted) {
      stop();
      return;
    }
    this.#stops.push(stop);
    const token = await auth.issue(record.id, record.limits?.origins);
    this.#closed.signal.throwIfAborted();
    const { rate: sampleRateHz, channels, video } = message;
    this.#upstream = new AvatarUpstream({
      ...{ sessions, directory, maxSessionMs, sessionId: record.id },
      format: { sampleRateHz, channels, video: VIDEO[video] satisfies Video },
      utterances: () => this.#utterances.count,
      onReady: (ready) => this.#onReady(ready, { session: record.id, ...token }),
      onStarted: (utterance) => this.#utterances.started(utterance),
      onFinished: ({ utterance, positionMs, interrupted }) =>
        this.#utterances.finished(utterance, positionMs, interrupted),
      onCleared: () => this.#onCleared(),
      onFrame: (frame) => this.#onFrame(frame),
      onDrain: () => this.#options.onDrain(),
      onEnd: (error) => this.#options.onEnd(error),
    });
  }

  /** @param pcm cut anywhere @returns false when the caller should wait for `onDrain` */
  audio(pcm: Buffer): boolean {
    const upstream = this.#upstream;
    if (upstream?.isReady !== true) {
      this.#waiting.push(() => this.audio(pcm));
      return false;
    }
    return this.#utterances.audio() ? upstream.send({ pcm }) : true;
  }

  end(): void {
    this.#do(() => {
      this.#utterances.close();
      this.#upstream?.send({ end: {} });
    });
  }

  clear(): void {
    this.#do(() => {
      this.#utterances.close();
      this.#openClears += 1;
      this.#upstream?.send({ clear: {} });
    });
  }

  /** The program reads slowly. */
  pause(): void {
    this.#upstream?.pause();
  }

  resume(): void {
    this.#upstream?.resume();
  }

  /** @param onPurpose false: the connection broke, and the program may come back. Ends the session if a key opened it */
  async close(onPurpose: boolean): Promise<void> {
    if (this.#closed.signal.aborted) return;
    this.#closed.abort(new MeshError('CANCELLED', 'the program disconnected'));
    for (const stop of this.#stops) stop();
    this.#upstream?.close(onPurpose);
    if (onPurpose) await this.#end();
  }

  async #end(): Promise<void> {
    const { caller, sessions, log } = this.#options;
    if (this.#record === undefined || caller.opener === undefined) return;
    const { id } = this.#record;
    await sessions
      .end(id, { reason: 'ended', cause: 'hung-up' })
      .catch((err: unknown) =>
        log.warn({ err, sessionId: id }, 'a session of the avatar socket was not ended; the reaper ends it'),
      );
  }

  #do(action: () => void): void {
    if (this.#upstream?.isReady === true) action();
    else this.#waiting.push(action);
  }

  #create({ avatar, media = 'frames', ...chosen }: StartMessage): Promise<SessionRecord> {
    const { caller, sessions, defaultAvatar } = this.#options;
    if (caller.opener === undefined) throw new TypeError('a caller has a key or a session');
    const output = media === 'frames' ? 'frames' : 'webrtc';
    const wanted = { avatar: avatar ?? defaultAvatar, provider: EXTERNAL, output };
    const { badge, quality, size, seed, maxSeconds, idleSeconds } = chosen;
    const body = check(createSessionBody, { ...wanted, badge, quality, size, seed, maxSeconds, idleSeconds });
    return sessions.create(newSession(body, caller.opener), this.#closed.signal);
  }

  /** @throws MeshError ARGUMENT_INVALID when a program cannot speak in it */
  async #join(sessionId: string, message: StartMessage): Promise<SessionRecord> {
    const record = await this.#options.sessions.getLive(sessionId);
    const chosen = (
      ['avatar', 'media', 'badge', 'quality', 'size', 'seed', 'maxSeconds', 'idleSeconds'] as const
    ).filter((name) => message[name] !== undefined);
    if (chosen.length > 0)
      throw new MeshError('ARGUMENT_INVALID', `the session exists already: leave ${chosen.join(', ')} out of start`);
    if (record.provider !== EXTERNAL || record.output === 'record' || record.livekit !== undefined)
      throw new MeshError(
        'ARGUMENT_INVALID',
        `the session is not for a program that speaks: create it with the provider "${EXTERNAL}" and the output "frames" or "webrtc"`,
      );
    return record;
  }

  #onReady(ready: Ready, own: { readonly session: string } & IssuedToken): void {
    if (this.#utterances.attached(ready)) this.#upstream?.send({ clear: {} });
    const { width, height, fps, graceMs, hasFrames, resumed, utterances, unfinished, isOpen, openBytes } = ready;
    if (!this.#isReady)
      this.#options.send({
        ...{ type: 'ready', ...own, rate: SPEECH_RATE_HZ, disclosure: this.#record?.disclosure ?? null },
        ...(hasFrames ? { media: 'frames' } : { media: 'whep', whep: `/v1/whep/${own.session}` }),
        ...{ width, height, fps, graceMs, resumed, utterances, unfinished },
        open: isOpen ? { utterance: utterances, receivedBytes: openBytes } : null,
      });
    this.#isReady = true;
    for (const action of this.#waiting.splice(0)) action();
    this.#options.onDrain();
  }

  /** A clear that only the gateway asked for is not answered. */
  #onCleared(): void {
    if (this.#openClears === 0) return;
    this.#openClears -= 1;
    this.#options.send({ type: 'cleared' });
  }

  #onFrame({ mediaTimeUs: timestampUs, width, height, format, video, pcm, speaking }: Frame): void {
    const kind = format === 'VIDEO_FORMAT_I420' ? 'i420' : 'jpeg';
    if (video.length > 0)
      this.#options.sendMedia({ kind, shape: [width, height], timestampUs, speaking, bytes: video });
    this.#options.sendMedia({ kind: 'pcm', shape: [SPEECH_RATE_HZ, 1], timestampUs, speaking, bytes: pcm });
  }

  #onEvent(event: StreamedEvent): void {
    if (this.#closed.signal.aborted) return;
    if (event.type === 'error') {
      const { reason, message } = event;
      this.#options.send({ type: 'error', reason, message, retryable: false });
    } else if (event.type === 'session.ended')
      this.#options.onEnd(new MeshError('SESSION_ENDED', `the session has ended (${event.cause}); start a new one`));
  }
}
