import { execFile, spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';
import { promisify } from 'node:util';

/** External programs that the tests use, with their paths and Debian packages. */
const TOOLS = {
  'nats-server': { package: 'nats-server', paths: ['/usr/sbin/nats-server'] },
  chromium: { package: 'chromium', paths: ['/usr/bin/chromium'] },
  'firefox-esr': { package: 'firefox-esr', paths: ['/usr/bin/firefox-esr'] },
  ffmpeg: { package: 'ffmpeg', paths: ['/usr/bin/ffmpeg'] },
  'espeak-ng': { package: 'espeak-ng', paths: ['/usr/bin/espeak-ng'] },
  openssl: { package: 'openssl', paths: ['/usr/bin/openssl'] },
  turnserver: { package: 'coturn', paths: ['/usr/bin/turnserver'] },
  flite: { package: 'flite', paths: ['/usr/bin/flite'] },
} as const;
export type Tool = keyof typeof TOOLS;
/** Shared libraries that tests load, with their Debian packages. */
const LIBRARIES = { 'libvulkan.so.1': 'libvulkan1' } as const;

/** Debian packages of the Python training code; /usr/bin/python3 is the interpreter that sees them. */
const PYTHON_PACKAGES = ['python3-torch', 'python3-numpy', 'python3-pil', 'python3-onnx', 'libopenblas0-pthread'];
/** Debian installs administrators' programs in folders that are not on every PATH. */
const SYSTEM_PATH = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];
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

/** Absolute path of a tool that a test needs; a missing tool fails the test and never skips it. */
export function requireTool(tool: Tool): string {
  const path = findTool(tool);
  if (path === undefined) throw new Error(`${tool} is missing: apt-get install ${TOOLS[tool].package}`);
  return path;
}

const pythonReady = (): boolean =>
  spawnSync('/usr/bin/python3', ['-c', PYTHON_PROBE], { stdio: 'ignore' }).status === 0;

function missingLibraries(): string[] {
  const known = spawnSync('/sbin/ldconfig', ['-p'], { encoding: 'utf8' }).stdout ?? '';
  return Object.entries(LIBRARIES).flatMap(([library, name]) => (known.includes(library) ? [] : [name]));
}

/** Installs missing tools with apt-get (as root) and logs it. @throws Error with the command to run if it cannot */
export async function installTools(say: (line: string) => void): Promise<void> {
  const missingTools = (): Tool[] => (Object.keys(TOOLS) as Tool[]).filter((tool) => !findTool(tool));
  await installDebianPackages([...missingTools().map((tool) => TOOLS[tool].package), ...missingLibraries()], say);
  const still = [...missingTools(), ...missingLibraries()];
  if (still.length > 0) throw new Error(`still missing after the installation: ${still.join(', ')}`);
}

/** Installs what the training code needs, PyTorch above all. @throws Error with the command to run if it cannot */
export async function installTrainingTools(say: (line: string) => void): Promise<void> {
  if (!pythonReady()) await installDebianPackages(PYTHON_PACKAGES, say);
  if (!pythonReady()) throw new Error(`still missing after the installation: ${PYTHON_PACKAGES.join(', ')}`);
}

/** Installs the Debian packages of programs that are not on PATH. @param programs package names by program, or by the absolute path of one */
export async function installPrograms(
  programs: Readonly<Record<string, string>>,
  say: (line: string) => void,
): Promise<void> {
  const onPath = (program: string): boolean =>
    isAbsolute(program) ? executable(program) : SYSTEM_PATH.some((folder) => executable(join(folder, program)));
  const missing = Object.entries(programs).filter(([program]) => !onPath(program));
  await installDebianPackages(
    missing.map(([, name]) => name),
    say,
  );
}

async function installDebianPackages(names: readonly string[], say: (line: string) => void): Promise<void> {
  if (names.length === 0) return;
  const command = `apt-get install -y --no-install-recommends ${names.join(' ')}`;
  if (process.getuid?.() !== 0) throw new Error(`tools are missing; run as root: ${command}`);
  say(`installing ${names.join(', ')}`);
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const run = promisify(execFile);
  const options = { env: environment, maxBuffer: 64 * 1024 * 1024 };
  await run('apt-get', ['update'], options);
  await run('apt-get', ['install', '-y', '--no-install-recommends', ...names], options);
}
