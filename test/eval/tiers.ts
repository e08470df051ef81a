/**
 * The study of chunk lengths and step counts for the weights at hand: every length and quality of a model generates the same clips, whose latents are compared with
 * the labels.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type QualityTier, qualityTiers } from '@talkmesh/contracts';
import {
  compileCondition,
  compileWhole,
  createOrtExecutor,
  type GraphModel,
  graphCost,
  loadScoreEngine,
  openWeights,
  type ScoreEngine,
} from '@talkmesh/inference';
import type { Row } from '../bench/table.js';
import { median } from '../support/statistics.js';
import { type Clip, readPcm } from './rollout.js';

/** Of `talkmesh_nano.evaluate.tiers`. */
interface Figures {
  readonly correlation: Readonly<Record<string, number>>;
  readonly mbp_mean_open: number;
  readonly 'mbp_closed_share_below_0.15': number;
  readonly silent_closed_share: number;
  readonly pose_step_at_chunk_edges_over_inside: number;
  readonly motion: {
    readonly blinks_per_minute: number;
    readonly blinks_closed_fully: number;
    readonly std: Readonly<Record<string, number>>;
  };
}

/** One quality with chunks of one length, and what making the clips cost. */
interface Run {
  readonly model: GraphModel;
  readonly tier: QualityTier;
  readonly chunkMs: number[];
  cpuUs: number;
}

export interface TierStudy {
  /** A model for each length of its chunks. */
  readonly models: readonly GraphModel[];
  readonly clips: readonly Clip[];
  /** Folder of the material, and the one for the latents. */
  readonly material: string;
  readonly out: string;
  /** Runs a module of the training package. @returns its standard output */
  python(module: string, ...args: string[]): Promise<string>;
}

/** Multiplications and additions of the score network's graphs, without the audio encoder. */
async function operationsOf(model: GraphModel): Promise<{ readonly pass: number; readonly chunk: number }> {
  const { dit, weights: files } = model.manifest.score;
  const weights = await openWeights(model.folder, files);
  const pass = compileWhole(dit, weights, model.ditGeometry, { condition: 'apart' });
  const condition = compileCondition(dit, weights, model.ditGeometry);
  return {
    pass: graphCost(pass, { M: dit.rope.contextChunks * model.geometry.tokens }).operations,
    chunk: condition === undefined ? 0 : graphCost(condition).operations,
  };
}

/** One row a length and quality; `CPU x balanced` is against `balanced` of the same length. */
export async function studyTiers(study: TierStudy): Promise<Row[]> {
  const { models, out, material, python } = study;
  const runs = models.flatMap((model) =>
    qualityTiers(model.manifest).map((tier): Run => ({ model, tier, chunkMs: [], cpuUs: 0 })),
  );
  await generate(study, runs);
  const rows: Row[] = [];
  for (const { model, tier, chunkMs, cpuUs } of runs) {
    const { name, size, schedule, cost: stated } = tier;
    const chunk = ['--frames', String(model.manifest.chunk.latentFrames)];
    const report = await python('evaluate.tiers', '--material', material, '--run', join(out, size), ...chunk);
    const { correlation, motion, ...lips } = JSON.parse(report) as Figures;
    const balanced = runs.find((run) => run.model === model && run.tier.name === 'balanced') as Run;
    const operations = await operationsOf(model);
    const perChunk = operations.chunk + schedule.length * operations.pass;
    const seconds = (chunkMs.length * model.geometry.chunkMs) / 1000;
    rows.push({
      quality: name,
      size,
      open: correlation['mouth_open'] ?? 0,
      width: correlation['mouth_width'] ?? 0,
      round: correlation['mouth_round'] ?? 0,
      teeth: correlation['mouth_teeth'] ?? 0,
      'm, b, p': lips.mbp_mean_open,
      '< .15 %': 100 * lips['mbp_closed_share_below_0.15'],
      'silence closed %': 100 * lips.silent_closed_share,
      'blinks a minute': motion.blinks_per_minute,
      'full %': 100 * motion.blinks_closed_fully,
      yaw: motion.std['yaw'] ?? 0,
      'gaze x': motion.std['gaze_x'] ?? 0,
      edges: lips.pose_step_at_chunk_edges_over_inside,
      'MFLOP/s of video': perChunk / model.geometry.chunkMs / 1000,
      'CPU ms/s of video': cpuUs / 1000 / seconds,
      'chunk p50 ms': median(chunkMs),
      'CPU x balanced': cpuUs / balanced.cpuUs,
      stated,
    });
  }
  return rows;
}

/** Clip by clip all runs in turn, so that a change of the machine's load meets all of them. */
async function generate({ models, clips, material, out }: TierStudy, runs: readonly Run[]): Promise<void> {
  await rm(out, { recursive: true, force: true });
  for (const { tier } of runs) await mkdir(join(out, tier.size), { recursive: true });
  await using executor = createOrtExecutor({ threads: 1 });
  const engines = new Map<GraphModel, ScoreEngine>();
  for (const model of models) engines.set(model, await loadScoreEngine(model, executor));
  for (const [index, clip] of clips.entries()) {
    const pcm = await readPcm(join(material, 'clips', `${clip.id}.pcm`));
    for (const run of runs) {
      const latents = await rollOut(engines.get(run.model) as ScoreEngine, run, pcm, 1000 + index);
      await writeFile(join(out, run.tier.size, `${clip.id}.latents`), latents);
    }
  }
  for (const engine of engines.values()) await engine[Symbol.asyncDispose]();
}

/** @returns latents of all whole chunks, float32 */
async function rollOut(engine: ScoreEngine, run: Run, pcm: Int16Array, seed: number): Promise<Uint8Array> {
  const { samplesPerChunk } = engine.model.geometry;
  const avatar = engine.model.manifest.avatars[0]?.id ?? '';
  const session = await engine.openSession({ avatar, seed, keepChunks: 1, tier: run.tier });
  const made: Buffer[] = [];
  for (let chunk = 0; (chunk + 1) * samplesPerChunk <= pcm.length; chunk++) {
    const [startMs, cpu] = [performance.now(), process.cpuUsage()];
    const latent = await session.generate(chunk, pcm.slice(chunk * samplesPerChunk, (chunk + 1) * samplesPerChunk));
    const { user, system } = process.cpuUsage(cpu);
    if (latent === undefined) throw new Error('a chunk was abandoned');
    run.cpuUs += user + system;
    run.chunkMs.push(performance.now() - startMs);
    made.push(Buffer.from(latent.values.buffer, latent.values.byteOffset, latent.values.byteLength));
  }
  session.dispose();
  return Buffer.concat(made);
}
