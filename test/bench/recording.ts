import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '@talkmesh/service-kit/testing';
import { type Mesh, startMesh } from '../../deploy/local/src/mesh.js';
import { CallTap } from '../support/call-tap.js';
import { firstAvatar } from '../support/nano.js';
import { processUse } from '../support/process-tree.js';
import { RecordingStore, recordingOf } from '../support/recordings.js';
import { ROOMY } from '../support/roomy.js';
import { speak } from '../support/speech.js';
import { median } from '../support/statistics.js';
import { watchCall } from '../support/watch-call.js';
import type { Row } from './table.js';

const KINDS = { 'not recorded': undefined, MP4: { format: 'mp4' }, WebM: { format: 'webm' } } as const;
type Kind = keyof typeof KINDS;
/** The kinds take turns, because a busy machine changes from minute to minute. */
const ROUNDS = 3;
const SECONDS = 20;
const PATIENCE_MS = 90_000;
const WORDS = 'The quick brown fox jumps over the lazy dog, and it does so again and again.';

/** Processor time of webrtc-egress with its children, seconds for each second of a call in which the avatar speaks. */
async function costOf(mesh: Mesh, kind: Kind): Promise<number> {
  const recording = KINDS[kind];
  await using call = await watchCall(mesh, firstAvatar.id, { ...(recording !== undefined && { recording }) });
  await using tap = await CallTap.open(mesh, call.sessionId);
  const stream = call.talk(speak(WORDS));
  const isRecorded = async (): Promise<boolean> => (await recordingOf(mesh, call.sessionId)).state === 'recording';
  await until('speech', () => (tap.playhead?.turnPlayedMs ?? 0) > 1000, PATIENCE_MS);
  if (recording !== undefined) await until('the recording', isRecorded, PATIENCE_MS);
  const pid = mesh.services.find(({ name }) => name === 'webrtc-egress')?.pid ?? 0;
  const before = processUse(pid).cpuMs;
  await sleep(1000 * SECONDS);
  const used = processUse(pid).cpuMs - before;
  await stream.finish();
  return used / (1000 * SECONDS);
}

/** What recording a call costs where it is encoded. */
export async function measureRecording(): Promise<Row[]> {
  const folder = await mkdtemp(join(tmpdir(), 'talkmesh-bench-'));
  const store = new RecordingStore(folder);
  const mesh = await startMesh({ quiet: true, env: { ...ROOMY, ...store.env } });
  const costs = new Map<Kind, number[]>();
  const kinds = Object.keys(KINDS) as Kind[];
  try {
    for (let round = 0; round < ROUNDS; round++)
      for (const kind of kinds) costs.set(kind, [...(costs.get(kind) ?? []), await costOf(mesh, kind)]);
  } finally {
    await mesh.stop();
    await mesh.removeLogs();
    await rm(folder, { recursive: true });
  }
  const costOfKind = (kind: Kind): number => median(costs.get(kind) ?? []);
  return kinds.map((kind) => ({
    'a call that is': kind,
    'CPU s a second': costOfKind(kind),
    'x first row': costOfKind(kind) / costOfKind('not recorded'),
    'recording alone': costOfKind(kind) - costOfKind('not recorded'),
  }));
}
