import { type GraphModel, sessionStateBytes } from '@talkmesh/inference';
import { capacityRows, fourteenBillion, measuredShape, scaleRows } from './simulate.js';
import type { Row } from './table.js';

/** A chunk of the model that ships on one thread of a quiet two-core machine, as `bench chunks` prints it; milliseconds. */
const QUIET = { score: 11, decode: 92 } as const;
/** p95 over median on the same machine. */
const SPREAD = 1.2;
/** Chunks that the score service keeps: its largest lead and those under way. */
const KEPT_CHUNKS = 11;
/** A lead of three chunks, and one: enough to roll back everything that has not been seen. */
const FEWEST_KEPT_CHUNKS = 4;

/** @param scoreMs, decodeMs medians of one chunk, as `bench chunks` prints them on this machine */
export function reportScale(
  model: GraphModel,
  scoreMs: number = QUIET.score,
  decodeMs: number = QUIET.decode,
): { capacity: Row[]; scale: Row[] } {
  const state = sessionStateBytes(model.manifest, { keepChunks: KEPT_CHUNKS }).total;
  const times = {
    scoreMs: { median: scoreMs, p95: scoreMs * SPREAD },
    decodeMs: { median: decodeMs, p95: decodeMs * SPREAD },
  };
  const shapes = [
    measuredShape(model.manifest, model.geometry.chunkMs, state, times),
    fourteenBillion(KEPT_CHUNKS),
    fourteenBillion(FEWEST_KEPT_CHUNKS),
  ];
  return { capacity: capacityRows(shapes), scale: scaleRows(shapes) };
}
