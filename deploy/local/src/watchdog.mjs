// node watchdog.mjs FOLDER COMMAND ARGS...: runs COMMAND until stdin closes, then removes FOLDER. Stdin closes whenever the parent exits,
// even by SIGKILL, so COMMAND does not outlive the parent. A COMMAND that exits on its own is started again, unless it did not even
// run for a moment. JavaScript without imports of packages, so that it starts fast.
import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';

const KILL_AFTER_MS = 3000;
const STABLE_MS = 500;
const PAUSE_MS = 200;
const [folder, command, ...args] = process.argv.slice(2);
let child;
let stopping = false;

function leave(code) {
  rmSync(folder, { recursive: true, force: true });
  process.exit(code);
}

function start() {
  const startedAtMs = performance.now();
  child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  child.once('error', (error) => {
    process.stderr.write(`${command} cannot be started: ${error.message}\n`);
    process.exit(127);
  });
  child.once('exit', (code, signal) => {
    if (stopping || performance.now() - startedAtMs < STABLE_MS) leave(code ?? 1);
    process.stderr.write(`watchdog: ${command} ended (${signal ?? code}) and is started again\n`);
    setTimeout(() => (stopping ? leave(1) : start()), PAUSE_MS);
  });
}

function stop() {
  stopping = true;
  if (!child.kill('SIGTERM')) return;
  setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS).unref();
}

start();
process.stdin.resume();
process.stdin.once('close', stop);
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, stop);
