import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { until } from '@talkmesh/service-kit/testing';
import { AccessToken, RoomServiceClient, type VideoGrant } from 'livekit-server-sdk';
import { freePort } from './free-port.js';

/** The newest release without `replace` lines in its go.mod, which `go install` refuses. */
const VERSION = 'v1.13.5';
const START_MS = 30_000;
const BUILD_MS = 60 * 60_000;

/**
 * The livekit-server program: TALKMESH_LIVEKIT_SERVER, or one that Go builds once from its module proxy and keeps in ~/.cache/talkmesh.
 * @throws Error when Go is missing or too old
 */
export async function requireLivekitServer(say: (line: string) => void): Promise<string> {
  const given = process.env['TALKMESH_LIVEKIT_SERVER'];
  if (given) return given;
  const folder = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'talkmesh');
  const program = join(folder, `livekit-server-${VERSION}`);
  if (existsSync(program)) return program;
  const building = join(folder, `go-bin-${process.pid}`);
  await mkdir(building, { recursive: true });
  say(
    `building livekit-server ${VERSION} once with Go, into ${program}: several minutes and about 1 GB of Go's caches`,
  );
  try {
    const env = { ...process.env, GOBIN: building };
    const module = `github.com/livekit/livekit-server/cmd/server@${VERSION}`;
    await promisify(execFile)('go', ['install', module], { env, timeout: BUILD_MS });
  } catch (cause) {
    const what = 'livekit-server could not be built: it needs Go 1.26 or newer and its module proxy';
    throw new Error(`${what}; or name a program with TALKMESH_LIVEKIT_SERVER`, { cause });
  }
  await rename(join(building, 'server'), program);
  await rm(building, { recursive: true });
  return program;
}

export interface LivekitServerOptions {
  /** `room.sync_streams`: whether browsers are told how audio and video belong together. */
  readonly syncStreams?: boolean;
}

/** A real livekit-server on free ports of the loopback interface, with a key of its own. */
export class LivekitServer implements AsyncDisposable {
  readonly url: string;
  readonly apiKey = 'testkey';
  readonly apiSecret = randomBytes(24).toString('hex');
  readonly rooms: RoomServiceClient;
  readonly #program: string;
  readonly #folder: string;
  readonly #port: number;
  #process: ChildProcess | undefined;
  #log = '';

  static async start({ syncStreams = true }: LivekitServerOptions = {}): Promise<LivekitServer> {
    const program = await requireLivekitServer((line) => process.stderr.write(`${line}\n`));
    const folder = await mkdtemp(join(tmpdir(), 'talkmesh-livekit-'));
    const [port, tcpPort, udpPort] = [await freePort(), await freePort(), await freePort()];
    const server = new LivekitServer(program, folder, port);
    const config = {
      port,
      bind_addresses: ['127.0.0.1'],
      keys: { [server.apiKey]: server.apiSecret },
      rtc: {
        ...{ tcp_port: tcpPort, udp_port: udpPort, node_ip: '127.0.0.1', use_external_ip: false },
        ...{ enable_loopback_candidate: true, interfaces: { includes: ['lo'] } },
        // Without an entry participants are told to ask a STUN server on the internet.
        stun_servers: [`127.0.0.1:${udpPort}`],
      },
      // Without it the API can mute a track, but not undo that.
      room: { sync_streams: syncStreams, enable_remote_unmute: true },
      // Above the load of any machine: otherwise a busy one gets no agents.
      agents: { target_load: 2 },
    };
    // JSON is YAML.
    await writeFile(join(folder, 'livekit.yaml'), JSON.stringify(config), { mode: 0o600 });
    await server.start();
    return server;
  }

  private constructor(program: string, folder: string, port: number) {
    this.#program = program;
    this.#folder = folder;
    this.#port = port;
    this.url = `ws://127.0.0.1:${port}`;
    this.rooms = new RoomServiceClient(`http://127.0.0.1:${port}`, this.apiKey, this.apiSecret);
  }

  get log(): string {
    return this.#log;
  }

  /** Starts the server, again on the same ports after `kill`. */
  async start(): Promise<void> {
    const server = spawn(this.#program, ['--config', join(this.#folder, 'livekit.yaml')], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#process = server;
    for (const stream of [server.stdout, server.stderr])
      stream.on('data', (data: Buffer) => {
        this.#log += data.toString();
      });
    const answers = async (): Promise<boolean> => {
      if (server.exitCode !== null) throw new Error(`livekit-server ended:\n${this.#log}`);
      return fetch(`http://127.0.0.1:${this.#port}`).then(
        ({ ok }) => ok,
        () => false,
      );
    };
    await until('livekit-server', answers, START_MS);
  }

  /** Ends the server with SIGKILL: connections break as at a crash. */
  async kill(): Promise<void> {
    const server = this.#process;
    if (server === undefined || server.exitCode !== null || server.signalCode !== null) return;
    const ended = new Promise((resolve) => server.once('exit', resolve));
    server.kill('SIGKILL');
    await ended;
  }

  /** A token for one identity in one room. */
  token(identity: string, room: string, grant: VideoGrant = {}, kind?: string): Promise<string> {
    const token = new AccessToken(this.apiKey, this.apiSecret, { identity, ttl: '1h' });
    if (kind !== undefined) token.kind = kind;
    token.addGrant({ roomJoin: true, room, canPublish: true, canSubscribe: true, canPublishData: true, ...grant });
    return token.toJwt();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
