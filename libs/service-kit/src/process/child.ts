import { type ChildProcess, fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { MeshError } from '@talkmesh/contracts';
import type { Logger } from '../logging.js';
import type { Counter, Metrics } from '../metrics.js';
import { type FromChild, meshErrorFromWire, type ToChild } from './child-protocol.js';

export interface ChildExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Time until the restart, milliseconds; undefined after `dispose`. */
  readonly restartInMs: number | undefined;
}

export interface SupervisedChildOptions {
  /** Label of talkmesh_child_restarts_total. */
  readonly name: string;
  /** The module to fork, which calls `serveParent`. When the .ts file does not exist, the built .js is used, and the reverse. */
  readonly module: URL | string;
  readonly args?: readonly string[];
  /** Environment of the child. Default: that of this process. */
  readonly env?: NodeJS.ProcessEnv;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Called after every exit of the child. Its state is lost. */
  onExit?(exit: ChildExit): void;
  /** Called after every start, the first included, when the child reports that it is up. */
  onStart?(): void;
  /** Exponential back-off before a restart: doubles from minMs to maxMs; a child that ran for stableMs resets it. */
  readonly backoff?: { readonly minMs?: number; readonly maxMs?: number; readonly stableMs?: number };
  /** Most messages that wait in the IPC channel; `send` refuses further ones. Default 256. */
  readonly maxPending?: number;
}

const BACKOFF = { minMs: 200, maxMs: 5000, stableMs: 10_000 };
const KILL_AFTER_MS = 2000;
const DEFAULT_MAX_PENDING = 256;

interface PendingRequest<Out> {
  resolve(reply: Out): void;
  reject(error: MeshError): void;
  readonly timer: NodeJS.Timeout;
}

/**
 * A child process that may crash. It is restarted with exponential back-off, and a crash loses only the requests in progress and the
 * child's state. `In`: messages to the child. `Out`: replies to requests. `Ev`: events that the child sends on its own. All are
 * structured-clone values; typed arrays arrive as copies.
 */
export class SupervisedChild<In, Out = unknown, Ev = Out> {
  readonly #options: SupervisedChildOptions;
  readonly #backoff: typeof BACKOFF;
  readonly #restarts: Counter;
  readonly #refused: Counter;
  readonly #pending = new Map<number, PendingRequest<Out>>();
  readonly #listeners = new Set<(event: Ev) => void>();
  #child: ChildProcess | undefined;
  #nextId = 1;
  #unsent = 0;
  #crashesInARow = 0;
  #startedAt = 0;
  #restartTimer: NodeJS.Timeout | undefined;
  #disposed: Promise<void> | undefined;

  constructor(options: SupervisedChildOptions) {
    this.#options = options;
    this.#backoff = { ...BACKOFF, ...options.backoff };
    this.#restarts = options.metrics.counter('talkmesh_child_restarts_total', 'Restarts of child processes', ['child']);
    this.#refused = options.metrics.counter(
      'talkmesh_child_messages_refused_total',
      'Messages that were not sent because the child is down or does not keep up',
      ['child'],
    );
    for (const counter of [this.#restarts, this.#refused]) counter.inc({ child: options.name }, 0);
    this.#start();
  }

  /** Process id; undefined while the child is down. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  on(_event: 'event', listener: (event: Ev) => void): void {
    this.#listeners.add(listener);
  }

  /** Sends a message without a reply. @returns false when it was not sent, because the child is down or `maxPending` messages wait */
  send(message: In): boolean {
    return this.#post({ kind: 'message', message });
  }

  /**
   * Sends a request and waits for the reply. @throws MeshError: that of the child's handler; PEER_LOST when the child is down or crashes;
   * DEADLINE_EXCEEDED; CANCELLED after `dispose`
   */
  request(message: In, options: { readonly deadlineMs: number }): Promise<Out> {
    const id = this.#nextId++;
    return new Promise<Out>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        reject(
          new MeshError('DEADLINE_EXCEEDED', `${this.#options.name} did not answer within ${options.deadlineMs} ms`),
        );
      }, options.deadlineMs);
      this.#pending.set(id, { resolve, reject, timer });
      if (!this.#post({ kind: 'request', id, message })) this.#takePending(id)?.reject(this.#lost('is not running'));
    });
  }

  /** Ends the child for good: SIGTERM, and after 2 s SIGKILL. */
  dispose(): Promise<void> {
    this.#disposed ??= this.#end();
    return this.#disposed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  #start(): void {
    const { module, args, env, log, name } = this.#options;
    const child = fork(resolveModule(module), [...(args ?? [])], {
      serialization: 'advanced',
      execArgv: process.execArgv.filter((argument) => !/^--(test|inspect)/.test(argument)),
      ...(env !== undefined && { env }),
    });
    this.#child = child;
    this.#unsent = 0;
    this.#startedAt = performance.now();
    child.on('message', (message) => this.#receive(message as FromChild<Out, Ev>));
    child.on('error', (err) => {
      log.error({ err, child: name }, 'child process error');
      if (child.pid === undefined) this.#exited(child, null, null);
    });
    child.once('exit', (code, signal) => this.#exited(child, code, signal));
  }

  #post(message: ToChild<In>): boolean {
    const child = this.#child;
    const full = this.#unsent >= (this.#options.maxPending ?? DEFAULT_MAX_PENDING);
    if (child === undefined || !child.connected || full) {
      this.#refused.inc({ child: this.#options.name });
      return false;
    }
    child.send(message, () => {
      if (this.#child === child) this.#unsent--;
    });
    this.#unsent++;
    return true;
  }

  #receive(message: FromChild<Out, Ev>): void {
    if (message.kind === 'up') this.#options.onStart?.();
    else if (message.kind === 'event') this.#notifyListeners(message.event);
    else if (message.kind === 'reply') this.#takePending(message.id)?.resolve(message.reply);
    else this.#takePending(message.id)?.reject(meshErrorFromWire(message.error));
  }

  #notifyListeners(event: Ev): void {
    for (const listener of this.#listeners) {
      try {
        listener(event);
      } catch (err) {
        this.#options.log.error({ err, child: this.#options.name }, 'a listener of child events failed');
      }
    }
  }

  #takePending(id: number): PendingRequest<Out> | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    clearTimeout(pending?.timer);
    return pending;
  }

  #exited(child: ChildProcess, code: number | null, signal: NodeJS.Signals | null): void {
    if (this.#child !== child) return;
    this.#child = undefined;
    const { name, log } = this.#options;
    const error =
      this.#disposed === undefined ? this.#lost('crashed') : new MeshError('CANCELLED', `${name} was ended`);
    for (const id of [...this.#pending.keys()]) this.#takePending(id)?.reject(error);
    const restartInMs = this.#disposed === undefined ? this.#scheduleRestart() : undefined;
    if (restartInMs !== undefined)
      log.warn({ child: name, code, signal, restartInMs }, 'child process exited, restarting it');
    this.#options.onExit?.({ code, signal, restartInMs });
  }

  #scheduleRestart(): number {
    const { minMs, maxMs, stableMs } = this.#backoff;
    this.#crashesInARow = performance.now() - this.#startedAt >= stableMs ? 1 : this.#crashesInARow + 1;
    const waitMs = Math.min(maxMs, minMs * 2 ** (this.#crashesInARow - 1));
    this.#restartTimer = setTimeout(() => {
      this.#restarts.inc({ child: this.#options.name });
      this.#start();
    }, waitMs);
    return waitMs;
  }

  #lost(what: string): MeshError {
    if (this.#disposed !== undefined)
      return new MeshError('CANCELLED', `the child process ${this.#options.name} was ended`);
    return new MeshError('PEER_LOST', `the child process ${this.#options.name} ${what}`);
  }

  async #end(): Promise<void> {
    clearTimeout(this.#restartTimer);
    const child = this.#child;
    if (child === undefined) return;
    const exited = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    const kill = setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS);
    await exited;
    clearTimeout(kill);
  }
}

function resolveModule(module: URL | string): string {
  const path = module instanceof URL ? fileURLToPath(module) : module;
  const other = path.endsWith('.ts') ? path.replace(/ts$/, 'js') : path.replace(/js$/, 'ts');
  return !existsSync(path) && existsSync(other) ? other : path;
}
