import { type OpenedProvider, type OpenedProviderOptions, openWithServer } from './open-provider.js';
import { RealtimeTestServer, type RealtimeTestServerOptions } from './realtime-server.js';
import { tone } from './tone.js';

export const question = tone(200, 600, 6000);
export const silence = (ms: number): Int16Array => new Int16Array(ms * 24);
export const ms = (pcm: Int16Array): number => pcm.length / 24;

export async function talk(
  serverOptions: RealtimeTestServerOptions,
  env: NodeJS.ProcessEnv = {},
  options: OpenedProviderOptions = {},
): Promise<{ server: RealtimeTestServer; provider: OpenedProvider } & AsyncDisposable> {
  const server = await RealtimeTestServer.start(serverOptions);
  const settings = { TALKMESH_OPENAI_REALTIME_URL: server.url, ...env };
  return openWithServer(server, 'openai-realtime', settings, options);
}

/** The user asks something; the server hears the end of it. */
export const ask = (provider: OpenedProvider): void => provider.hear(new Int16Array([...question, ...silence(400)]));
