import { readFile } from 'node:fs/promises';
import { MeshError } from '@talkmesh/contracts';
import { type Logger, type Metrics, SupervisedChild } from '@talkmesh/service-kit';
import type { RtcConfig } from './config.js';
import type { FromPeerChild, PeerReply, PeerSettings, PeerState, ToPeerChild } from './protocol.js';

const START_MS = 30_000;
const CLOSE_MS = 2000;
const PING = { everyMs: 5000, deadlineMs: 10_000 };
const RESTART_PAUSE = { minMs: 100, maxMs: 5000 };

/** What the owner of a peer connection hears. */
export interface PeerListener<Out> {
  /** Nothing follows `failed` and `closed`, and nothing `PeerHost.close`. */
  onState(state: PeerState): void;
  onMessage(message: Out): void;
  /** The child process ended and the connection with it; nothing follows. */
  onLost(): void;
}

export interface PeerHostOptions {
  /** Label in metrics and logs. */
  readonly name: string;
  /** The child's module without extension, beside the caller's: it calls `servePeers`. */
  readonly module: URL;
  readonly config: RtcConfig;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** How long the child may take to get up, milliseconds. */
  readonly startMs?: number;
  /** How often the child is asked whether it lives, and how soon it must say so. */
  readonly ping?: { readonly everyMs: number; readonly deadlineMs: number };
}

/**
 * Peer connections in one supervised child process: WebRTC is native code that may crash, and a crash must cost a reconnect,
 * never a session. `Setup` opens a peer, `In` goes to it, `Out` comes from it.
 */
export class PeerHost<Setup, In, Out> implements AsyncDisposable {
  readonly #options: PeerHostOptions;
  readonly #settings: PeerSettings;
  readonly #child: SupervisedChild<ToPeerChild<Setup, In>, PeerReply, FromPeerChild<Out>>;
  readonly #peers = new Map<string, PeerListener<Out>>();
  readonly #watchdog: NodeJS.Timeout;
  #up = false;
  #onUp: () => void = () => {};

  /** Resolves when the child is up. @throws MeshError CONFIG_INVALID: the TURN password cannot be read; TOOL_MISSING: it does not start */
  static async start<Setup, In, Out>(options: PeerHostOptions): Promise<PeerHost<Setup, In, Out>> {
    const host = new PeerHost<Setup, In, Out>(options, await settingsOf(options.config));
    const up = new Promise<boolean>((resolve) => {
      host.#onUp = () => resolve(true);
      setTimeout(() => resolve(false), options.startMs ?? START_MS).unref();
    });
    if (await up) return host;
    await host[Symbol.asyncDispose]();
    const what = 'does not start; is @roamhq/wrtc installed for this platform? Its own words are on stderr';
    throw new MeshError('TOOL_MISSING', `the process ${options.name} ${what}`);
  }

  private constructor(options: PeerHostOptions, settings: PeerSettings) {
    this.#options = options;
    this.#settings = settings;
    this.#child = new SupervisedChild({
      name: options.name,
      module: withExtension(options.module),
      log: options.log,
      metrics: options.metrics,
      backoff: RESTART_PAUSE,
      onStart: () => {
        this.#up = true;
        this.#onUp();
      },
      onExit: () => this.#lost(),
    });
    this.#child.on('event', (event) => this.#receive(event));
    const peers = options.metrics.gauge('talkmesh_peers', 'Peer connections held by the WebRTC child process');
    this.#watchdog = setInterval(
      () => {
        peers.set(this.#peers.size);
        this.#ping();
      },
      (options.ping ?? PING).everyMs,
    );
  }

  /** Process id of the child, undefined while it is down. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  /**
   * Answers an offer.
   * @throws MeshError SDP_INVALID, SDP_TIMEOUT, SESSION_LIMIT (no port is free), PEER_LOST (the child crashed; try again)
   */
  async open(peerId: string, sdp: string, setup: Setup, listener: PeerListener<Out>): Promise<string> {
    this.#peers.set(peerId, listener);
    const { rtcAnswerMs } = this.#options.config;
    try {
      const request = { op: 'open', peerId, sdp, settings: this.#settings, setup } as const;
      return (await this.#child.request(request, { deadlineMs: rtcAnswerMs })).sdp;
    } catch (thrown) {
      const known = this.#peers.delete(peerId);
      const error = MeshError.from(thrown);
      if (error.reason !== 'DEADLINE_EXCEEDED') throw error;
      if (known) this.#child.send({ op: 'close', peerId });
      throw new MeshError('SDP_TIMEOUT', `no answer within ${rtcAnswerMs} ms, offer again`, { cause: thrown });
    }
  }

  /** False: the child is down or does not keep up. */
  post(peerId: string, body: In): boolean {
    return this.#peers.has(peerId) && this.#child.send({ op: 'message', peerId, body });
  }

  /** Unknown peers are closed already. */
  async close(peerId: string): Promise<void> {
    if (!this.#peers.delete(peerId)) return;
    try {
      await this.#child.request({ op: 'close', peerId }, { deadlineMs: CLOSE_MS });
    } catch (err) {
      // A child that crashed or hangs has closed, or will have closed, its connections by ending.
      this.#options.log.debug({ err }, 'a peer was not closed by its child process');
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#watchdog);
    this.#peers.clear();
    await this.#child.dispose();
  }

  #receive(event: FromPeerChild<Out>): void {
    const listener = this.#peers.get(event.peerId);
    if (listener === undefined) return;
    if (event.kind === 'message') {
      listener.onMessage(event.body);
      return;
    }
    if (event.state === 'failed' || event.state === 'closed') this.#peers.delete(event.peerId);
    listener.onState(event.state);
  }

  #lost(): void {
    this.#up = false;
    const lost = [...this.#peers.values()];
    this.#peers.clear();
    for (const listener of lost) listener.onLost();
  }

  /** Native code can also hang; then nothing but ending the process helps. */
  #ping(): void {
    const { pid } = this.#child;
    if (pid === undefined || !this.#up) return;
    const { deadlineMs } = this.#options.ping ?? PING;
    this.#child.request({ op: 'ping' }, { deadlineMs }).catch((thrown: unknown) => {
      if (MeshError.from(thrown).reason !== 'DEADLINE_EXCEEDED' || this.#child.pid !== pid) return;
      this.#options.log.error({ child: this.#options.name }, 'the WebRTC child process hangs, ending it');
      process.kill(pid, 'SIGKILL');
    });
  }
}

/** TypeScript in the working tree, JavaScript in a build: like this module. */
function withExtension(module: URL): URL {
  return new URL(module.href + (import.meta.url.endsWith('.ts') ? '.ts' : '.js'));
}

async function settingsOf(config: RtcConfig): Promise<PeerSettings> {
  const { iceUrls, iceUsername, iceCredentialFile } = config;
  const login = iceUsername === '' ? {} : { username: iceUsername, credential: await readSecret(iceCredentialFile) };
  return {
    portMin: config.rtcPortMin,
    portMax: config.rtcPortMax,
    advertise: config.rtcAdvertise,
    gatherMs: config.rtcGatherMs,
    iceServers: iceUrls.map((url) => ({ urls: [url], ...(url.startsWith('turn') && login) })),
  };
}

async function readSecret(path: string): Promise<string> {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (cause) {
    throw new MeshError('CONFIG_INVALID', `TALKMESH_ICE_CREDENTIAL_FILE=${path} cannot be read`, { cause });
  }
}
