import { parseArgs } from 'node:util';
import { MeshError, sentence } from '@talkmesh/contracts';
import { aborted } from '@talkmesh/service-kit';
import { EXIT, UsageError } from './cli-errors.js';
import { listenForEnd } from './ending.js';
import { type Mesh, modelFolder, startMesh } from './mesh.js';
import { PROVIDER_FLAGS, providerEnv } from './provider-options.js';
import { readManifest } from './render/avatars.js';
import { findOrInstall } from './system-package.js';
import type { findProgram } from './tools.js';

export const DEMO_HELP = `talkmesh demo [--port 8480] [--model FOLDER] [--provider NAME] [--provider-url URL] [--provider-key-file FILE]
              [--provider-model MODEL] [--provider-voice VOICE]
  Starts NATS and the six services on this machine and prints the link to the demo page. Ctrl-C stops it.
  --model is a model folder; without it TALKMESH_MODEL, or the model that ships (nano).
  Installs nats-server and espeak-ng (the voice of typed lines) as packages of the distribution when they are missing.
  --provider decides who answers: parrot (default) repeats the caller; docs/providers.md lists the others.`;

const FIRST_PORT = 8480;
const FLAGS = {
  port: { type: 'string', default: String(FIRST_PORT) },
  model: { type: 'string' },
  ...PROVIDER_FLAGS,
} as const;

const print = (line: string): void => void process.stdout.write(`${line}\n`);

/** Runs until Ctrl-C. @returns the exit code */
export async function demo(args: readonly string[]): Promise<number> {
  const {
    values: { port, model, ...provider },
  } = parseArgs({ args: [...args], options: FLAGS });
  const httpPort = parsePort(port);
  const folder = modelFolder(model);
  readManifest(folder);
  const env = providerEnv(provider);
  let mesh: Mesh | undefined;
  using ending = listenForEnd(() => {
    mesh?.kill();
    process.exit(EXIT.failure);
  });
  print('Starting talkmesh: NATS and six services');
  const begin = performance.now();
  const noVoice = await missingVoice(process.env, print);
  try {
    mesh = await startMesh({ httpPort, model: folder, env, say: print, signal: ending.signal });
  } catch (error) {
    if (!ending.signal.aborted) throw error;
    print('Stopped.');
    return EXIT.ok;
  }
  print(welcome(mesh, provider.provider ?? 'parrot', noVoice, (performance.now() - begin) / 1000));
  const failure = await Promise.race([aborted(ending.signal).then(() => undefined), mesh.failed]);
  if (failure === undefined) print('Stopping; press Ctrl-C again to stop at once.');
  await mesh.stop();
  if (failure !== undefined) throw failure;
  print('Stopped.');
  return EXIT.ok;
}

function parsePort(text: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port >= 0 && port < 65_536) return port;
  throw new UsageError(`--port must be a number from 0 to 65535, not ${text}`);
}

/** Typed lines need a voice; everything else works without. @returns what is missing, and what to do about it */
export async function missingVoice(
  env: NodeJS.ProcessEnv,
  say: (line: string) => void,
  find?: typeof findProgram,
): Promise<string | undefined> {
  const voice = {
    program: 'espeak-ng',
    missing: 'typed lines need the voice of the program espeak-ng',
    elsewhere: 'install it with the package manager of this system',
  };
  try {
    await findOrInstall(voice, env, say, find);
    return undefined;
  } catch (error) {
    return MeshError.from(error).message;
  }
}

function welcome(mesh: Mesh, provider: string, noVoice: string | undefined, seconds: number): string {
  const answer = provider === 'parrot' ? 'the avatar repeats what you say in another voice' : `${provider} answers`;
  const typingStep =
    noVoice === undefined ? '  2. Or type a line, and the avatar speaks it.' : `  2. ${sentence(noVoice)}`;
  return [
    `Ready after ${seconds.toFixed(1)} s. Open this link in a browser on this machine:`,
    '',
    `  ${mesh.httpUrl}/#key=${mesh.apiKey}`,
    '',
    `  1. Pick an avatar, press Call and talk; ${answer}.`,
    typingStep,
    '',
    `  For programs: ${mesh.httpUrl} (OpenAPI: /openapi.json), gRPC ${mesh.grpcAddress}, API key ${mesh.apiKey}`,
    `  Logs: ${mesh.logFolder}   Ctrl-C stops everything.`,
  ].join('\n');
}
