/** Resolves when the signal is aborted, at once when it already is. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/**
 * Waits for `work`, but no longer than `limitMs` and not after `signal` is aborted.
 * @returns 'done' or 'gave-up'. After 'gave-up' the work continues and its later failure is ignored; a failure before that rejects.
 */
export function waitAtMost(work: Promise<unknown>, limitMs: number, signal?: AbortSignal): Promise<'done' | 'gave-up'> {
  return new Promise((resolve, reject) => {
    const giveUp = () => settle(() => resolve('gave-up'));
    const timer = setTimeout(giveUp, limitMs);
    const settle = (how: () => void) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', giveUp);
      how();
    };
    work.then(
      () => settle(() => resolve('done')),
      (thrown: unknown) => settle(() => reject(thrown)),
    );
    if (signal?.aborted) giveUp();
    else signal?.addEventListener('abort', giveUp, { once: true });
  });
}

/** Longest time in which input that is already there is read, once the process runs again, milliseconds. */
const RECHECK_MS = 500;

/**
 * Calls back when nothing has cancelled it for `limitMs`. A process that was stopped (suspended, starved, paused in a debugger) finds its
 * timers due before it has read its sockets; so what arrived in the meantime is read first, and may cancel the call.
 */
export function afterSilence(limitMs: number, callback: () => void): { cancel(): void } {
  let timer = setTimeout(() => {
    timer = setTimeout(callback, RECHECK_MS);
  }, limitMs);
  return { cancel: () => clearTimeout(timer) };
}

/** A new promise for each call, because the reactions to a shared one would accumulate. */
const never = () => new Promise<never>(() => undefined);

/** Checks `condition` every `everyMs` until it is true, `limitMs` have passed or the signal is aborted. @returns whether it became true */
export async function waitUntil(
  condition: () => boolean,
  limitMs: number,
  signal?: AbortSignal,
  everyMs = 50,
): Promise<boolean> {
  const until = performance.now() + limitMs;
  while (!condition()) {
    const leftMs = until - performance.now();
    if (leftMs <= 0 || signal?.aborted) return false;
    await waitAtMost(never(), Math.min(everyMs, leftMs), signal);
  }
  return true;
}
