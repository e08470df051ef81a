import { Call } from './call.js';
import { type FetchLike, Http } from './http.js';
import type { CreatePeer } from './peer.js';
import { readToken } from './token.js';
import type { Avatar, CreatedSession, SessionOptions, SessionTicket } from './types.js';

export interface ClientOptions {
  /** Where the gateway is, for example `https://talk.example.com`; `''` for the page's own origin. */
  readonly baseUrl: string;
  /** Creates sessions. Keep it on your server: browsers get a session token instead. */
  readonly apiKey?: string;
  /** A session token that your server got from `POST /v1/sessions`; `join()` uses it. */
  readonly token?: string;
  /** None by default: on one network no STUN or TURN server is needed. */
  readonly iceServers?: RTCIceServer[];
  /** Deadline of each HTTP request, milliseconds (15,000). */
  readonly requestTimeoutMs?: number;
  /** How long ICE candidates are gathered, milliseconds (2,000). */
  readonly gatherMs?: number;
  /** How long a media connection may take, milliseconds (15,000). */
  readonly connectMs?: number;
  /** What a test replaces. */
  readonly fetch?: FetchLike;
  readonly createPeer?: CreatePeer;
  readonly createStream?: () => MediaStream;
  readonly mediaDevices?: Pick<MediaDevices, 'getUserMedia'>;
}

/**
 * A gateway of talkmesh.
 * @example
 * const client = new TalkMeshClient({ baseUrl: 'https://talk.example.com', token });
 * const call = client.join();
 * video.srcObject = call.stream;
 * await call.connect();
 */
export class TalkMeshClient {
  private readonly o: ClientOptions;
  private readonly http: Http;

  constructor(options: ClientOptions) {
    this.o = options;
    this.http = new Http({
      baseUrl: options.baseUrl,
      fetch: options.fetch ?? ((input, init) => fetch(input, init)),
      timeoutMs: options.requestTimeoutMs ?? 15_000,
    });
  }

  /** The avatars of the gateway's model. @throws TalkMeshError TOKEN_MISSING without a key or a token */
  async avatars(): Promise<Avatar[]> {
    const { avatars } = await this.http.json<{ avatars: Avatar[] }>('GET', '/v1/avatars', {
      bearer: this.o.apiKey ?? this.o.token,
    });
    return avatars.map((avatar) => ({ ...avatar, image: this.http.url(avatar.image) }));
  }

  /**
   * Creates a session; it has not connected any media yet.
   * @throws TalkMeshError AVATAR_NOT_FOUND, NO_WORKER or SESSION_LIMIT (retryable: see `retryAfterMs`), ...
   */
  async createSession(options: SessionOptions, signal?: AbortSignal): Promise<Call> {
    const created = await this.http.json<CreatedSession>('POST', '/v1/sessions', {
      body: options,
      bearer: this.o.apiKey,
      timeoutMs: Math.max(this.o.requestTimeoutMs ?? 0, 60_000),
      ...(signal === undefined ? {} : { signal }),
    });
    return this.call({ sessionId: created.session.id, token: created.token });
  }

  /** The session of the client's token. @throws TalkMeshError TOKEN_INVALID */
  join(): Call {
    const token = this.o.token ?? '';
    return this.call({ sessionId: readToken(token).sub, token });
  }

  private call(ticket: SessionTicket): Call {
    return new Call({
      http: this.http,
      ticket,
      apiKey: this.o.apiKey,
      createPeer: this.o.createPeer ?? ((configuration) => new RTCPeerConnection(configuration)),
      createStream: this.o.createStream ?? (() => new MediaStream()),
      mediaDevices: this.o.mediaDevices ?? globalThis.navigator?.mediaDevices,
      iceServers: this.o.iceServers ?? [],
      gatherMs: this.o.gatherMs ?? 2_000,
      connectMs: this.o.connectMs ?? 15_000,
    });
  }
}
