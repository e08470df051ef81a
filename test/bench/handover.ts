import { setTimeout as sleep } from 'node:timers/promises';
import { startMesh } from '../../deploy/local/src/mesh.js';
import { speak } from '../support/speech.js';
import { SpokenCall } from '../support/spoken-call.js';
import { median, percentile } from '../support/statistics.js';
import type { Row } from './table.js';

const KILLS_EACH = 5;

interface Sample {
  readonly detectMs: number;
  readonly takeOverMs: number;
  readonly firstMs: number;
  readonly gapFrames: number;
}

/** Kills the score and the decoder worker of fresh calls in the middle of speech, and measures each part of the hand-over. */
export async function measureHandover(): Promise<Row[]> {
  const speech = speak('One two three four five six seven eight nine ten, and no one who listens will ever know.');
  const mesh = await startMesh({
    quiet: true,
    replicas: { 'score-model': 2, 'vae-decode': 2 },
    restartMs: [200],
  });
  try {
    const rows: Row[] = [];
    for (const service of ['score-model', 'vae-decode'] as const) {
      const samples: Sample[] = [];
      for (let i = 0; i < KILLS_EACH; i++) {
        await using spoken = await SpokenCall.start(mesh, speech);
        await sleep(i * 100);
        samples.push(await killOnce(spoken, service));
      }
      rows.push(rowOf(service, samples));
    }
    return rows;
  } finally {
    await mesh.stop();
  }
}

async function killOnce(spoken: SpokenCall, service: 'score-model' | 'vae-decode'): Promise<Sample> {
  const { call, tap } = spoken;
  const [fromTick, lost] = [call.ticks, await spoken.workerOf(service)];
  const chunk = tap.inOrder().at(-1)?.frame.chunk ?? 0;
  const killedAtMs = Date.now();
  await spoken.signal(service, 'SIGKILL');
  await spoken.over();
  const event = tap.events.find(({ type }) => type === 'stage.moved');
  if (event?.type !== 'stage.moved') throw new Error(`the ${service} stage did not move`);
  const isNew = ({ frame, by }: ReturnType<typeof tap.inOrder>[number]): boolean =>
    service === 'vae-decode' ? by !== lost : frame.chunk > chunk && tap.makers.get(frame.chunk) !== lost;
  const first = tap.inOrder().find(isNew);
  return {
    detectMs: event.atMs - killedAtMs - event.tookMs,
    takeOverMs: event.tookMs,
    firstMs: (first?.atMs ?? Number.NaN) - killedAtMs,
    gapFrames: call.longestGapFrom(fromTick),
  };
}

function rowOf(service: string, samples: readonly Sample[]): Row {
  const of = (key: keyof Sample): number[] => samples.map((sample) => sample[key]);
  return {
    killed: service,
    calls: samples.length,
    'detected p50 ms': median(of('detectMs')),
    'p95 ': percentile(of('detectMs'), 0.95),
    'placed and taken over p50 ms': median(of('takeOverMs')),
    'p95  ': percentile(of('takeOverMs'), 0.95),
    'first new frame p50 ms': median(of('firstMs')),
    'p95   ': percentile(of('firstMs'), 0.95),
    'gap p95 frames': percentile(of('gapFrames'), 0.95),
  };
}
