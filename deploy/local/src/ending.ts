/** Requests from outside to end a command of the CLI. */
export interface Ending extends Disposable {
  /** Aborted by the first Ctrl-C (or SIGTERM, SIGHUP), and when the parent process has exited. */
  readonly signal: AbortSignal;
}

const PARENT_POLL_MS = 500;

/** @param onSecond called at a second signal, when the user does not want to wait for an orderly stop */
export function listenForEnd(onSecond: () => void): Ending {
  const abort = new AbortController();
  const onSignal = (): void => {
    if (abort.signal.aborted) onSecond();
    else abort.abort(new DOMException('ended by the user', 'AbortError'));
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, onSignal);
  const parent = Number(process.env['TALKMESH_PARENT_PID']);
  // A process further down inherits the variable, which names no parent of its own.
  const timer =
    parent > 1 && parent === process.ppid
      ? setInterval(() => process.ppid === parent || abort.abort(), PARENT_POLL_MS)
      : undefined;
  timer?.unref();
  return {
    signal: abort.signal,
    [Symbol.dispose]() {
      clearInterval(timer);
      for (const signal of signals) process.removeListener(signal, onSignal);
    },
  };
}
