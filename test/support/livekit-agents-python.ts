import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const VERSION = '1.8.9';
const INSTALL_MS = 30 * 60_000;
const execute = promisify(execFile);

/** The Python of a virtual environment in ~/.cache/talkmesh that has LiveKit Agents, which pip installs once. @throws Error of venv or pip */
export async function requireLivekitAgentsPython(say: (line: string) => void): Promise<string> {
  const cache = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'talkmesh');
  const folder = join(cache, `livekit-agents-python-${VERSION}`);
  const python = join(folder, 'bin/python');
  // A virtual environment cannot be moved, so a file says that it is complete.
  const complete = join(folder, 'complete');
  if (existsSync(complete)) return python;
  say(`installing LiveKit Agents for Python once, into ${folder}: 390 MB`);
  await rm(folder, { recursive: true, force: true });
  await mkdir(cache, { recursive: true });
  await execute('python3', ['-m', 'venv', folder]);
  await execute(python, ['-m', 'pip', 'install', '-q', `livekit-agents==${VERSION}`], { timeout: INSTALL_MS });
  await writeFile(complete, '');
  return python;
}
