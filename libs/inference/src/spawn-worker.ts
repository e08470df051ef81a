import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';

/**
 * Starts a module beside `base` as a worker thread. Built code is started as it is; TypeScript sources need tsx registered
 * again inside the thread, because `--import tsx` does not reach a worker's first module on Node 20. As CommonJS: hooks for ES modules
 * need a thread of their own, and a plan of many ranks starts many of these. So the module has no await at its top level.
 * @param base `import.meta.url` of the caller @param name file name without extension
 */
export function spawnWorker(base: string, name: string, workerData: unknown): Worker {
  if (!base.endsWith('.ts')) return new Worker(new URL(`./${name}.js`, base), { workerData });
  const tsx = createRequire(import.meta.url).resolve('tsx/cjs/api');
  const module = fileURLToPath(new URL(`./${name}.ts`, base));
  const start = `require(${JSON.stringify(tsx)}).register(); require(${JSON.stringify(module)});`;
  return new Worker(start, { eval: true, workerData });
}
