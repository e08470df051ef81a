/** A rank's thread: loads its share of the graph, then runs its part of each pass, strictly one after the other. */
import { parentPort, workerData } from 'node:worker_threads';
import { type InferenceSession, Tensor } from 'onnxruntime-node';
import type { CompiledSegment } from '../compile/index.js';
import { openOrtSession } from '../ort-session.js';
import type { RankTensor } from './attention-rows.js';
import { Exchange, ExchangeError, failExchange } from './exchange.js';
import { Rank } from './rank.js';
import type { RankReply, RankRequest, RankWorkerData } from './rank-protocol.js';

const data = workerData as RankWorkerData;
const { cut, memory, shape, deadlineMs, threads, provider } = data;
const sessions = new Map<CompiledSegment, InferenceSession>();
const rank = new Rank(data, new Exchange(memory, shape.rank, deadlineMs), run);

const reply = (message: RankReply, transfer: readonly ArrayBuffer[] = []): void =>
  parentPort?.postMessage(message, [...transfer]);

async function load(): Promise<void> {
  const segments = new Set([...cut.stages.map((stage) => stage.segment), ...(cut.condition ? [cut.condition] : [])]);
  for (const segment of segments)
    sessions.set(
      segment,
      await openOrtSession(segment.onnx, { threads, provider, weightsFolder: segment.weightsFolder }),
    );
}

async function run(
  segment: CompiledSegment,
  inputs: Readonly<Record<string, RankTensor>>,
): Promise<Readonly<Record<string, RankTensor>>> {
  const session = sessions.get(segment);
  if (session === undefined) throw new Error(`${segment.name} is not loaded`);
  const feeds = Object.entries(inputs).map(
    ([name, { data: values, dims }]) => [name, new Tensor('float32', values, dims)] as const,
  );
  const results = await session.run(Object.fromEntries(feeds));
  return Object.fromEntries(
    Object.entries(results).map(([name, { data: values, dims }]) => [name, { data: values as Float32Array, dims }]),
  );
}

async function answer(request: Exclude<RankRequest, { op: 'leave' }>): Promise<void> {
  switch (request.op) {
    case 'pass': {
      const value = await rank.pass(request);
      return reply({ type: 'answer', call: request.call, value }, [value.x.buffer as ArrayBuffer]);
    }
    case 'end':
      return rank.end(request.work);
    case 'free':
      return rank.free(request.keyValues);
    case 'runs':
      return reply({ type: 'answer', call: request.call, value: rank.runs });
    case 'close':
      for (const session of sessions.values()) await session.release();
      parentPort?.close();
  }
}

/** A rank that failed has left the others' order of parts; the whole group starts again. */
function fail(thrown: unknown): void {
  if (failed) return;
  failed = true;
  const culprit = thrown instanceof ExchangeError ? thrown.culprit : shape.rank;
  failExchange(memory, culprit);
  reply({ type: 'failed', message: thrown instanceof Error ? thrown.message : String(thrown), culprit });
  parentPort?.close();
}

let failed = false;
let last = load().then(() => reply({ type: 'ready' }));
last.catch(fail);
parentPort?.on('message', (request: RankRequest) => {
  // Between two runs, never inside one: that is where messages are read.
  if (request.op === 'leave') process.exit(request.code);
  last = last.then(() => answer(request));
  last.catch(fail);
});
