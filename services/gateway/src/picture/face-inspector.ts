import { type Landmarks, MeshError, type WorkerRecord } from '@talkmesh/contracts';
import { callUnary, type Logger } from '@talkmesh/service-kit';
import type { WorkerDirectory } from '../worker-directory.js';
import { tryWorkers } from '../worker-selection.js';
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

/** Sends a picture to the least loaded vae-decode worker of the model. The picture is only in the request and never stored. */
export function workerInspector(options: InspectorOptions): Inspect {
  return async (rgb, landmarks, signal) => {
    const inspectOn = async ({ grpcAddress, instanceId }: WorkerRecord): Promise<Inspection | undefined> => {
      const request = { rgb, landmarks: landmarks?.flat() ?? [] };
      try {
        const { pictures } = options.directory.clientsAt(grpcAddress);
        return inspectionOf(
          await callUnary(pictures, 'inspectPicture', request, { deadlineMs: options.callDeadlineMs, signal }),
        );
      } catch (thrown) {
        const error = MeshError.from(thrown);
        if (error.reason === 'TOOL_MISSING') return undefined;
        options.log.warn(
          { err: error, worker: instanceId, reason: error.reason },
          'a worker did not inspect the picture; the next one is tried',
        );
        throw error;
      }
    };
    const { directory, model } = options;
    const untilMs = performance.now() + options.placementWaitMs;
    const onWait = (): void => options.log.info('no worker can inspect the picture yet; waiting for one');
    const result = await tryWorkers({
      directory,
      service: 'vae-decode',
      model,
      untilMs,
      signal,
      onWait,
      call: inspectOn,
    });
    if ('answer' in result) return result.answer;
    const last = result.refused.at(-1);
    if (last?.reason === 'RATE_LIMITED') throw last;
    throw new MeshError('NO_WORKER', 'no vae-decode worker can inspect the picture; try again in a moment', {
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
