import { spawn } from 'node:child_process';
import { MeshError } from '@talkmesh/contracts';
import { findProgram } from './tools.js';

export interface SystemPackage {
  /** The program, which is also the name of its Debian package. */
  readonly program: string;
  /** Begins the message of the error: what needs the program. */
  readonly missing: string;
  /** What to do on a system without apt-get. */
  readonly elsewhere: string;
}

const MAX_OUTPUT = 16_384;

/**
 * Finds a program, and installs the package of the Linux distribution when it is missing.
 * @returns its path @throws MeshError TOOL_MISSING with the command to run
 */
export async function findOrInstall(
  { program, missing, elsewhere }: SystemPackage,
  env: NodeJS.ProcessEnv,
  say: (line: string) => void,
  find: typeof findProgram = findProgram,
): Promise<string> {
  const present = find(program, env);
  if (present !== undefined) return present;
  const command = `apt-get install -y --no-install-recommends ${program}`;
  if (find('apt-get', env) === undefined) throw new MeshError('TOOL_MISSING', `${missing}; ${elsewhere}`);
  if (process.getuid?.() !== 0) throw new MeshError('TOOL_MISSING', `${missing}; run: sudo ${command}`);
  say(`  ${program.padEnd(17)} installing the package of the Linux distribution`);
  const output = (await run('apt-get update', env)) + (await run(command, env));
  const installed = find(program, env);
  if (installed !== undefined) return installed;
  throw new MeshError('TOOL_MISSING', `${output.slice(-2000)}\n${missing}; this command failed: ${command}`);
}

function run(command: string, env: NodeJS.ProcessEnv): Promise<string> {
  const [program = '', ...args] = command.split(' ');
  return new Promise((resolve) => {
    let output = '';
    const aptEnv = { ...env, DEBIAN_FRONTEND: 'noninteractive' };
    const child = spawn(program, args, { env: aptEnv, stdio: ['ignore', 'pipe', 'pipe'] });
    const keep = (part: Buffer): void => {
      output = (output + part.toString()).slice(-MAX_OUTPUT);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.once('error', (error) => resolve(`${program}: ${error.message}`));
    child.once('close', () => resolve(output));
  });
}
