import { requiredOptions, workerHandlers } from '@talkmesh/chunk-worker';
import type { WorkerHandlers } from '@talkmesh/service-kit';
import type { Sessions } from './sessions.js';

export const controlHandlers = (capacity: number, model: string, sessions: Sessions): WorkerHandlers =>
  workerHandlers({
    capacity,
    model,
    sessions,
    open: async (request, signal) =>
      sessions.open(request, requiredOptions(request.decode, 'vae-decode', 'decode'), signal),
  });
