/** Which figures of the evaluation got better or worse from one model to the next. */

export type Verdict = 'better' | 'worse' | 'same';
type Value = number | string | readonly number[] | undefined;
type Figures = Readonly<Record<string, unknown>>;

/** What a figure should be: as high or as low as can be, near a number, or near another figure of the same section. */
type Aim = 'high' | 'low' | { readonly near: number | string };

const TRUE = '; of frames with the true motion';
/** Aim of each figure, and the difference that counts: half of the last digit that tables show. */
const AIMS: Readonly<Record<string, readonly [Aim, number]>> = {
  'opening, correlation with the true track': ['high', 0.005],
  'the same, worst clip': ['high', 0.005],
  'opening, correlation with loudness': [{ near: `opening, correlation with loudness${TRUE}` }, 0.005],
  'lips after the true track, ms': [{ near: 0 }, 1],
  'lips after loudness, ms': [{ near: `lips after loudness, ms${TRUE}` }, 1],
  'silent frames with the mouth closed, %': ['high', 0.5],
  'm b p: mean opening': [{ near: `m b p: mean opening${TRUE}` }, 0.005],
  'm b p: closed, %': ['high', 0.5],
  'blinks a minute': [{ near: `blinks a minute${TRUE}` }, 0.5],
  'of them complete, %': ['high', 0.5],
  'frames without a face, %': ['low', 0.5],
  'opening correlation': ['high', 0.005],
  'opening correlation, worst clip': ['high', 0.005],
  'width correlation, open mouths': ['high', 0.005],
  'wrong audio, opening correlation': [{ near: 0 }, 0.005],
  'lip offset, ms': [{ near: 0 }, 1],
  'opening spread, share of true': [{ near: 1 }, 0.005],
  'change at latent borders over inside': [{ near: 'the same of drawn frames' }, 0.005],
  'change at chunk borders over inside': [{ near: 1 }, 0.005],
  'movement, share of drawn': [{ near: 1 }, 0.005],
  'face: generated': ['low', 0.005],
  'lips: generated': ['low', 0.0005],
  opening: ['high', 0.005],
  'lips, ms': [{ near: 0 }, 1],
  'm b p closed, %': ['high', 0.5],
  'silence closed, %': ['high', 0.5],
};
/** The probe's sections name the true blinks differently. */
const BLINKS_TRUE = 'blinks a minute, true';

/** How far a value is from its aim; undefined where the section has none. */
function miss(aim: Aim, value: Value, section: Figures): number | undefined {
  if (typeof value !== 'number') return undefined;
  if (aim === 'high') return -value;
  if (aim === 'low') return value;
  const goal = typeof aim.near === 'number' ? aim.near : (section[aim.near] ?? section[BLINKS_TRUE]);
  return typeof goal === 'number' ? Math.abs(value - goal) : undefined;
}

/** @returns undefined for a figure without an aim (such as a limit) or that one of the sections lacks */
export function verdict(name: string, before: Figures, now: Figures): Verdict | undefined {
  const rule = AIMS[name];
  if (rule === undefined) return undefined;
  const [aim, step] = rule;
  const [old, present] = [before, now].map((section) => miss(aim, section[name] as Value, section));
  if (old === undefined || present === undefined) return undefined;
  if (Math.abs(present - old) < step) return 'same';
  return present > old ? 'worse' : 'better';
}

/** Marks that do not depend on colour. */
export const MARKS: Readonly<Record<Verdict, string>> = { better: ' ▲', worse: ' ▼', same: '' };
