import { Call } from './call.js';
import { type FetchLike, Http } from './http.js';
import type { CreatePeer } from './peer.js';
import { readToken } from './token.js';
import type { Avatar, CreatedSession, OwnAvatar, PictureOptions, SessionOptions, SessionTicket } from './types.js';

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
   * Makes an avatar of a PNG or JPEG picture. It is kept by the gateway for a while and belongs to the API key; its verdict says
   * what to expect. Use its `id` in `createSession`.
   * @throws TalkMeshError FACE_NOT_FOUND (give landmarks), PICTURE_INVALID, BODY_TOO_LARGE, AVATAR_LIMIT, ...
   */
  async createAvatar(picture: Blob, options: PictureOptions = {}, signal?: AbortSignal): Promise<OwnAvatar> {
    const avatar = await this.http.json<OwnAvatar>('POST', '/v1/avatars', {
      body: { ...options, image: await base64Of(picture) },
      bearer: this.o.apiKey,
      timeoutMs: Math.max(this.o.requestTimeoutMs ?? 0, 60_000),
      ...(signal === undefined ? {} : { signal }),
    });
    return { ...avatar, image: this.http.url(avatar.image) };
  }

  /** Removes an own picture for good. @throws TalkMeshError AVATAR_NOT_FOUND */
  async deleteAvatar(id: string): Promise<void> {
    await this.http.send('DELETE', `/v1/avatars/${encodeURIComponent(id)}`, { bearer: this.o.apiKey });
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

/** Characters given to one call; more would not fit a function's arguments. */
const CHARACTERS_AT_ONCE = 0x8000;

async function base64Of(picture: Blob): Promise<string> {
  const bytes = new Uint8Array(await picture.arrayBuffer());
  let text = '';
  for (let at = 0; at < bytes.length; at += CHARACTERS_AT_ONCE)
    text += String.fromCharCode(...bytes.subarray(at, at + CHARACTERS_AT_ONCE));
  return btoa(text);
}
