import { type ChildProcess, execFile, fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { until } from '@talkmesh/service-kit/testing';

/**
 * LiveKit Agents, and what it leaves to its users: the library and zod, which npm may be told not to install by itself. Together 285 MB, so
 * they are no part of this repository's packages.
 */
const PACKAGES = { '@livekit/agents': '1.9.0', '@livekit/rtc-node': '0.13.35', zod: '4.6.7' } as const;
const INSTALL_MS = 30 * 60_000;
const PATIENCE_MS = 60_000;
/** Pitch at the start of a segment, and how much it rises in a second. */
const CHIRP = { baseHz: 300, slopeHz: 300 } as const;

/** The folder in ~/.cache/talkmesh whose node_modules hold LiveKit Agents, which npm installs once. @throws Error of npm */
export async function requireLivekitAgents(say: (line: string) => void): Promise<string> {
  const cache = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'talkmesh');
  const folder = join(cache, `livekit-agents-${PACKAGES['@livekit/agents']}`);
  if (existsSync(folder)) return folder;
  const building = join(cache, `livekit-agents-${process.pid}`);
  await mkdir(building, { recursive: true });
  say(`installing LiveKit Agents once, into ${folder}: 285 MB`);
  await writeFile(join(building, 'package.json'), JSON.stringify({ private: true, dependencies: PACKAGES }));
  await promisify(execFile)('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund'], {
    cwd: building,
    timeout: INSTALL_MS,
  });
  await rename(building, folder).catch(async (error: NodeJS.ErrnoException) => {
    // Another run was faster.
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    await rm(building, { recursive: true });
  });
  return folder;
}

/** What the agent's process is told to do. Times are milliseconds. */
export type AgentCommand =
  /** Sends a tone with a rising pitch in frames of 20 ms, faster than real time. */
  | { readonly op: 'push'; readonly ms: number; readonly rateHz: number }
  | { readonly op: 'flush' }
  /** As DataStreamAudioOutput does it, which does not wait for the answer. */
  | { readonly op: 'clear' }
  | { readonly op: 'call-clear' };

/** What happened in the agent, with its time by Date.now(). */
export type AgentEvent =
  | { readonly type: 'ready'; readonly atMs: number }
  | { readonly type: 'started'; readonly atMs: number }
  | { readonly type: 'pushed'; readonly atMs: number }
  | { readonly type: 'answered'; readonly atMs: number; readonly answer: string }
  | {
      readonly type: 'finished';
      readonly atMs: number;
      readonly playbackPosition: number;
      readonly interrupted: boolean;
    };

/** An agent of LiveKit Agents with its own `DataStreamAudioOutput`, in a process of its own. */
export class TestAgent implements AsyncDisposable {
  readonly events: AgentEvent[] = [];
  readonly #process: ChildProcess;
  #stderr = '';

  /** @param avatar identity of the avatar's participant */
  static async join(options: { url: string; token: string; avatar: string }): Promise<TestAgent> {
    const folder = await requireLivekitAgents((line) => process.stderr.write(`${line}\n`));
    const agent = new TestAgent({ ...options, folder });
    await agent.next('ready');
    return agent;
  }

  private constructor(options: object) {
    const module = fileURLToPath(new URL('livekit-agent-process.mjs', import.meta.url));
    this.#process = fork(module, [JSON.stringify({ ...options, ...CHIRP })], {
      execArgv: [],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    this.#process.on('message', (event) => this.events.push(event as AgentEvent));
    this.#process.stderr?.on('data', (data: Buffer) => {
      this.#stderr += data.toString();
    });
  }

  of<T extends AgentEvent['type']>(type: T): Extract<AgentEvent, { type: T }>[] {
    return this.events.filter((event): event is Extract<AgentEvent, { type: T }> => event.type === type);
  }

  /** The `count`-th event of its type. */
  async next<T extends AgentEvent['type']>(type: T, count = 1): Promise<Extract<AgentEvent, { type: T }>> {
    const isThere = (): boolean => {
      if (this.#process.exitCode !== null) throw new Error(`the agent ended:\n${this.#stderr}`);
      return this.of(type).length >= count;
    };
    await until(`${type} ${count} of the agent`, isThere, PATIENCE_MS).catch((error: Error) => {
      throw new Error(`${error.message}; it reported ${JSON.stringify(this.events)}\n${this.#stderr}`);
    });
    return this.of(type)[count - 1] as Extract<AgentEvent, { type: T }>;
  }

  do(command: AgentCommand): void {
    this.#process.send(command);
  }

  /** Says a tone as one segment. */
  say(ms: number, rateHz = 24_000): void {
    this.do({ op: 'push', ms, rateHz });
    this.do({ op: 'flush' });
  }

  /** Ends the process as a crash does. */
  async kill(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#process.once('exit', resolve));
    this.#process.kill('SIGKILL');
    await ended;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }
}

/**
 * Which moment of its segment the end of a piece of the tone is, milliseconds: by its pitch, so that what the network stretched or lost before does
 * not count. @param pcm about 40 ms of the tone
 */
export function momentOf(pcm: Int16Array, rateHz: number): number {
  const crossings: number[] = [];
  for (let i = 1; i < pcm.length; i += 1) {
    const [a, b] = [pcm[i - 1] ?? 0, pcm[i] ?? 0];
    if (a < 0 && b >= 0) crossings.push(i - b / (b - a));
  }
  const [first = 0, last = 1] = [crossings[0], crossings.at(-1)];
  const hz = ((crossings.length - 1) * rateHz) / (last - first);
  const middleMs = ((hz - CHIRP.baseHz) / CHIRP.slopeHz) * 1000;
  return middleMs + ((pcm.length - (first + last) / 2) * 1000) / rateHz;
}
