import { requiredOptions, workerHandlers } from '@talkmesh/chunk-worker';
import { MeshError } from '@talkmesh/contracts';
import type { WorkerHandlers } from '@talkmesh/service-kit';
import type { Sessions } from './sessions.js';

export function controlHandlers(capacity: number, model: string, sessions: Sessions): WorkerHandlers {
  return workerHandlers({
    capacity,
    model,
    sessions,
    async open(request, signal) {
      const score = requiredOptions(request.score, 'score-model', 'score');
      if (!Number.isSafeInteger(score.seed))
        throw new MeshError('ARGUMENT_INVALID', 'a seed is an integer from 0 to 2^53-1');
      await sessions.open(request, score, signal);
    },
  });
}
