import { type Landmarks, MeshError, type WorkerRecord } from '@talkmesh/contracts';
import { callUnary, type Logger } from '@talkmesh/service-kit';
import { askWilling } from '../willing-worker.js';
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
  readonly placementWaitMs: number;
  readonly log: Logger;
}

/** Asks a vae-decode worker of the model, the least loaded first. The picture is in the request and nowhere else. */
export function workerInspector(o: InspectorOptions): Inspect {
  return async (rgb, landmarks, signal) => {
    const ask = async ({ grpcAddress, instanceId }: WorkerRecord): Promise<Inspection | undefined> => {
      const request = { rgb, landmarks: landmarks?.flat() ?? [] };
      try {
        const { pictures } = o.directory.at(grpcAddress);
        return inspectionOf(
          await callUnary(pictures, 'inspectPicture', request, { deadlineMs: o.callDeadlineMs, signal }),
        );
      } catch (thrown) {
        const error = MeshError.from(thrown);
        if (error.reason === 'TOOL_MISSING') return undefined;
        o.log.warn({ err: error, worker: instanceId, reason: error.reason }, 'a worker did not look at a picture');
        throw error;
      }
    };
    const { directory, model } = o;
    const untilMs = Date.now() + o.placementWaitMs;
    const onWait = (): void => o.log.info('no worker looks at a picture yet, it waits for one');
    const asked = await askWilling({ directory, service: 'vae-decode', model, untilMs, signal, onWait, ask });
    if ('answer' in asked) return asked.answer;
    const last = asked.refused.at(-1);
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
