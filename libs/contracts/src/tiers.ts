/** Quality tiers: the numbers of denoising steps that one set of weights can take, and what each costs. */
import { z } from 'zod';
import { CHUNK_LENGTH_SETTING } from './chunk-lengths.js';
import type { DitDescription } from './dit.js';
import { MeshError } from './errors.js';

/** From the fewest steps to the most. `balanced` is what a model was made for; every model has it. */
export const QUALITIES = ['fast', 'balanced', 'best'] as const;
export type Quality = (typeof QUALITIES)[number];

/** Noise level at the start of each denoising step, descending; the last step ends at 0. */
export const noiseSchedule = z.array(z.number().gt(0).lte(1)).min(1).max(64);

const tier = z.strictObject({
  schedule: noiseSchedule,
  /** Time of a chunk, as a multiple of that of `balanced`, measured. Without it: by passes of the network. */
  cost: z.number().positive().optional(),
});

/** Tiers of a manifest besides `balanced`, whose schedule is the model's. */
export const otherTiers = z.strictObject({ fast: tier.optional(), best: tier.optional() });

/** Names of the layers of a timestep embedding, in place of those of `dit.time`. */
const ownTime = z.strictObject({ inner: z.string().min(1), outer: z.string().min(1) });
const tierWithTime = tier.extend({ time: ownTime.optional() });

/** The same for a network whose tiers may read the noise level each in their own way: the others stay what they are when one is trained. */
export const otherTiersWithTime = z.strictObject({ fast: tierWithTime.optional(), best: tierWithTime.optional() });

export interface QualityTier {
  readonly name: Quality;
  /** Latent frames of a chunk and denoising steps, such as `3x2`. */
  readonly size: string;
  readonly schedule: readonly number[];
  /** Time of a chunk, as a multiple of that of `balanced`. */
  readonly cost: number;
  /** Undefined: the timestep embedding of `balanced`. */
  readonly time?: z.output<typeof ownTime>;
}

/** What the tiers follow from: a manifest, or a part of one. */
export interface TieredModel {
  readonly name: string;
  readonly chunk: { readonly latentFrames: number };
  readonly score: {
    readonly dit: Pick<DitDescription, 'context'>;
    readonly schedule: readonly number[];
    readonly tiers?: z.output<typeof otherTiersWithTime> | undefined;
  };
}

/** The tiers of a model, the cheapest first. */
export function qualityTiers({ chunk, score }: TieredModel): QualityTier[] {
  // A network that attends to finished chunks runs once more over each.
  const passes = ({ length }: readonly number[]): number => length + (score.dit.context === undefined ? 0 : 1);
  const all = { ...score.tiers, balanced: { schedule: score.schedule, cost: 1 } };
  return QUALITIES.flatMap((name) => {
    const found = all[name];
    if (found === undefined) return [];
    const { schedule, cost = passes(schedule) / passes(score.schedule) } = found;
    const time = 'time' in found && found.time !== undefined ? { time: found.time } : {};
    return [{ name, size: `${chunk.latentFrames}x${schedule.length}`, schedule, cost, ...time }];
  });
}

/** `balanced`. */
export function balancedTier(model: TieredModel): QualityTier {
  return qualityTiers(model).find(({ name }) => name === 'balanced') as QualityTier;
}

/**
 * @param wanted a name, or a size such as `3x4`; empty: `balanced`
 * @throws MeshError ARGUMENT_INVALID with what the model has
 */
export function qualityTier(model: TieredModel, wanted = ''): QualityTier {
  const tiers = qualityTiers(model);
  const found = tiers.find(({ name, size }) => wanted === name || wanted === size);
  if (wanted === '') return balancedTier(model);
  if (found !== undefined) return found;
  const possible = tiers.map(({ name, size }) => `${name} (${size})`).join(', ');
  const [, frames] = /^(\d{1,2})x\d{1,2}$/.exec(wanted) ?? [];
  const isOtherLength = frames !== undefined && Number(frames) !== model.chunk.latentFrames;
  const hint = isOtherLength ? `; the length of chunks is a choice of the deployment, ${CHUNK_LENGTH_SETTING}` : '';
  throw new MeshError(
    'ARGUMENT_INVALID',
    `${model.name} has no quality ${wanted.slice(0, 20)}; possible: ${possible}${hint}`,
  );
}
