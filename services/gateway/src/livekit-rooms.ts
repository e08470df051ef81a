import { hkdfSync } from 'node:crypto';
import { type LivekitTransport, MeshError } from '@talkmesh/contracts';
import { readSecret } from '@talkmesh/service-kit';
import { allowedServer } from '@talkmesh/webrtc';
import { CompactEncrypt, compactDecrypt, decodeJwt, SignJWT } from 'jose';
import type { z } from 'zod';
import type { Config } from './config.js';
import type { livekitTransport } from './schemas.js';

/** A worker uses a token within seconds; the server renews the tokens of participants. */
const TOKEN_SECONDS = 600;
/** Attribute of an avatar's participant: the identity of its agent. */
const ON_BEHALF = 'lk.publish_on_behalf';
const SEALING = { alg: 'dir', enc: 'A256GCM' } as const;

type Wanted = z.output<typeof livekitTransport>;

export interface LivekitRoomsOptions extends Pick<Config, 'livekitUrls' | 'livekitApiKey' | 'livekitApiSecretFile'> {
  /** The secrets of session tokens: the first seals, all open. */
  readonly tokenSecrets: () => readonly string[];
}

/**
 * LiveKit rooms that sessions play into: which servers are allowed, and the tokens of the avatar and of the hidden participant that
 * hears the room. A token is minted for every worker that joins; one that the caller brings is sealed into the session's record, because a
 * worker that takes over needs it.
 */
export class LivekitRooms {
  readonly #options: LivekitRoomsOptions;

  constructor(options: LivekitRoomsOptions) {
    this.#options = options;
  }

  /** Checks a request. @returns what the session's record keeps. @throws MeshError ARGUMENT_INVALID */
  async admit(wanted: Wanted, sessionId: string): Promise<LivekitTransport> {
    const { livekitUrls } = this.#options;
    if (livekitUrls.length === 0)
      throw new MeshError(
        'ARGUMENT_INVALID',
        'this deployment uses no LiveKit server; name it in TALKMESH_LIVEKIT_URLS of gateway and webrtc-egress',
      );
    const url = wanted.url === undefined ? livekitUrls[0] : allowedServer(livekitUrls, wanted.url);
    if (url === undefined)
      throw new MeshError(
        'ARGUMENT_INVALID',
        'transport.livekit.url is not among the LiveKit servers that this deployment allows (TALKMESH_LIVEKIT_URLS)',
      );
    const avatar = await this.#admitAvatar(wanted, url, sessionId);
    if (wanted.microphone === undefined) return avatar;
    if (avatar.agent !== '')
      throw new MeshError(
        'ARGUMENT_INVALID',
        'a session with transport.livekit.agent has no microphone of its own, because the agent hears the room: leave microphone out',
      );
    return { ...avatar, microphone: await this.#admitMicrophone(wanted.microphone, avatar) };
  }

  /** The avatar's token. @throws MeshError CONFIG_INVALID: the key's secret cannot be read; PERMISSION_DENIED: the sealed token cannot be opened */
  avatarToken({ sealedToken, url, room, identity, agent }: LivekitTransport): Promise<string> {
    if (sealedToken !== '') return this.#unseal(sealedToken);
    return this.#mint(url, identity, {
      video: {
        ...{ room, roomJoin: true, canSubscribe: false, canPublishData: true },
        ...{ canPublish: true, canPublishSources: ['camera', 'microphone'] },
      },
      ...(agent !== '' && { attributes: { [ON_BEHALF]: agent } }),
      // Counts when this join creates the room: browsers synchronise audio and video only then.
      roomConfig: { syncStreams: true },
    });
  }

  /** The token of the hidden participant that hears the room. @throws MeshError as `avatarToken` */
  async listenerToken({ microphone, url, room }: LivekitTransport, sessionId: string): Promise<string> {
    if (microphone === undefined) throw new MeshError('INTERNAL', 'the session has no microphone in its room');
    if (microphone.sealedToken !== '') return this.#unseal(microphone.sealedToken);
    const grants = { room, roomJoin: true, hidden: true, canSubscribe: true, canPublish: false, canPublishData: false };
    return this.#mint(url, `listener-${sessionId}`, { video: grants });
  }

  async #admitAvatar({ token, ...wanted }: Wanted, url: string, sessionId: string): Promise<LivekitTransport> {
    if (token === undefined) {
      this.#assertKey(url, 'transport.livekit.token, a token for the avatar');
      const identity = wanted.identity ?? `avatar-${sessionId}`;
      return assertTwo({ url, room: wanted.room ?? '', identity, agent: wanted.agent ?? '', sealedToken: '' });
    }
    const { room, identity, canShow, canSendData, ...claims } = readClaims(token, 'transport.livekit.token');
    const agent = wanted.agent ?? claims.agent;
    // A server answers nothing to a track that it does not allow.
    if (!canShow || (agent !== '' && !canSendData))
      throw new MeshError(
        'ARGUMENT_INVALID',
        'transport.livekit.token must have the grant canPublish for camera and microphone, and with an agent canPublishData',
      );
    return assertTwo({ url, room, identity, agent, sealedToken: await this.#seal(token) });
  }

  async #admitMicrophone(
    { identity = '', attributes = {}, token }: NonNullable<Wanted['microphone']>,
    avatar: LivekitTransport,
  ): Promise<NonNullable<LivekitTransport['microphone']>> {
    if (identity === avatar.identity)
      throw new MeshError(
        'ARGUMENT_INVALID',
        'transport.livekit.microphone.identity is that of the avatar; name the participant that is to be heard',
      );
    if (token === undefined) {
      this.#assertKey(avatar.url, 'transport.livekit.microphone.token, a token for a hidden participant');
      return { identity, attributes, sealedToken: '' };
    }
    const claims = readClaims(token, 'transport.livekit.microphone.token');
    if (claims.room !== avatar.room || claims.identity === avatar.identity || !claims.canSubscribe)
      throw new MeshError(
        'ARGUMENT_INVALID',
        "transport.livekit.microphone.token must be for the avatar's room, for an identity of its own, with the grant canSubscribe",
      );
    if (!claims.isHidden)
      throw new MeshError(
        'ARGUMENT_INVALID',
        'transport.livekit.microphone.token must have the grant hidden: true, because a listener that others see keeps an empty room open',
      );
    return { identity, attributes, sealedToken: await this.#seal(token) };
  }

  /** Claims of LiveKit's access tokens (ClaimGrants in livekit/protocol): the least that a participant needs. */
  async #mint(url: string, identity: string, grants: object): Promise<string> {
    const key = this.#assertKey(url, 'a token');
    const claims = { name: identity, kind: 'agent', ...grants };
    const nowS = Math.floor(Date.now() / 1000);
    return new SignJWT(claims)
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
      .setIssuer(this.#options.livekitApiKey)
      .setSubject(identity)
      .setNotBefore(nowS - 5)
      .setExpirationTime(nowS + TOKEN_SECONDS)
      .sign(new TextEncoder().encode(key));
  }

  /** The key belongs to the first server: a token signed with it tells no other server anything. @param instead what callers bring without a key @returns the key's secret */
  #assertKey(url: string, instead: string): string {
    const { livekitUrls, livekitApiKey, livekitApiSecretFile } = this.#options;
    if (livekitApiKey === '' || url !== livekitUrls[0])
      throw new MeshError('ARGUMENT_INVALID', `this deployment has no key for that LiveKit server: send ${instead}`);
    const problems: string[] = [];
    const secret = readSecret('livekitApiSecretFile', livekitApiSecretFile, problems);
    if (secret === undefined || secret === '' || problems.length > 0)
      throw new MeshError('CONFIG_INVALID', problems.join('; ') || 'TALKMESH_LIVEKIT_API_SECRET_FILE is empty');
    return secret;
  }

  #seal(token: string): Promise<string> {
    const [secret = ''] = this.#options.tokenSecrets();
    return new CompactEncrypt(new TextEncoder().encode(token)).setProtectedHeader(SEALING).encrypt(sealingKey(secret));
  }

  async #unseal(sealed: string): Promise<string> {
    for (const secret of this.#options.tokenSecrets()) {
      const opened = await compactDecrypt(sealed, sealingKey(secret)).catch(() => undefined);
      if (opened !== undefined) return new TextDecoder().decode(opened.plaintext);
    }
    throw new MeshError(
      'PERMISSION_DENIED',
      'the LiveKit token of the session was sealed with a secret that is no longer known; create a new session',
    );
  }
}

const sealingKey = (secret: string): Uint8Array =>
  new Uint8Array(hkdfSync('sha256', secret, '', 'talkmesh livekit token', 32));

/** A room has one participant of an identity: the avatar would take the place of its agent. @throws MeshError ARGUMENT_INVALID */
function assertTwo(avatar: LivekitTransport): LivekitTransport {
  if (avatar.agent !== avatar.identity) return avatar;
  throw new MeshError(
    'ARGUMENT_INVALID',
    'the agent that speaks through the avatar (transport.livekit.agent, lk.publish_on_behalf) has the identity of the avatar; give the avatar its own',
  );
}

/** Longest names that LiveKit's server takes unless its configuration says otherwise. */
const MAX_NAME = 256;
const isName = (value: unknown): value is string =>
  typeof value === 'string' && value !== '' && value.length <= MAX_NAME;

interface TokenClaims {
  readonly video?: {
    readonly room?: unknown;
    readonly roomJoin?: unknown;
    readonly canPublish?: unknown;
    readonly canPublishSources?: unknown;
    readonly canPublishData?: unknown;
    readonly canSubscribe?: unknown;
    readonly hidden?: unknown;
  };
  readonly attributes?: { readonly [ON_BEHALF]?: unknown };
}

interface ReadClaims extends Pick<LivekitTransport, 'room' | 'identity' | 'agent'> {
  /** The server grants these unless a token says otherwise. */
  readonly canSubscribe: boolean;
  readonly canShow: boolean;
  readonly canSendData: boolean;
  readonly isHidden: boolean;
}

/** No list, or an empty one: all sources. */
const allowsBoth = (sources: unknown): boolean =>
  !Array.isArray(sources) ||
  sources.length === 0 ||
  ['camera', 'microphone'].every((source) => sources.includes(source));

/** Reads, without checking the signature, which room, identity and agent a token is for. The LiveKit server checks it. @param field its name in the request */
function readClaims(token: string, field: string): ReadClaims {
  try {
    const { sub, exp, video, attributes } = decodeJwt<TokenClaims>(token);
    const agent = attributes?.[ON_BEHALF] || '';
    const isExpired = exp !== undefined && exp * 1000 < Date.now();
    if (isName(video?.room) && video.roomJoin === true && isName(sub) && (agent === '' || isName(agent)) && !isExpired)
      return {
        ...{ room: video.room, identity: sub, agent },
        canSubscribe: video.canSubscribe !== false,
        canShow: video.canPublish !== false && allowsBoth(video.canPublishSources),
        canSendData: (video.canPublishData ?? video.canPublish) !== false,
        isHidden: video.hidden === true,
      };
  } catch {
    // The message below says what is expected.
  }
  throw new MeshError(
    'ARGUMENT_INVALID',
    `${field} must be a LiveKit access token that has not expired, with an identity and the grants room and roomJoin`,
  );
}
