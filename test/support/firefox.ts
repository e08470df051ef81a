import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { WebSocket } from 'ws';
import type { Evaluating } from './call-probe.js';
import { requireTool } from './tools.js';

/** A microphone that is a tone and needs no permission; sound without a click; candidates of the loopback interface. */
const PREFERENCES = {
  'media.navigator.streams.fake': true,
  'media.navigator.permission.disabled': true,
  'media.autoplay.default': 0,
  'media.autoplay.block-webaudio': false,
  'media.peerconnection.ice.loopback': true,
  'media.peerconnection.ice.obfuscate_host_addresses': false,
  'datareporting.policy.dataSubmissionEnabled': false,
  'app.normandy.enabled': false,
  'browser.shell.checkDefaultBrowser': false,
};
const START_MS = 60_000;
const COMMAND_MS = 60_000;

interface Answer {
  readonly id?: number;
  readonly type: 'success' | 'error' | 'event';
  readonly error?: string;
  readonly message?: string;
  readonly result?: unknown;
}

type Waiting = { readonly resolve: (result: unknown) => void; readonly reject: (error: Error) => void };

/** One page of a headless Firefox, driven by WebDriver BiDi (W3C), which Debian's Firefox speaks without another program. */
export class Firefox implements Evaluating, AsyncDisposable {
  readonly #process: ChildProcess;
  readonly #profile: string;
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, Waiting>();
  #sent = 0;
  #context = '';

  private constructor(process: ChildProcess, profile: string, socket: WebSocket) {
    this.#process = process;
    this.#profile = profile;
    this.#socket = socket;
    socket.on('message', (data) => this.#answered(JSON.parse(String(data)) as Answer));
    socket.once('close', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('Firefox closed the connection'));
      this.#waiting.clear();
    });
  }

  static async open(viewport: { readonly width: number; readonly height: number }): Promise<Firefox> {
    const profile = mkdtempSync(join(tmpdir(), 'talkmesh-firefox-'));
    const lines = Object.entries(PREFERENCES).map(
      ([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});`,
    );
    writeFileSync(join(profile, 'user.js'), lines.join('\n'));
    const args = ['--headless', '--no-remote', '--profile', profile, '--remote-debugging-port', '0'];
    const child = spawn(requireTool('firefox-esr'), args, { stdio: ['ignore', 'ignore', 'pipe'] });
    try {
      const socket = new WebSocket(`${await addressOf(child)}/session`);
      await once(socket, 'open');
      const firefox = new Firefox(child, profile, socket);
      await firefox.#start(viewport);
      return firefox;
    } catch (error) {
      child.kill();
      throw error;
    }
  }

  async goto(url: string): Promise<void> {
    await this.#send('browsingContext.navigate', { context: this.#context, url, wait: 'complete' });
  }

  /** Calls a function of the test in the page; argument and result pass as JSON. */
  async evaluate<Result, Argument>(
    action: (argument: Argument) => Result | Promise<Result>,
    argument?: Argument,
  ): Promise<Result> {
    // tsx compiles functions to calls of a helper `__name`, which does not exist in the page.
    const program = `async () => { globalThis.__name ??= (target) => target; return JSON.stringify(await (${action})(${JSON.stringify(argument)})); }`;
    const called = (await this.#send('script.callFunction', {
      functionDeclaration: program,
      awaitPromise: true,
      userActivation: true,
      target: { context: this.#context },
    })) as {
      type: string;
      result?: { value?: string };
      exceptionDetails?: { text: string };
    };
    if (called.type !== 'success') throw new Error(called.exceptionDetails?.text ?? 'the function failed in the page');
    const { value } = called.result ?? {};
    return (value === undefined ? undefined : JSON.parse(value)) as Result;
  }

  async click(selector: string): Promise<void> {
    await this.evaluate((wanted) => {
      const element = document.querySelector<HTMLElement>(wanted);
      if (element === null) throw new Error(`the page has no ${wanted}`);
      element.click();
    }, selector);
  }

  /** Types into a field as the keyboard does. */
  async type(selector: string, text: string): Promise<void> {
    await this.evaluate((wanted) => document.querySelector<HTMLElement>(wanted)?.focus(), selector);
    const actions = [...text].flatMap((value) => [
      { type: 'keyDown', value },
      { type: 'keyUp', value },
    ]);
    await this.#send('input.performActions', {
      context: this.#context,
      actions: [{ type: 'key', id: 'keyboard', actions }],
    });
  }

  /** @returns a PNG of the viewport */
  async screenshot(): Promise<Buffer> {
    const { data } = (await this.#send('browsingContext.captureScreenshot', { context: this.#context })) as {
      data: string;
    };
    return Buffer.from(data, 'base64');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exited = this.#process.exitCode === null ? once(this.#process, 'exit') : undefined;
    this.#socket.terminate();
    this.#process.kill();
    await exited;
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 3 });
  }

  async #start(viewport: { readonly width: number; readonly height: number }): Promise<void> {
    await this.#send('session.new', { capabilities: {} });
    const { contexts } = (await this.#send('browsingContext.getTree', {})) as { contexts: { context: string }[] };
    this.#context = contexts[0]?.context ?? '';
    await this.#send('browsingContext.setViewport', { context: this.#context, viewport });
  }

  #send(method: string, params: object): Promise<unknown> {
    const id = ++this.#sent;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new Error(`Firefox did not answer ${method} within ${COMMAND_MS} ms`));
      }, COMMAND_MS);
      const done =
        <T>(settle: (value: T) => void) =>
        (value: T): void => {
          clearTimeout(timer);
          settle(value);
        };
      this.#waiting.set(id, { resolve: done(resolve), reject: done(reject) });
      this.#socket.send(JSON.stringify({ id, method, params }));
    });
  }

  #answered({ id, type, error, message, result }: Answer): void {
    const waiting = this.#waiting.get(id ?? -1);
    this.#waiting.delete(id ?? -1);
    if (type === 'error') waiting?.reject(new Error(`${error}: ${message}`));
    else waiting?.resolve(result);
  }
}

/** The address of the BiDi server, which Firefox prints. */
async function addressOf(child: ChildProcess): Promise<string> {
  const timer = setTimeout(() => child.kill(), START_MS);
  try {
    if (child.stderr !== null)
      for await (const line of createInterface({ input: child.stderr })) {
        const [, address] = /WebDriver BiDi listening on (ws:\S+)/.exec(line) ?? [];
        if (address !== undefined) return address;
      }
    throw new Error(`Firefox ended, or said nothing within ${START_MS} ms`);
  } finally {
    clearTimeout(timer);
    child.stderr?.resume();
  }
}
