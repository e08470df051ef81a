/** Which figures of the evaluation got better or worse from one model to the next. */

export type Verdict = 'better' | 'worse' | 'same';
type Value = number | string | readonly number[] | undefined;
type Figures = Readonly<Record<string, unknown>>;

/** What a figure should be: as high or as low as can be, or near a number, which may be another figure of the same section (the first that is there). */
type Aim = 'high' | 'low' | { readonly near: readonly (number | string)[] };

const TRUE = '; of frames with the true motion';
/** Last digit that tables show, and the difference that counts: half of that digit; for milliseconds a tenth of a frame. */
interface Unit {
  readonly shown: number;
  readonly counts: number;
}
const HUNDREDTHS: Unit = { shown: 0.01, counts: 0.005 };
const THOUSANDTHS: Unit = { shown: 0.001, counts: 0.0005 };
const PERCENT: Unit = { shown: 1, counts: 0.5 };
const MS: Unit = { shown: 1, counts: 4 };

const AIMS: Readonly<Record<string, readonly [Aim, Unit]>> = {
  'opening, correlation with the true track': ['high', HUNDREDTHS],
  'the same, worst clip': ['high', HUNDREDTHS],
  'opening, correlation with loudness': [{ near: [`opening, correlation with loudness${TRUE}`] }, HUNDREDTHS],
  'lips after the true track, ms': [{ near: [0] }, MS],
  'lips after loudness, ms': [{ near: [`lips after loudness, ms${TRUE}`] }, MS],
  'silent frames with the mouth closed, %': ['high', PERCENT],
  'm b p: mean opening': [{ near: [`m b p: mean opening${TRUE}`, 0] }, HUNDREDTHS],
  'm b p: closed, %': ['high', PERCENT],
  'blinks a minute': [{ near: [`blinks a minute${TRUE}`, 'blinks a minute, true'] }, PERCENT],
  'of them complete, %': ['high', PERCENT],
  'frames without a face, %': ['low', PERCENT],
  'opening correlation': ['high', HUNDREDTHS],
  'opening correlation, worst clip': ['high', HUNDREDTHS],
  'width correlation, open mouths': ['high', HUNDREDTHS],
  'wrong audio, opening correlation': [{ near: [0] }, HUNDREDTHS],
  'lip offset, ms': [{ near: [0] }, MS],
  'opening spread, share of true': [{ near: [1] }, HUNDREDTHS],
  'change at latent borders over inside': [{ near: ['the same of drawn frames'] }, HUNDREDTHS],
  'change at chunk borders over inside': [{ near: [1] }, HUNDREDTHS],
  'movement, share of drawn': [{ near: [1] }, HUNDREDTHS],
  'face: generated': ['low', HUNDREDTHS],
  'lips: generated': ['low', THOUSANDTHS],
  opening: ['high', HUNDREDTHS],
  'lips, ms': [{ near: [0] }, MS],
  'm b p closed, %': ['high', PERCENT],
  'silence closed, %': ['high', PERCENT],
};

/** How far a value is from its aim; undefined where the section has none. */
function miss(aim: Aim, value: Value, section: Figures): number | undefined {
  if (typeof value !== 'number') return undefined;
  if (aim === 'high') return -value;
  if (aim === 'low') return value;
  const goals = aim.near.map((goal) => (typeof goal === 'number' ? goal : section[goal]));
  const goal = goals.find((one) => typeof one === 'number');
  return goal === undefined ? undefined : Math.abs(value - goal);
}

/** @returns undefined for a figure without an aim (such as a limit) or that one of the sections lacks */
export function verdict(name: string, before: Figures, now: Figures): Verdict | undefined {
  const rule = AIMS[name];
  if (rule === undefined) return undefined;
  const [aim, { shown, counts }] = rule;
  const [old, present] = [before, now].map((section) => miss(aim, section[name] as Value, section));
  if (old === undefined || present === undefined) return undefined;
  if (Math.abs(present - old) < counts || Math.round(present / shown) === Math.round(old / shown)) return 'same';
  return present > old ? 'worse' : 'better';
}

/** Marks that do not depend on colour. */
export const MARKS: Readonly<Record<Verdict, string>> = { better: ' ▲', worse: ' ▼', same: '' };
