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

export interface LivekitRoomsOptions extends Pick<Config, 'livekitUrls' | 'livekitApiKey' | 'livekitApiSecretFile'> {
  /** The secrets of session tokens: the first seals, all open. */
  readonly tokenSecrets: () => readonly string[];
}

/**
 * LiveKit rooms that sessions play into: which servers are allowed, and the avatar's tokens. A token is minted for every worker that
 * joins; one that the caller brings is sealed into the session's record, because a worker that takes over needs it.
 */
export class LivekitRooms {
  readonly #options: LivekitRoomsOptions;

  constructor(options: LivekitRoomsOptions) {
    this.#options = options;
  }

  /** Checks a request. @returns what the session's record keeps. @throws MeshError ARGUMENT_INVALID */
  async admit(wanted: z.output<typeof livekitTransport>, sessionId: string): Promise<LivekitTransport> {
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
    if (wanted.token !== undefined) {
      const claims = readClaims(wanted.token);
      return { url, ...claims, agent: wanted.agent ?? claims.agent, sealedToken: await this.#seal(wanted.token) };
    }
    const agent = wanted.agent ?? '';
    this.#assertKey(url);
    const identity = wanted.identity ?? `avatar-${sessionId}`;
    return { url, room: wanted.room ?? '', identity, agent, sealedToken: '' };
  }

  /** The avatar's token. @throws MeshError CONFIG_INVALID: the key's secret cannot be read; PERMISSION_DENIED: the sealed token cannot be opened */
  tokenFor(transport: LivekitTransport): Promise<string> {
    return transport.sealedToken === '' ? this.#mint(transport) : this.#unseal(transport.sealedToken);
  }

  /** Claims of LiveKit's access tokens (ClaimGrants in livekit/protocol): the least that an avatar needs. */
  async #mint({ url, room, identity, agent }: LivekitTransport): Promise<string> {
    const key = this.#assertKey(url);
    const video = {
      ...{ room, roomJoin: true, canSubscribe: false, canPublishData: true },
      ...{ canPublish: true, canPublishSources: ['camera', 'microphone'] },
    };
    const claims = {
      ...{ video, name: identity, kind: 'agent' },
      ...(agent !== '' && { attributes: { [ON_BEHALF]: agent } }),
      // Counts when this join creates the room: browsers synchronise audio and video only then.
      roomConfig: { syncStreams: true },
    };
    const nowS = Math.floor(Date.now() / 1000);
    return new SignJWT(claims)
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
      .setIssuer(this.#options.livekitApiKey)
      .setSubject(identity)
      .setNotBefore(nowS - 5)
      .setExpirationTime(nowS + TOKEN_SECONDS)
      .sign(new TextEncoder().encode(key));
  }

  /** The key belongs to the first server: a token signed with it tells no other server anything. @returns the key's secret */
  #assertKey(url: string): string {
    const { livekitUrls, livekitApiKey, livekitApiSecretFile } = this.#options;
    if (livekitApiKey === '' || url !== livekitUrls[0])
      throw new MeshError(
        'ARGUMENT_INVALID',
        'this deployment has no key for that LiveKit server: send transport.livekit.token, a token for the avatar',
      );
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
      "the avatar's LiveKit token was sealed with a secret that is no longer known; create a new session",
    );
  }
}

const sealingKey = (secret: string): Uint8Array =>
  new Uint8Array(hkdfSync('sha256', secret, '', 'talkmesh livekit token', 32));

interface TokenClaims {
  readonly video?: { readonly room?: unknown; readonly roomJoin?: unknown };
  readonly attributes?: { readonly [ON_BEHALF]?: unknown };
}

/** Reads, without checking the signature, which room, identity and agent a token is for. The LiveKit server checks it. */
function readClaims(token: string): Pick<LivekitTransport, 'room' | 'identity' | 'agent'> {
  try {
    const { sub, exp, video, attributes } = decodeJwt<TokenClaims>(token);
    const agent = attributes?.[ON_BEHALF];
    const isExpired = exp !== undefined && exp * 1000 < Date.now();
    if (typeof video?.room === 'string' && video.roomJoin === true && typeof sub === 'string' && !isExpired)
      return { room: video.room, identity: sub, agent: typeof agent === 'string' ? agent : '' };
  } catch {
    // The message below says what is expected.
  }
  throw new MeshError(
    'ARGUMENT_INVALID',
    'transport.livekit.token must be a LiveKit access token that has not expired, with an identity and the grants room and roomJoin',
  );
}
