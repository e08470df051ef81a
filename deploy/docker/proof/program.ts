import { spawn } from 'node:child_process';

export interface ProgramOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** Show its output while it runs. */
  readonly show?: boolean;
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 30 * 60_000;
const LAST_OUTPUT = 4000;

/** Runs a program to its end. @returns what it wrote to stdout @throws Error with its last output when it fails */
export function runProgram(command: string, args: readonly string[], options: ProgramOptions = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: options.timeoutMs ?? TIMEOUT_MS,
      ...(options.env !== undefined && { env: options.env }),
    });
    const [stdout, all]: [string[], string[]] = [[], []];
    child.stdout.on('data', (data) => stdout.push(String(data)));
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (data) => {
        all.push(String(data));
        if (options.show) process.stderr.write(data);
      });
    child.once('error', reject);
    child.once('close', (code, signal) => {
      if (code === 0) resolve(stdout.join(''));
      else
        reject(
          new Error(
            `${command} ${args.slice(0, 6).join(' ')} ended with ${code ?? signal}:\n${all.join('').slice(-LAST_OUTPUT)}`,
          ),
        );
    });
  });
}
