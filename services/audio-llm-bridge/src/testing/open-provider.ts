import { setTimeout as sleep } from 'node:timers/promises';
import type { SessionChoices } from '@talkmesh/contracts';
import { createLogger } from '@talkmesh/service-kit';
import { parseConfig } from '../config.js';
import { joinPcm } from '../pcm.js';
import type { ProviderOptions, ProviderOutput, ProviderSession } from '../providers/provider.js';
import { ProviderRegistry } from '../providers/registry.js';

type OutputOf<K extends ProviderOutput['kind']> = Extract<ProviderOutput, { kind: K }>;

export interface OpenedProviderOptions {
  readonly choices?: Partial<SessionChoices>;
  readonly key?: string;
  readonly isTakeover?: boolean;
  readonly history?: ProviderOptions['history'];
}

/** A session of a provider as the registry makes it from environment variables, with everything that it emits and logs. */
export class OpenedProvider implements AsyncDisposable {
  readonly outputs: ProviderOutput[] = [];
  readonly logLines: string[] = [];
  session!: ProviderSession;
  #atMs = 0;

  /** @throws MeshError of the provider */
  static async open(
    name: string,
    env: NodeJS.ProcessEnv,
    { choices, key = '', isTakeover = false, history = [] }: OpenedProviderOptions = {},
  ): Promise<OpenedProvider> {
    const opened = new OpenedProvider();
    const settings = { service: 'audio-llm-bridge', instanceId: 'bridge-1', level: 'trace', pretty: false };
    const options: ProviderOptions = {
      sessionId: 's',
      choices: { instructions: '', voice: '', language: '', input: 'voice-activity', tools: [], ...choices },
      ...{ key, isTakeover, history },
      log: createLogger(settings, { write: (line) => opened.logLines.push(line) }),
      signal: new AbortController().signal,
    };
    const provider = (await ProviderRegistry.load(parseConfig(env))).find(name);
    opened.session = await provider.open(options, (output) => opened.outputs.push(output));
    return opened;
  }

  /** Sends microphone audio in messages of 20 ms. */
  hear(pcm: Int16Array): void {
    for (let at = 0; at < pcm.length; at += 480) {
      this.session.push({ kind: 'audio', pcm: pcm.slice(at, at + 480), endOfTurn: false, atMs: this.#atMs });
      this.#atMs += 20;
    }
  }

  of<K extends ProviderOutput['kind']>(kind: K): OutputOf<K>[] {
    return this.outputs.filter((output): output is OutputOf<K> => output.kind === kind);
  }

  /** All speech, or that of one response. */
  speech(response?: string): Int16Array {
    const pieces = this.of('speech').filter((output) => response === undefined || output.response === response);
    return joinPcm(pieces.map(({ pcm }) => pcm));
  }

  get failures(): string[] {
    return this.of('failed').map(({ error }) => error.message);
  }

  /** What both sides said, as `role: text`, in final transcripts. */
  get said(): string[] {
    return this.of('transcript').flatMap(({ role, text, final }) => (final ? [`${role}: ${text}`] : []));
  }

  /** Waits for the n-th output of a kind. */
  async until<K extends ProviderOutput['kind']>(kind: K, count = 1): Promise<OutputOf<K>> {
    await waitFor(
      () => this.of(kind).length >= count,
      () => `${count} ${kind}; there are: ${summary(this.outputs)}`,
    );
    return this.of(kind)[count - 1] as OutputOf<K>;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.session[Symbol.asyncDispose]();
  }
}

export async function waitFor(condition: () => boolean, what: () => string, patienceMs = 20_000): Promise<void> {
  for (const end = performance.now() + patienceMs; performance.now() < end; await sleep(5)) if (condition()) return;
  throw new Error(`waited in vain for ${what()}`);
}

function summary(outputs: readonly ProviderOutput[]): string {
  const counts = new Map<string, number>();
  for (const output of outputs) {
    const key = output.kind === 'failed' ? `failed (${output.error.message})` : output.kind;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return [...counts].map(([kind, count]) => `${count} ${kind}`).join(', ') || 'none';
}

/** A provider's session with its test server; both end together, also when the session cannot be opened. */
export async function openWithServer<S extends AsyncDisposable>(
  server: S,
  name: string,
  env: NodeJS.ProcessEnv,
  options: OpenedProviderOptions,
): Promise<{ server: S; provider: OpenedProvider } & AsyncDisposable> {
  const provider = await OpenedProvider.open(name, env, options).catch(async (error: unknown) => {
    await server[Symbol.asyncDispose]();
    throw error;
  });
  return {
    ...{ server, provider },
    async [Symbol.asyncDispose]() {
      await provider[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}
