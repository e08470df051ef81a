/** Resolves when the signal is aborted; at once when it is already. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/**
 * Waits for `work`, but no longer than `limitMs` and not after `signal` is aborted.
 * @returns 'done', or 'gave-up'; the work itself goes on, and a later failure of it is swallowed. Failures before that reject.
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

/** Made anew each time: reactions to one shared promise would pile up. */
const never = () => new Promise<never>(() => undefined);

/** Asks `condition` every `everyMs` until it is true, the deadline passes or the signal is aborted. @returns whether it became true. */
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
