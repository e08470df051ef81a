import { ChunkCost, CLOCKLESS_EVERY_CHUNKS, DegradeLadder, LADDER_DEFAULTS, pickNext } from '@talkmesh/chunk-worker';

/** How long things take, milliseconds: what one draw gives. */
export type Draw = () => number;

export interface QueueModel {
  readonly sessions: number;
  readonly chunkMs: number;
  readonly steps: number;
  /** A whole chunk. */
  readonly scoreMs: Draw;
  readonly decodeMs: Draw;
  /** One message from one service to the next. */
  readonly hopMs: Draw;
  /** Time kept back for what comes after a stage, as configured. */
  readonly scoreDownstreamMs: number;
  readonly decodeDownstreamMs: number;
  /** Chunks a worker works on at once: the stages of a pipeline of devices. */
  readonly scoreDepth?: number;
  readonly decodeDepth?: number;
  /** Chunks a call may be ahead of the one that plays, that one counted, as TALKMESH_LEAD_CHUNKS. */
  readonly leadChunks?: number;
  readonly seconds: number;
  readonly random: () => number;
}

export interface QueueResult {
  /** From a chunk being wanted until its pictures were at the egress, every chunk. */
  readonly latenciesMs: readonly number[];
  readonly lateShare: number;
  readonly degradedShare: number;
  readonly heldShare: number;
  readonly scoreUtilisation: number;
  readonly decodeUtilisation: number;
}

interface Chunk {
  readonly session: number;
  readonly wantedMs: number;
  readonly dueMs: number;
  readonly speaking: boolean;
  steps: number;
}

interface Stage {
  readonly waiting: Chunk[];
  readonly ladders: readonly DegradeLadder[];
  readonly servedAtMs: number[];
  readonly cost: ChunkCost;
  readonly draw: Draw;
  readonly steps: number;
  readonly depth: number;
  readonly downstreamMs: number;
  busy: number;
  busyMs: number;
}

/**
 * A worker pair under the load of its sessions, event by event: the order, the ladder and the costs are the services' own
 * code, only the networks and the network are drawn from what was measured. A chunk is wanted when the one before begins
 * to play (with a longer lead: one before that); a late one moves everything after it.
 */
export function simulateQueues(model: QueueModel): QueueResult {
  const { chunkMs, steps, random } = model;
  const newStage = (draw: Draw, ofSteps: number, depth: number, downstreamMs: number): Stage => ({
    waiting: [],
    ladders: Array.from({ length: model.sessions }, () => new DegradeLadder({ steps: ofSteps, ...LADDER_DEFAULTS })),
    servedAtMs: new Array<number>(model.sessions).fill(0),
    cost: new ChunkCost(draw()),
    draw,
    steps: ofSteps,
    depth,
    downstreamMs,
    busy: 0,
    busyMs: 0,
  });
  const score = newStage(model.scoreMs, steps, model.scoreDepth ?? 1, model.scoreDownstreamMs);
  const decode = newStage(model.decodeMs, 1, model.decodeDepth ?? 1, model.decodeDownstreamMs);
  const events: { atMs: number; run: (nowMs: number) => void }[] = [];
  const at = (atMs: number, run: (nowMs: number) => void): void => {
    let low = 0;
    for (let high = events.length; low < high; ) {
      const middle = (low + high) >> 1;
      if ((events[middle] as { atMs: number }).atMs <= atMs) low = middle + 1;
      else high = middle;
    }
    events.splice(low, 0, { atMs, run });
  };
  const ahead = (model.leadChunks ?? 2) - 1;
  const nextStartMs = new Array<number>(model.sessions).fill(0);
  const result = { latenciesMs: [] as number[], late: 0, degraded: 0, held: 0 };

  const serve = (stage: Stage, nowMs: number, done: (chunk: Chunk, nowMs: number) => void): void => {
    while (stage.busy < stage.depth) {
      const ready = stage.waiting.map((chunk) => ({
        chunk,
        dueMs: chunk.dueMs - stage.downstreamMs,
        speaking: chunk.speaking,
        servedAtMs: stage.servedAtMs[chunk.session] as number,
      }));
      const options = { clocklessEveryMs: CLOCKLESS_EVERY_CHUNKS * chunkMs };
      const chosen = pickNext(ready, nowMs, stage.cost.ms / stage.depth, options);
      if (chosen === undefined) return;
      stage.waiting.splice(stage.waiting.indexOf(chosen.chunk), 1);
      const { chunk, dueMs, speaking } = chosen;
      const left = ready
        .filter((other) => other !== chosen && other.speaking)
        .map((other) => other.dueMs)
        .sort((a, b) => a - b)
        .map((otherDueMs, i) => otherDueMs - nowMs - ((i + 1) * stage.cost.ms) / stage.depth / stage.steps);
      stage.servedAtMs[chunk.session] = nowMs;
      const rung = (stage.ladders[chunk.session] as DegradeLadder).next({
        ownMs: dueMs - nowMs,
        sharedMs: left.length === 0 ? undefined : Math.min(...left),
        costMs: stage.cost.ms,
        speaking,
        mayHold: true,
      });
      const taken = chunk.steps === 0 ? 0 : rung.steps;
      const tookMs = (stage.draw() * taken) / stage.steps;
      if (taken > 0) stage.cost.add(tookMs, taken / stage.steps);
      chunk.steps = Math.min(chunk.steps, taken === stage.steps ? chunk.steps : taken);
      stage.busy += 1;
      stage.busyMs += tookMs / stage.depth;
      at(nowMs + tookMs, (doneMs) => {
        stage.busy -= 1;
        done(chunk, doneMs);
        serve(stage, doneMs, done);
      });
    }
  };
  const want = (session: number, nowMs: number): void => {
    const speaking = random() < 0.6;
    score.waiting.push({ session, wantedMs: nowMs, dueMs: nowMs + ahead * chunkMs, speaking, steps });
    serve(score, nowMs, made);
  };
  const made = (chunk: Chunk, nowMs: number): void =>
    at(nowMs + model.hopMs(), (arrivedMs) => {
      decode.waiting.push(chunk);
      serve(decode, arrivedMs, decoded);
    });
  const decoded = (chunk: Chunk, nowMs: number): void =>
    at(nowMs + model.hopMs(), (arrivedMs) => {
      result.latenciesMs.push(arrivedMs - chunk.wantedMs);
      const { session } = chunk;
      const neededMs = nextStartMs[session] as number;
      if (neededMs > 0 && arrivedMs > neededMs) result.late += 1;
      if (chunk.steps < steps) result.degraded += 1;
      if (chunk.steps === 0) result.held += 1;
      const startsMs = Math.max(arrivedMs, neededMs);
      nextStartMs[session] = startsMs + chunkMs;
      at(startsMs + model.hopMs(), (playsMs) => want(session, playsMs));
    });
  for (let session = 0; session < model.sessions; session++)
    at(random() * chunkMs, (nowMs) => {
      for (let chunk = 0; chunk < ahead; chunk++) want(session, nowMs);
    });
  const endMs = model.seconds * 1000;
  for (let next = events.shift(); next !== undefined && next.atMs < endMs; next = events.shift()) next.run(next.atMs);
  const chunks = Math.max(1, result.latenciesMs.length);
  return {
    latenciesMs: result.latenciesMs,
    lateShare: result.late / chunks,
    degradedShare: result.degraded / chunks,
    heldShare: result.held / chunks,
    scoreUtilisation: score.busyMs / endMs,
    decodeUtilisation: decode.busyMs / endMs,
  };
}

/** Draws around a median with the spread that a p95 implies: log-normal, as compute times on shared machines are. */
export function drawTimes(medianMs: number, p95Ms: number, random: () => number): Draw {
  const sigma = Math.max(0, Math.log(Math.max(p95Ms, medianMs) / medianMs)) / 1.645;
  return () => {
    const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    return medianMs * Math.exp(sigma * normal);
  };
}
