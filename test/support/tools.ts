import { execFile, spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

/** External programs the tests use: where they may be, and the Debian package that brings them. */
const TOOLS = {
  'nats-server': { package: 'nats-server', paths: ['/usr/sbin/nats-server'] },
  chromium: { package: 'chromium', paths: ['/usr/bin/chromium'] },
  ffmpeg: { package: 'ffmpeg', paths: ['/usr/bin/ffmpeg'] },
  'espeak-ng': { package: 'espeak-ng', paths: ['/usr/bin/espeak-ng'] },
  flite: { package: 'flite', paths: ['/usr/bin/flite'] },
} as const;
export type Tool = keyof typeof TOOLS;

/** Debian packages of the Python training code; /usr/bin/python3 is the interpreter that sees them. */
const PYTHON_PACKAGES = ['python3-torch', 'python3-numpy', 'python3-pil', 'python3-onnx', 'libopenblas0-pthread'];
const PYTHON_PROBE = 'import torch, numpy, PIL, onnx';

function executable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Absolute path of a tool, or undefined. */
export function findTool(tool: Tool): string | undefined {
  const onPath = (process.env['PATH'] ?? '').split(delimiter).map((directory) => join(directory, tool));
  return [...onPath, ...TOOLS[tool].paths].find(executable);
}

/** Absolute path of a tool that a test needs; a missing one fails the test, it never skips it. */
export function requireTool(tool: Tool): string {
  const path = findTool(tool);
  if (path === undefined) throw new Error(`${tool} is missing: apt-get install ${TOOLS[tool].package}`);
  return path;
}

const pythonReady = (): boolean =>
  spawnSync('/usr/bin/python3', ['-c', PYTHON_PROBE], { stdio: 'ignore' }).status === 0;

/** Installs what is missing with apt-get (as root), saying what it does. Throws with the command to run when it cannot. */
export async function installTools(say: (line: string) => void): Promise<void> {
  const missing: string[] = (Object.keys(TOOLS) as Tool[])
    .filter((tool) => !findTool(tool))
    .map((tool) => TOOLS[tool].package);
  if (!pythonReady()) missing.push(...PYTHON_PACKAGES);
  if (missing.length === 0) return;
  const command = `apt-get install -y --no-install-recommends ${missing.join(' ')}`;
  if (process.getuid?.() !== 0) throw new Error(`tools are missing; run as root: ${command}`);
  say(`installing ${missing.join(', ')}`);
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const run = promisify(execFile);
  const options = { env: environment, maxBuffer: 64 * 1024 * 1024 };
  await run('apt-get', ['update'], options);
  await run('apt-get', ['install', '-y', '--no-install-recommends', ...missing], options);
  const still = (Object.keys(TOOLS) as Tool[]).filter((tool) => !findTool(tool));
  if (still.length > 0 || !pythonReady())
    throw new Error(`still missing after "${command}": ${still.join(', ') || PYTHON_PACKAGES.join(', ')}`);
}
