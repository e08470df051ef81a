import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const TALKMESH = fileURLToPath(new URL('../../deploy/local/bin/talkmesh.mjs', import.meta.url));

export interface CliResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** Called with the pid once the process runs. */
  readonly onStart?: (pid: number) => void;
  /** Called with everything it prints. */
  readonly onOutput?: (text: string) => void;
  readonly timeoutMs?: number;
}

/** Runs `talkmesh ...args` as a user would. */
export function talkmesh(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [TALKMESH, ...args], {
      env: { ...process.env, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: options.timeoutMs ?? 180_000,
    });
    const [stdout, stderr]: [string[], string[]] = [[], []];
    child.stdout.on('data', (chunk) => stdout.push(String(chunk)));
    child.stderr.on('data', (chunk) => stderr.push(String(chunk)));
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => options.onOutput?.(String(chunk)));
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal, stdout: stdout.join(''), stderr: stderr.join('') }));
    if (child.pid !== undefined) options.onStart?.(child.pid);
  });
}
