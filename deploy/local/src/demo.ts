import { parseArgs } from 'node:util';
import { aborted } from '@talkmesh/service-kit';
import { EXIT, UsageError } from './cli-errors.js';
import { listenForEnd } from './ending.js';
import { type Mesh, startMesh } from './mesh.js';
import { findProgram } from './tools.js';

export const DEMO_HELP = `talkmesh demo [--port 8480]
  Starts NATS and the six services on this machine and prints the link of the demo page. Ctrl-C ends it.`;

const FIRST_PORT = 8480;

const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** Runs until Ctrl-C. @returns the exit code */
export async function demo(args: readonly string[]): Promise<number> {
  const httpPort = parsePort(args);
  let mesh: Mesh | undefined;
  using ending = listenForEnd(() => {
    mesh?.kill();
    process.exit(EXIT.failure);
  });
  say('Starting talkmesh: NATS and six services');
  const begin = performance.now();
  try {
    mesh = await startMesh({ httpPort, say, signal: ending.signal });
  } catch (error) {
    if (!ending.signal.aborted) throw error;
    say('Stopped.');
    return EXIT.ok;
  }
  say(welcome(mesh, (performance.now() - begin) / 1000));
  const failure = await Promise.race([aborted(ending.signal).then(() => undefined), mesh.failed]);
  if (failure === undefined) say('Stopping; press Ctrl-C again to end at once.');
  await mesh.stop();
  if (failure !== undefined) throw failure;
  say('Stopped.');
  return EXIT.ok;
}

function parsePort(args: readonly string[]): number {
  const { values } = parseArgs({ args: [...args], options: { port: { type: 'string', default: String(FIRST_PORT) } } });
  const port = Number(values.port);
  if (Number.isInteger(port) && port >= 0 && port < 65_536) return port;
  throw new UsageError(`--port is a number from 0 to 65535, not ${values.port}`);
}

function welcome(mesh: Mesh, seconds: number): string {
  const typing = findProgram('espeak-ng')
    ? '  2. Or type a line, and the avatar says it.'
    : '  2. To have it say what you type, install a voice first: apt-get install espeak-ng';
  return [
    `Ready after ${seconds.toFixed(1)} s. Open this link in a browser on this machine:`,
    '',
    `  ${mesh.httpUrl}/#key=${mesh.apiKey}`,
    '',
    '  1. Pick an avatar, press Call and talk: it repeats what you say in another voice.',
    typing,
    '',
    `  Logs: ${mesh.logFolder}   Ctrl-C stops everything.`,
  ].join('\n');
}
