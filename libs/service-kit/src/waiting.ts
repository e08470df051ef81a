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
export async function waitAtMost(
  work: Promise<unknown>,
  limitMs: number,
  signal?: AbortSignal,
): Promise<'done' | 'gave-up'> {
  let timer: NodeJS.Timeout | undefined;
  const limits: Promise<'gave-up'>[] = [
    new Promise((resolve) => {
      timer = setTimeout(() => resolve('gave-up'), limitMs);
    }),
  ];
  if (signal !== undefined) limits.push(aborted(signal).then(() => 'gave-up' as const));
  work.catch(() => undefined);
  try {
    return await Promise.race([work.then(() => 'done' as const), ...limits]);
  } finally {
    clearTimeout(timer);
  }
}

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
    await waitAtMost(new Promise(() => undefined), Math.min(everyMs, leftMs), signal);
  }
  return true;
}
