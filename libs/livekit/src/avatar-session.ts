import { getJobContext, voice } from '@livekit/agents';
import { type Room, TrackKind } from '@livekit/rtc-node';
import { AccessToken } from 'livekit-server-sdk';
import { Gateway } from './gateway.js';

export interface AvatarSessionOptions {
  /** Id of an avatar of the gateway, from `GET /v1/avatars`. */
  readonly avatar: string;
  /** URL of the gateway; TALKMESH_URL when left out. */
  readonly url?: string;
  /** API key of the gateway; TALKMESH_API_KEY when left out. */
  readonly apiKey?: string;
  /** Of the avatar's participant; `talkmesh-avatar` when left out. */
  readonly identity?: string;
  /** Shown to other participants; `talkmesh` when left out. */
  readonly displayName?: string;
  /** Longest time of the session; the gateway's limit when left out. */
  readonly maxSeconds?: number;
}

/** LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET when left out. The secret stays here: the gateway gets a token for one participant. */
export interface LivekitCredentials {
  readonly livekitUrl?: string;
  readonly livekitApiKey?: string;
  readonly livekitApiSecret?: string;
}

/** Of the speech that the mesh works with; another rate would be resampled there. */
const SAMPLE_RATE_HZ = 24_000;
/** The gateway keeps the token for workers that take the session over, so it has to last as long as the call. */
const TOKEN_TTL = '24h';

/**
 * A talking picture for an agent: start it before the `AgentSession`, which then speaks through it.
 * @example
 * const avatar = new AvatarSession({ avatar: 'mia' });
 * await avatar.start(session, ctx.room);
 * await session.start({ agent, room: ctx.room, outputOptions: { audioEnabled: false } });
 */
export class AvatarSession extends voice.AvatarSession {
  readonly #options: AvatarSessionOptions;
  readonly #gateway: Gateway;
  #sessionId: string | undefined;
  /** Grows when the avatar is closed: a session that is opened meanwhile must not stay. */
  #closes = 0;

  /** @throws Error when the gateway's URL or key is missing */
  constructor(options: AvatarSessionOptions) {
    super();
    this.#options = options;
    const url = options.url ?? process.env['TALKMESH_URL'];
    const apiKey = options.apiKey ?? process.env['TALKMESH_API_KEY'];
    this.#gateway = new Gateway(required(url, 'url', 'TALKMESH_URL'), required(apiKey, 'apiKey', 'TALKMESH_API_KEY'));
  }

  override get avatarIdentity(): string {
    return this.#options.identity ?? 'talkmesh-avatar';
  }

  override get provider(): string {
    return 'talkmesh';
  }

  /** Id of the session at the gateway, while there is one. */
  get sessionId(): string | undefined {
    return this.#sessionId;
  }

  /**
   * Opens a session whose avatar joins the room, and gives it the speech of the agent. @returns the session's id
   * @throws GatewayError of the gateway; Error when credentials of LiveKit are missing, the room is not connected, or `aclose` was called meanwhile
   */
  override async start(
    agentSession: voice.AgentSession,
    room: Room,
    credentials: LivekitCredentials = {},
  ): Promise<string> {
    const closes = this.#closes;
    await super.start(agentSession, room);
    try {
      const url = required(credentials.livekitUrl ?? process.env['LIVEKIT_URL'], 'livekitUrl', 'LIVEKIT_URL');
      const token = await this.#token(room, credentials);
      const { avatar, maxSeconds } = this.#options;
      this.#sessionId = await this.#gateway.createSession({
        ...{ avatar, transport: { livekit: { url, token } } },
        ...(maxSeconds !== undefined && { maxSeconds }),
      });
      if (closes !== this.#closes) {
        await this.#endSession();
        throw new Error('the avatar was closed while it started');
      }
    } catch (error) {
      await this._rollbackStart();
      throw error;
    }
    agentSession.output.audio = new voice.DataStreamAudioOutput({
      room,
      destinationIdentity: this.avatarIdentity,
      sampleRate: SAMPLE_RATE_HZ,
      waitRemoteTrack: TrackKind.KIND_VIDEO,
      waitPlaybackStart: true,
    });
    return this.#sessionId;
  }

  /** Ends the session. LiveKit Agents calls it when the job ends. @throws GatewayError */
  override async aclose(): Promise<void> {
    this.#closes += 1;
    try {
      await this.#endSession();
    } finally {
      await super.aclose();
    }
  }

  async #endSession(): Promise<void> {
    const id = this.#sessionId;
    this.#sessionId = undefined;
    if (id !== undefined) await this.#gateway.endSession(id);
  }

  /** The avatar's token: it speaks on behalf of this agent, and receives its audio as data. */
  async #token(room: Room, { livekitApiKey, livekitApiSecret }: LivekitCredentials): Promise<string> {
    const agent = getJobContext(false)?.agent?.identity || room.localParticipant?.identity;
    if (!agent || !room.name) throw new Error('connect to the room before the avatar is started');
    const token = new AccessToken(
      required(livekitApiKey ?? process.env['LIVEKIT_API_KEY'], 'livekitApiKey', 'LIVEKIT_API_KEY'),
      required(livekitApiSecret ?? process.env['LIVEKIT_API_SECRET'], 'livekitApiSecret', 'LIVEKIT_API_SECRET'),
      { identity: this.avatarIdentity, name: this.#options.displayName ?? 'talkmesh', ttl: TOKEN_TTL },
    );
    token.kind = 'agent';
    token.attributes = { 'lk.publish_on_behalf': agent };
    token.addGrant({ roomJoin: true, room: room.name, canPublish: true, canPublishData: true, canSubscribe: false });
    return token.toJwt();
  }
}

function required(value: string | undefined, option: string, variable: string): string {
  if (value) return value;
  throw new Error(`set ${variable}, or pass ${option}`);
}
