import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const INSTALL_MS = 30 * 60_000;
const execute = promisify(execFile);

interface PythonPackage {
  /** As pip takes it. */
  readonly name: string;
  readonly version: string;
  /** Of the folder in the cache. */
  readonly folder: string;
  /** What is said while it is installed. */
  readonly what: string;
}

type Say = (line: string) => void;

/** The Python of a virtual environment in ~/.cache/talkmesh that has LiveKit Agents, which pip installs once. @throws Error of venv or pip */
export const requireLivekitAgentsPython = (say: Say): Promise<string> =>
  requirePython(
    {
      ...{ name: 'livekit-agents', version: '1.8.9', folder: 'livekit-agents-python' },
      what: 'LiveKit Agents for Python: 390 MB',
    },
    say,
  );

/** The same for Pipecat. */
export const requirePipecat = (say: Say): Promise<string> =>
  requirePython({ name: 'pipecat-ai', version: '1.14.0', folder: 'pipecat', what: 'Pipecat: 520 MB' }, say);

async function requirePython({ name, version, folder: prefix, what }: PythonPackage, say: Say): Promise<string> {
  const cache = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'talkmesh');
  const folder = join(cache, `${prefix}-${version}`);
  const python = join(folder, 'bin/python');
  // A virtual environment cannot be moved, so a file says that it is complete.
  const complete = join(folder, 'complete');
  if (existsSync(complete)) return python;
  say(`installing once, into ${folder}: ${what}`);
  await rm(folder, { recursive: true, force: true });
  await mkdir(cache, { recursive: true });
  await execute('python3', ['-m', 'venv', folder]);
  await execute(python, ['-m', 'pip', 'install', '-q', `${name}==${version}`], { timeout: INSTALL_MS });
  await writeFile(complete, '');
  return python;
}
