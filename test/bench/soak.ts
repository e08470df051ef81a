/** One call at real speed for a long time: is memory constant, do audio and video stay in step, are deadlines met? */

import { loadavg } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Mesh, startMesh } from '../../deploy/local/src/mesh.js';
import { firstAvatar } from '../support/nano.js';
import { processUse } from '../support/process-tree.js';
import { rest } from '../support/record-call.js';
import { readMetrics, total } from '../support/service-metrics.js';
import { speak } from '../support/speech.js';
import { median } from '../support/statistics.js';
import { watchCall } from '../support/watch-call.js';
import type { Row } from './table.js';

/** A call on a mesh of its own. */
export interface SoakStage extends AsyncDisposable {
  readonly mesh: Mesh;
  readonly sessionId: string;
  /** Blocks of 10 ms of sound that the viewer received so far. */
  soundBlocks(): Promise<number>;
  /** Resolves when the sound was sent, or the call has ended. */
  say(pcm: Int16Array): Promise<void>;
}

export interface SoakOptions {
  /** By default a viewer over WHEP, whose speech comes over StreamAudio. */
  readonly open?: () => Promise<SoakStage>;
  readonly seconds: number;
  /** Warm-up, until first-time allocations are over. */
  readonly warmUpSeconds: number;
  readonly everySeconds: number;
  readonly say?: (line: string) => void;
}

interface Look {
  readonly atS: number;
  /** Resident bytes by process. */
  readonly rss: Readonly<Record<string, number>>;
  readonly playedFrames: number;
  readonly heldFrames: number;
  /** Seconds of audio that reached the viewer. */
  readonly soundS: number;
  /** Since the previous sample. */
  readonly skewMs: number;
  readonly load: number;
}

export interface SoakReport {
  readonly seconds: number;
  readonly memory: readonly Row[];
  /** All processes together, end against beginning after warm-up. */
  readonly memoryGrowth: number;
  /** Wall time minus playhead, held frames included, end against beginning: milliseconds. */
  readonly playheadDriftMs: number;
  /** Wall time minus audio at the viewer, end against beginning: milliseconds. */
  readonly soundDriftMs: number;
  /** Milliseconds between handing over a video frame and its audio: means of the first and of the last part. */
  readonly skewMs: { readonly first: number; readonly last: number };
  /** Share of frames that were shown when they were due. */
  readonly framesOnTime: number;
  readonly chunks: Row;
  readonly mouth: MouthFigures;
  readonly load: number;
}

/** By the decoder's own monitor. */
export interface MouthFigures {
  /** Share of silent frames with the mouth open. */
  readonly openInSilence: number;
  /** Of the opening with the loudness, mean of all passages of speech. */
  readonly correlation: number;
  /** How much later the mouth is than the sound, mean of all passages, milliseconds. */
  readonly laterMs: number;
  readonly passages: number;
}

export async function runSoak(options: SoakOptions): Promise<SoakReport> {
  const say = options.say ?? (() => {});
  await using call = await (options.open ?? whepStage)();
  const { mesh } = call;
  const talking = new AbortController();
  const talk = keepTalking((pcm) => call.say(pcm), talking.signal);
  const looks: Look[] = [];
  const startMs = performance.now();
  let skew = { sum: 0, count: 0 };
  while (performance.now() - startMs < options.seconds * 1000) {
    await sleep(options.everySeconds * 1000);
    const egress = await readMetrics(mesh, 'webrtc-egress');
    const now = {
      sum: total(egress, 'talkmesh_av_skew_seconds_sum'),
      count: total(egress, 'talkmesh_av_skew_seconds_count'),
    };
    const { body } = await rest<Stats>(mesh, 'GET', `/v1/sessions/${call.sessionId}/stats`);
    const { itemsOut = 0, late = 0 } = body.stages['webrtc-egress'] ?? {};
    const look: Look = {
      atS: (performance.now() - startMs) / 1000,
      rss: Object.fromEntries(mesh.services.map(({ name, pid }) => [name, processUse(pid).residentBytes])),
      playedFrames: itemsOut,
      heldFrames: late,
      soundS: (await call.soundBlocks()) / 100,
      skewMs: (1000 * (now.sum - skew.sum)) / Math.max(1, now.count - skew.count),
      load: loadavg()[0] ?? 0,
    };
    skew = now;
    looks.push(look);
    const mib = Object.values(look.rss).reduce((sum, bytes) => sum + bytes, 0) / 2 ** 20;
    say(
      `${look.atS.toFixed(0)} s: ${mib.toFixed(0)} MiB, ${itemsOut} frames, ${late} held, skew ${look.skewMs.toFixed(3)} ms, load ${look.load.toFixed(1)}`,
    );
  }
  talking.abort();
  const chunks = await chunkCounts(mesh);
  const mouth = await mouthFigures(mesh);
  await talk;
  return summarise(looks, options, { chunks, mouth });
}

async function whepStage(): Promise<SoakStage> {
  const mesh = await startMesh({ quiet: true });
  const call = await watchCall(mesh, firstAvatar.id);
  return {
    ...{ mesh, sessionId: call.sessionId, say: (pcm) => call.say(pcm) },
    soundBlocks: async () => (await call.report()).audioBlocks,
    async [Symbol.asyncDispose]() {
      await call[Symbol.asyncDispose]();
      await mesh.stop();
    },
  };
}

interface Stats {
  readonly stages: Readonly<Record<string, { readonly itemsOut: number; readonly late: number }>>;
}

/** Alternates sentences and pauses, as people do. */
async function keepTalking(sayIt: (pcm: Int16Array) => Promise<void>, signal: AbortSignal): Promise<void> {
  const sentences = [
    'All the world is a stage, and all the men and women merely players.',
    'They have their exits and their entrances, and one man in his time plays many parts.',
  ].map((text) => speak(text));
  for (let turn = 0; !signal.aborted; turn++) {
    await sayIt(sentences[turn % sentences.length] as Int16Array);
    await sleep(2000 + 1500 * (turn % 3));
  }
}

async function chunkCounts(mesh: Mesh): Promise<Row> {
  const row: Record<string, number> = {};
  for (const service of ['score-model', 'vae-decode'] as const) {
    const samples = await readMetrics(mesh, service);
    const of = (outcome: string): number => total(samples, 'talkmesh_chunks_total', `outcome="${outcome}"`);
    for (const outcome of ['ok', 'late', 'degraded', 'held', 'flushed'])
      if (of(outcome) > 0) row[`${service} ${outcome}`] = of(outcome);
  }
  return row;
}

async function mouthFigures(mesh: Mesh): Promise<MouthFigures> {
  const samples = await readMetrics(mesh, 'vae-decode');
  const of = (name: string, labels?: string): number => total(samples, `talkmesh_${name}`, labels);
  const [open, closed] = [of('silent_frames_total', 'open'), of('silent_frames_total', 'closed')];
  const apartS = of('mouth_apart_seconds_sum', 'sound') - of('mouth_apart_seconds_sum', 'mouth');
  const passages = of('mouth_correlation_ratio_count');
  return {
    openInSilence: open / (open + closed),
    correlation: of('mouth_correlation_ratio_sum') / passages,
    laterMs: (1000 * apartS) / of('mouth_apart_seconds_count'),
    passages,
  };
}

function summarise(
  all: readonly Look[],
  { seconds, warmUpSeconds }: SoakOptions,
  { chunks, mouth }: Pick<SoakReport, 'chunks' | 'mouth'>,
): SoakReport {
  const looks = all.filter(({ atS }) => atS >= warmUpSeconds);
  const part = Math.max(1, Math.floor(looks.length / 4));
  const [first, last] = [looks.slice(0, part), looks.slice(-part)];
  const memoryOf = (some: readonly Look[], name: string): number => median(some.map(({ rss }) => rss[name] ?? 0));
  const names = Object.keys(looks[0]?.rss ?? {});
  const sum = (some: readonly Look[]): number => names.reduce((bytes, name) => bytes + memoryOf(some, name), 0);
  const row = (process: string, before: number, after: number): Row => ({
    process,
    'first MiB': before / 2 ** 20,
    'last MiB': after / 2 ** 20,
    'growth %': 100 * (after / before - 1),
  });
  const behind = (some: readonly Look[], done: (look: Look) => number): number =>
    1000 * median(some.map((look) => look.atS - done(look)));
  const drift = (done: (look: Look) => number): number => behind(last, done) - behind(first, done);
  const [from, to] = [looks[0] as Look, looks.at(-1) as Look];
  const played = to.playedFrames - from.playedFrames;
  const held = to.heldFrames - from.heldFrames;
  const mean = (some: readonly Look[]): number => some.reduce((total_, { skewMs }) => total_ + skewMs, 0) / some.length;
  return {
    seconds,
    memory: [
      ...names.map((name) => row(name, memoryOf(first, name), memoryOf(last, name))),
      row('all', sum(first), sum(last)),
    ],
    memoryGrowth: sum(last) / sum(first) - 1,
    playheadDriftMs: drift((look) => (look.playedFrames + look.heldFrames) / 25),
    soundDriftMs: drift((look) => look.soundS),
    skewMs: { first: mean(first), last: mean(last) },
    framesOnTime: played / (played + held),
    chunks,
    mouth,
    load: median(looks.map(({ load }) => load)),
  };
}

export function soakTables(report: SoakReport): { readonly soak: readonly Row[]; readonly soakMemory: readonly Row[] } {
  const { memory, skewMs, chunks, mouth, ...rest_ } = report;
  const figures: Row = {
    seconds: rest_.seconds,
    'frames on time %': 100 * rest_.framesOnTime,
    'memory growth %': 100 * rest_.memoryGrowth,
    'playhead drift ms': rest_.playheadDriftMs,
    'audio drift ms': rest_.soundDriftMs,
    'skew first ms': skewMs.first,
    'skew last ms': skewMs.last,
    'passages of speech': mouth.passages,
    'mouth open in silence %': 100 * mouth.openInSilence,
    'mouth with the sound': mouth.correlation,
    'mouth later ms': mouth.laterMs,
    'machine load': rest_.load,
    ...chunks,
  };
  return { soak: [figures], soakMemory: memory };
}
