import type { Lifecycle } from './lifecycle.js';
import type { Logger } from './logging.js';

const PARENT_POLL_MS = 500;

/** SIGTERM and SIGINT: the first drains, the second ends at once, the third does not even clean up. */
export function handleSignals(lifecycle: Lifecycle, log: Logger): void {
  let count = 0;
  const onSignal = (signal: NodeJS.Signals) => {
    count++;
    if (count === 1) {
      log.info({ signal }, 'draining; a second signal ends at once');
      lifecycle.stop();
    } else if (count === 2) {
      log.warn({ signal }, 'ending at once');
      lifecycle.force();
    } else process.exit(1);
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  process.on('uncaughtExceptionMonitor', (err, origin) => log.fatal({ err, origin }, 'uncaught'));
}

/** Ends this process when the one that started it (`TALKMESH_PARENT_PID`) is gone, so that a killed launcher leaves nothing behind. */
export function watchParent(pidText: string | undefined, lifecycle: Lifecycle, log: Logger): void {
  const pid = Number(pidText);
  if (!Number.isInteger(pid) || pid <= 1) return;
  const timer = setInterval(() => {
    if (isAlive(pid)) return;
    clearInterval(timer);
    log.warn({ parentPid: pid }, 'the parent process is gone, ending');
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
