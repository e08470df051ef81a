import { MeshError } from '@talkmesh/contracts';
import { type Gauge, type Logger, type Metrics, SupervisedChild } from '@talkmesh/service-kit';
import type { FromConnectionChild, ToConnectionChild } from './protocol.js';

const START_MS = 30_000;
const CLOSE_MS = 2000;
const PING = { everyMs: 5000, deadlineMs: 10_000 };
const RESTART_PAUSE = { minMs: 100, maxMs: 5000 };

/** Receives what happens to one connection. */
export interface ConnectionListener<State, Out> {
  /** No call follows `failed`, `closed` or `ConnectionHost.close`. */
  onState(state: State, cause?: string): void;
  onMessage(message: Out): void;
  /** The child process exited and its connections with it; no call follows. */
  onLost(): void;
}

export interface ConnectionHostOptions {
  /** Label in metrics and logs. */
  readonly name: string;
  /** URL of the child's module without its extension. */
  readonly module: URL;
  /** The native package that the child needs, named when it does not start. */
  readonly needs: string;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Set to the number of connections now and then. */
  readonly gauge: Gauge;
  /** How long the child may take to start, milliseconds. */
  readonly startMs?: number;
  /** Interval of the liveness requests to the child, and the deadline of each. */
  readonly ping?: { readonly everyMs: number; readonly deadlineMs: number };
}

/**
 * Holds connections in one supervised child process: WebRTC is native code that may crash, and a crash must cost a reconnect, never a
 * session. `Open` is the request that opens a connection, `Change` one that changes it, and `Reply` the answer to both; `In` are messages
 * to a connection, `Out` messages from it.
 */
export class ConnectionHost<Open, Reply, State extends string, In, Out, Change = never> implements AsyncDisposable {
  readonly #options: ConnectionHostOptions;
  readonly #child: SupervisedChild<ToConnectionChild<Open, In, Change>, Reply, FromConnectionChild<State, Out>>;
  readonly #listeners = new Map<string, ConnectionListener<State, Out>>();
  readonly #watchdog: NodeJS.Timeout;
  #isUp = false;
  #onStarted: () => void = () => {};

  /** Resolves when the child has started. @throws MeshError TOOL_MISSING: it does not start */
  static async start<Open, Reply, State extends string, In, Out, Change = never>(
    options: ConnectionHostOptions,
  ): Promise<ConnectionHost<Open, Reply, State, In, Out, Change>> {
    const host = new ConnectionHost<Open, Reply, State, In, Out, Change>(options);
    const up = new Promise<boolean>((resolve) => {
      host.#onStarted = () => resolve(true);
      setTimeout(() => resolve(false), options.startMs ?? START_MS).unref();
    });
    if (await up) return host;
    await host[Symbol.asyncDispose]();
    const what = `did not start; check that ${options.needs} is installed for this platform, and read its error on stderr`;
    throw new MeshError('TOOL_MISSING', `the process ${options.name} ${what}`);
  }

  private constructor(options: ConnectionHostOptions) {
    this.#options = options;
    const { name, module, log, metrics } = options;
    this.#child = new SupervisedChild({
      ...{ name, log, metrics, backoff: RESTART_PAUSE, module: withExtension(module) },
      onStart: () => {
        this.#isUp = true;
        this.#onStarted();
      },
      onExit: () => this.#lost(),
    });
    this.#child.on('event', (event) => this.#receive(event));
    this.#watchdog = setInterval(
      () => {
        options.gauge.set(this.#listeners.size);
        this.#ping();
      },
      (options.ping ?? PING).everyMs,
    );
  }

  /** Process id of the child, undefined while it is down. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** @throws MeshError of the child; DEADLINE_EXCEEDED; PEER_LOST: the child crashed, try again */
  async open(
    id: string,
    request: Open,
    listener: ConnectionListener<State, Out>,
    options: { readonly deadlineMs: number },
  ): Promise<Reply> {
    this.#listeners.set(id, listener);
    try {
      return await this.#child.request({ op: 'open', id, request }, options);
    } catch (thrown) {
      const known = this.#listeners.delete(id);
      const error = MeshError.from(thrown);
      if (error.reason === 'DEADLINE_EXCEEDED' && known) this.#child.send({ op: 'close', id });
      throw error;
    }
  }

  /** Changes a connection. @throws MeshError NOT_FOUND: it is closed; of the child; DEADLINE_EXCEEDED; PEER_LOST */
  async change(id: string, change: Change, options: { readonly deadlineMs: number }): Promise<Reply> {
    if (!this.#listeners.has(id)) throw new MeshError('NOT_FOUND', 'this connection is closed; send a new offer');
    return this.#child.request({ op: 'change', id, change }, options);
  }

  /** Sends a message to a connection. Returns false when the child is down or its queue is full. */
  post(id: string, body: In): boolean {
    return this.#listeners.has(id) && this.#child.send({ op: 'message', id, body });
  }

  /** Closes a connection. An unknown one is already closed, so that is no error. */
  async close(id: string): Promise<void> {
    if (!this.#listeners.delete(id)) return;
    try {
      await this.#child.request({ op: 'close', id }, { deadlineMs: CLOSE_MS });
    } catch (err) {
      // A child that crashed or hangs closes its connections when it exits.
      this.#options.log.debug(
        { err, child: this.#options.name },
        'the child did not confirm the close of a connection',
      );
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#watchdog);
    this.#listeners.clear();
    await this.#child.dispose();
  }

  #receive(event: FromConnectionChild<State, Out>): void {
    const listener = this.#listeners.get(event.id);
    if (listener === undefined) return;
    if (event.kind === 'message') {
      listener.onMessage(event.body);
      return;
    }
    if (event.state === 'failed' || event.state === 'closed') this.#listeners.delete(event.id);
    listener.onState(event.state, event.cause);
  }

  #lost(): void {
    this.#isUp = false;
    const lost = [...this.#listeners.values()];
    this.#listeners.clear();
    for (const listener of lost) listener.onLost();
  }

  /** Native code can also hang; only killing the process helps then. */
  #ping(): void {
    const { pid } = this.#child;
    if (pid === undefined || !this.#isUp) return;
    const { deadlineMs } = this.#options.ping ?? PING;
    this.#child.request({ op: 'ping' }, { deadlineMs }).catch((thrown: unknown) => {
      if (MeshError.from(thrown).reason !== 'DEADLINE_EXCEEDED' || this.#child.pid !== pid) return;
      this.#options.log.error({ child: this.#options.name }, 'the WebRTC child process does not respond and is killed');
      process.kill(pid, 'SIGKILL');
    });
  }
}

/** Uses the extension of this module: TypeScript in the working tree, JavaScript in a build. */
function withExtension(module: URL): URL {
  return new URL(module.href + (import.meta.url.endsWith('.ts') ? '.ts' : '.js'));
}
