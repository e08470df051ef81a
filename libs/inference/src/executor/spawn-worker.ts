import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';

/**
 * Starts a module beside `base` as a worker thread. Built code starts directly. TypeScript sources need tsx registered inside
 * the thread, because on Node 20 `--import tsx` does not apply to a worker's first module. It is registered for CommonJS, since
 * hooks for ES modules take one more thread per worker, and a plan with many ranks starts many workers. Therefore the module
 * must not use top-level await.
 * @param base `import.meta.url` of the caller @param name file name without extension
 */
export function spawnWorker(base: string, name: string, workerData: unknown): Worker {
  if (!base.endsWith('.ts')) return new Worker(new URL(`./${name}.js`, base), { workerData });
  const tsx = createRequire(import.meta.url).resolve('tsx/cjs/api');
  const module = fileURLToPath(new URL(`./${name}.ts`, base));
  const start = `require(${JSON.stringify(tsx)}).register(); require(${JSON.stringify(module)});`;
  return new Worker(start, { eval: true, workerData });
}
