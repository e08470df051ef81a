import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { MeshError } from '@talkmesh/contracts';
import { aborted } from '@talkmesh/service-kit';
import { runChunkWorker } from './chunk-worker.js';

type Output = { readonly type: 'made' | 'failed'; readonly sessionId: string };

function setUp(outputs: readonly Output[]) {
  const did: string[] = [];
  let die: (error: unknown) => void = () => {};
  const failed = new Promise<never>((_, reject) => {
    die = reject;
  });
  const resource = (name: string) => ({
    async [Symbol.asyncDispose]() {
      did.push(`let go of ${name}`);
    },
  });
  const worker = runChunkWorker<Output>({
    scheduler: {
      async *run(signal: AbortSignal) {
        yield* outputs;
        await aborted(signal);
        did.push('stage ended');
      },
      stats: () => [{ sessionId: 'b', epoch: 7 }],
      close: (sessionId) => void did.push(`closed ${sessionId}`),
    },
    handlers: {
      capacity: 1,
      model: '',
      sessions: () => 0,
      open: async () => {},
      close: async () => {},
      stats: () => [],
    },
    sessions: { forget: (sessionId) => void did.push(`forgot ${sessionId}`) },
    outbound: {
      output: ({ type, sessionId }) => void did.push(`${type} ${sessionId}`),
      error: (sessionId, epoch, { reason }) => void did.push(`${reason} to ${sessionId} in ${epoch}`),
    },
    failed,
    timeline: { [Symbol.dispose]: () => void did.push('timeline ended') },
    resources: [resource('engine'), resource('executor')],
  });
  return { did, die, worker };
}

test('outputs are published, a failed session is no longer listened to, and resources are disposed of in order', async () => {
  const { did, worker } = setUp([
    { type: 'made', sessionId: 'a' },
    { type: 'failed', sessionId: 'a' },
  ]);
  await new Promise(setImmediate);
  await worker[Symbol.asyncDispose]();
  const end = ['stage ended', 'timeline ended', 'let go of engine', 'let go of executor'];
  assert.deepEqual(did, ['made a', 'forgot a', 'failed a', ...end]);
});

test('when inference fails, every session gets an error event and the process ends with that error', async () => {
  const { did, die, worker } = setUp([]);
  const terminated = once(process, 'SIGTERM');
  const awake = setTimeout(() => undefined, 20_000);
  die(new MeshError('PEER_LOST', 'the thread is gone'));
  await terminated;
  clearTimeout(awake);
  await assert.rejects(worker[Symbol.asyncDispose](), { reason: 'PEER_LOST' });
  assert.deepEqual(did, ['PEER_LOST to b in 7', 'forgot b', 'closed b', 'stage ended', 'timeline ended']);
});
