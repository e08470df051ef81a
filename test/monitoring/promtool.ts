import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const execute = promisify(execFile);
const FOLDER = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'talkmesh', 'prometheus');

/**
 * Folder with `prometheus` and `promtool` of Debian's package. The package is unpacked, not installed: installing it would start a server.
 * @throws Error with the command that failed
 */
export async function prometheusFolder(): Promise<string> {
  const bin = join(FOLDER, 'usr/bin');
  if (existsSync(join(bin, 'promtool'))) return bin;
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER, { recursive: true });
  const options = { cwd: FOLDER, maxBuffer: 64 * 1024 * 1024 };
  await execute('apt-get', ['update'], options);
  await execute('apt-get', ['-o', 'APT::Sandbox::User=root', 'download', 'prometheus'], options);
  const [file] = readdirSync(FOLDER).filter((name) => name.endsWith('.deb'));
  if (file === undefined) throw new Error('apt-get download prometheus: no package arrived');
  await execute('dpkg', ['-x', file, '.'], options);
  return bin;
}

/** Runs promtool. @throws AssertionError-like Error with all of its output */
export async function promtool(...args: string[]): Promise<string> {
  try {
    const { stdout } = await execute(join(await prometheusFolder(), 'promtool'), args);
    return stdout;
  } catch (error) {
    const { stdout, stderr, message } = error as { stdout?: string; stderr?: string; message: string };
    throw new Error(`${message}\n${stdout ?? ''}${stderr ?? ''}`);
  }
}
