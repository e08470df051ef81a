/** A worker that run.test.ts starts as a separate process. The environment variables FIXTURE_* select its behaviour. */
import { setTimeout as sleep } from 'node:timers/promises';
import { MeshError } from '@talkmesh/contracts';
import { defineConfig, type OpenRequest, runService } from '../index.js';
import { emptyStats } from './empty-stats.js';

const held = new Set<string>();
const missing = process.env['FIXTURE_MISSING'];
const openMs = Number(process.env['FIXTURE_OPEN_MS'] ?? 0);

await runService(
  {
    name: 'vae-decode',
    parseConfig: defineConfig({}),
    async start(context) {
      if (process.env['FIXTURE_START'] === 'model-invalid')
        throw new MeshError('MODEL_INVALID', 'decoder.onnx is missing: run npm run model');
      if (process.env['FIXTURE_START'] === 'crash') throw new TypeError('a bug');
      if (process.env['FIXTURE_START'] === 'slow') await sleep(60_000, undefined, { signal: context.signal });
      return {
        grpc: [],
        ready: { extra: 'fact' },
        ...(missing !== undefined && { readiness: async () => ({ ready: missing === '', details: { missing } }) }),
        worker: {
          capacity: context.config.capacity,
          model: 'nano@1',
          sessions: () => held.size,
          async open(request: OpenRequest) {
            await sleep(openMs);
            if (request.decode?.avatar === 'bug') throw new Error('secret of the inside');
            held.add(request.sessionId);
          },
          async close(sessionId: string, reason: string) {
            context.log.info({ closed: sessionId, reason }, 'fixture closed');
            held.delete(sessionId);
          },
          stats: () => [...held].map(emptyStats),
        },
        async [Symbol.asyncDispose]() {
          if (process.env['FIXTURE_DISPOSE'] === 'hang') await new Promise(() => setInterval(() => undefined, 1000));
          context.log.info('fixture disposed');
        },
      };
    },
  },
  process.env,
);
