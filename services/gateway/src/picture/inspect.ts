import { type Landmarks, MeshError } from '@talkmesh/contracts';
import { callUnary, type Logger } from '@talkmesh/service-kit';
import { isWorkersFault } from '../stages.js';
import type { WorkerDirectory } from '../worker-directory.js';
import type { Inspect, Inspection } from './make-avatar.js';

interface InspectResponse {
  readonly landmarks: readonly number[];
  readonly confidence: readonly number[];
  readonly found: boolean;
  readonly fits: boolean;
  readonly reasons: readonly { readonly code: string; readonly text: string }[];
}

export interface InspectorOptions {
  readonly directory: WorkerDirectory;
  /** `name@version` */
  readonly model: string;
  readonly callDeadlineMs: number;
  readonly log: Logger;
}

/** Asks a vae-decode worker of the model, the least loaded first. The picture is in the request and nowhere else. */
export function workerInspector(o: InspectorOptions): Inspect {
  return async (rgb, landmarks, signal) => {
    const workers = (await o.directory.read()).candidates('vae-decode', o.model);
    let last: MeshError | undefined;
    for (const { grpcAddress, instanceId } of workers) {
      try {
        const answer: InspectResponse = await callUnary(
          o.directory.at(grpcAddress).pictures,
          'inspectPicture',
          { rgb, landmarks: landmarks?.flat() ?? [] },
          { deadlineMs: o.callDeadlineMs, signal },
        );
        return inspectionOf(answer);
      } catch (thrown) {
        last = MeshError.from(thrown);
        if (last.reason === 'TOOL_MISSING') return undefined;
        o.log.warn({ err: last, worker: instanceId, reason: last.reason }, 'a worker did not look at a picture');
        if (signal.aborted || !isWorkersFault(last)) throw last;
      }
    }
    if (last?.reason === 'RATE_LIMITED') throw last;
    throw new MeshError('NO_WORKER', 'no vae-decode worker can look at the picture; try again in a moment', {
      cause: last,
      retryAfterMs: 2000,
    });
  };
}

function inspectionOf({ landmarks, confidence, found, fits, reasons }: InspectResponse): Inspection {
  const [a, b, c, d, e, f] = landmarks;
  const points = [
    [a, b],
    [c, d],
    [e, f],
  ] as Landmarks;
  return { landmarks: points, found, fits, reasons, confidence: Math.min(...confidence) };
}
