// node watchdog.mjs FOLDER COMMAND ARGS...: runs COMMAND until it ends or stdin closes (the parent is gone, however it went);
// then removes FOLDER. For programs that do not watch their parent themselves. Plain Node, so that it starts fast.
import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';

const KILL_AFTER_MS = 3000;
const [folder, command, ...args] = process.argv.slice(2);
const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit'] });

function end() {
  if (!child.kill('SIGTERM')) return;
  setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS).unref();
}

process.stdin.resume();
process.stdin.once('close', end);
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, end);
child.once('error', (error) => {
  process.stderr.write(`${command} cannot be started: ${error.message}\n`);
  process.exit(127);
});
child.once('exit', (code) => {
  rmSync(folder, { recursive: true, force: true });
  process.exit(code ?? 1);
});
