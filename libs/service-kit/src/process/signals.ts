import type { Logger } from '../logging.js';
import type { Lifecycle } from '../stage/lifecycle.js';

const PARENT_POLL_MS = 500;

/** Handles SIGTERM and SIGINT: the first drains, the second exits without waiting for sessions, the third exits without cleaning up. */
export function handleSignals(lifecycle: Lifecycle, log: Logger): void {
  let count = 0;
  const onSignal = (signal: NodeJS.Signals) => {
    count++;
    if (count === 1) {
      log.info({ signal }, 'draining; a second signal exits at once');
      lifecycle.stop();
    } else if (count === 2) {
      log.warn({ signal }, 'exiting at once');
      lifecycle.force();
    } else process.exit(1);
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  process.on('uncaughtExceptionMonitor', (err, origin) => log.fatal({ err, origin }, 'uncaught exception'));
}

/** Exits when the process `TALKMESH_PARENT_PID` has exited, so that a launcher that is killed leaves no processes behind. */
export function watchParent(pidText: string | undefined, lifecycle: Lifecycle, log: Logger): void {
  const pid = Number(pidText);
  if (!Number.isInteger(pid) || pid <= 1) return;
  const timer = setInterval(() => {
    if (isAlive(pid)) return;
    clearInterval(timer);
    log.warn({ parentPid: pid }, 'the parent process has exited, exiting too');
    lifecycle.force();
  }, PARENT_POLL_MS).unref();
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code === 'EPERM';
  }
}
