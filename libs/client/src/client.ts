import { Call } from './call.js';
import type { CallMediaDevices } from './call-microphone.js';
import { type FetchLike, Http, TalkMeshError } from './http.js';
import type { CreatePeer } from './peer.js';
import { readToken } from './token.js';
import type {
  Avatar,
  ConversationOffer,
  CreatedSession,
  OwnAvatar,
  PictureOptions,
  SessionOptions,
  SessionTicket,
} from './types.js';

export interface ClientOptions {
  /** URL of the gateway, for example `https://talk.example.com`; `''` for the page's own origin. */
  readonly baseUrl: string;
  /** Creates sessions. Keep it on your server: browsers get a session token, or a grant (`POST /v1/grants`) here. */
  readonly apiKey?: string;
  /** A session token that your server got from `POST /v1/sessions`; `join()` uses it. */
  readonly token?: string;
  /** STUN and TURN servers. None by default, which is enough when browser and gateway share a network. */
  readonly iceServers?: RTCIceServer[];
  /** Deadline of each HTTP request, milliseconds (15,000). */
  readonly requestTimeoutMs?: number;
  /** How long ICE candidates are gathered, milliseconds (2,000). */
  readonly gatherMs?: number;
  /** How long a media connection may take, milliseconds (15,000). */
  readonly connectMs?: number;
  /** Browser functions that a test replaces: this one and the three below. */
  readonly fetch?: FetchLike;
  readonly createPeer?: CreatePeer;
  readonly createStream?: () => MediaStream;
  readonly mediaDevices?: CallMediaDevices;
}

/**
 * Client of a talkmesh gateway.
 * @example
 * const client = new TalkMeshClient({ baseUrl: 'https://talk.example.com', token });
 * const call = client.join();
 * video.srcObject = call.stream;
 * await call.connect();
 */
export class TalkMeshClient {
  readonly #options: ClientOptions;
  readonly #http: Http;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#http = new Http({
      baseUrl: options.baseUrl,
      fetch: options.fetch ?? ((input, init) => fetch(input, init)),
      timeoutMs: options.requestTimeoutMs ?? 15_000,
    });
  }

  /** The avatars of the gateway's model. @throws TalkMeshError TOKEN_MISSING without a key or a token */
  async avatars(): Promise<Avatar[]> {
    const { avatars } = await this.#http.json<{ avatars: Avatar[] }>('GET', '/v1/avatars', {
      bearer: this.#options.apiKey ?? this.#options.token,
    });
    return avatars.map(({ idle, ...avatar }) => ({
      ...avatar,
      image: this.#http.url(avatar.image),
      ...(idle !== undefined && { idle: this.#http.url(idle) }),
    }));
  }

  /** What sessions may choose: providers, voices, languages. @throws TalkMeshError TOKEN_MISSING without a key or a token */
  providers(): Promise<ConversationOffer> {
    return this.#http.json<ConversationOffer>('GET', '/v1/providers', {
      bearer: this.#options.apiKey ?? this.#options.token,
    });
  }

  /**
   * Creates an avatar from a PNG or JPEG picture. The gateway keeps it until `expiresAtMs`, for this API key only; its verdict says
   * whether the model suits such a picture. Use its `id` in `createSession`.
   * @throws TalkMeshError FACE_NOT_FOUND (then pass landmarks), PICTURE_INVALID, BODY_TOO_LARGE, AVATAR_LIMIT, ...
   */
  async createAvatar(picture: Blob, options: PictureOptions = {}, signal?: AbortSignal): Promise<OwnAvatar> {
    const avatar = await this.#http.json<OwnAvatar>('POST', '/v1/avatars', {
      body: { ...options, image: await base64Of(picture) },
      bearer: this.#options.apiKey,
      timeoutMs: Math.max(this.#options.requestTimeoutMs ?? 0, 60_000),
      ...(signal === undefined ? {} : { signal }),
    });
    return { ...avatar, image: this.#http.url(avatar.image) };
  }

  /** Deletes an avatar that was created from a picture. @throws TalkMeshError AVATAR_NOT_FOUND */
  async deleteAvatar(id: string): Promise<void> {
    await this.#http.send('DELETE', `/v1/avatars/${encodeURIComponent(id)}`, { bearer: this.#options.apiKey });
  }

  /**
   * Creates a session. No media is connected until `connect()` of the returned call.
   * @throws TalkMeshError as `createTicket`
   */
  async createSession(options: SessionOptions, signal?: AbortSignal): Promise<Call> {
    return this.#call(await this.createTicket(options, signal));
  }

  /**
   * Creates a session for a browser: give the ticket to it, never the API key. Works without browser functions, so in a server too.
   * @throws TalkMeshError AVATAR_NOT_FOUND, NO_WORKER or SESSION_LIMIT (retryable: see `retryAfterMs`), ...
   */
  async createTicket(options: SessionOptions, signal?: AbortSignal): Promise<SessionTicket> {
    const created = await this.#http.json<CreatedSession>('POST', '/v1/sessions', {
      body: options,
      bearer: this.#options.apiKey,
      timeoutMs: Math.max(this.#options.requestTimeoutMs ?? 0, 60_000),
      ...(signal === undefined ? {} : { signal }),
    });
    return { sessionId: created.session.id, token: created.token };
  }

  /** Joins the session of the client's token. @throws TalkMeshError TOKEN_INVALID */
  join(): Call {
    const token = this.#options.token ?? '';
    return this.#call({ sessionId: readToken(token).sub, token });
  }

  #call(ticket: SessionTicket): Call {
    return new Call({
      http: this.#http,
      ticket,
      apiKey: this.#options.apiKey,
      createPeer: this.#options.createPeer ?? browserPeer,
      createStream: this.#options.createStream ?? (() => new MediaStream()),
      mediaDevices: this.#options.mediaDevices ?? globalThis.navigator?.mediaDevices,
      iceServers: this.#options.iceServers ?? [],
      gatherMs: this.#options.gatherMs ?? 2_000,
      connectMs: this.#options.connectMs ?? 15_000,
    });
  }
}

/** @throws TalkMeshError NO_WEBRTC */
function browserPeer(configuration: RTCConfiguration): RTCPeerConnection {
  if (globalThis.RTCPeerConnection === undefined)
    throw new TalkMeshError(
      'NO_WEBRTC',
      'This browser cannot make calls (WebRTC is missing or turned off). Use a current Chrome, Edge, Firefox or Safari.',
    );
  return new RTCPeerConnection(configuration);
}

/** Browsers limit the number of arguments of a call, so the picture is converted in parts of this size. */
const MAX_CHARACTERS_PER_CALL = 0x8000;

async function base64Of(picture: Blob): Promise<string> {
  const bytes = new Uint8Array(await picture.arrayBuffer());
  let text = '';
  for (let at = 0; at < bytes.length; at += MAX_CHARACTERS_PER_CALL)
    text += String.fromCharCode(...bytes.subarray(at, at + MAX_CHARACTERS_PER_CALL));
  return btoa(text);
}
