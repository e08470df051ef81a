import { Worker } from 'node:worker_threads';

/**
 * Starts a module beside `base` as a worker thread. Built code is started as it is; TypeScript sources need tsx registered
 * again inside the thread, because `--import tsx` does not reach a worker's first module on Node 20.
 * @param base `import.meta.url` of the caller @param name file name without extension
 */
export function spawnWorker(base: string, name: string, workerData: unknown): Worker {
  if (!base.endsWith('.ts')) return new Worker(new URL(`./${name}.js`, base), { workerData });
  const [tsx, module] = [import.meta.resolve('tsx/esm/api'), new URL(`./${name}.ts`, base).href];
  const start = `import(${JSON.stringify(tsx)}).then(({ register }) => { register(); return import(${JSON.stringify(module)}); })`;
  return new Worker(start, { eval: true, workerData });
}
