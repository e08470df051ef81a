import { type FaceFrame, toFace } from './face-frame.js';
import { BROWS, EYES, LIPS, LOWER_LIP_BORDER } from './face-points.js';
import { interpolate, SlitCurves } from './lip-line.js';

/** Movements of a face. A frame is the sum of them, each times a weight that `shapeWeights` reads from the rig numbers. */
export const SHAPES = [
  'closed',
  'jaw',
  'upperLip',
  'lowerLip',
  'tuck',
  'width',
  'round',
  'smile',
  'brows',
  'blink',
] as const;
export type Shape = (typeof SHAPES)[number];
/** Movements that also shift the texture, because skin rolls out of sight: the lower lip under the teeth, the margins of the lids. */
export const ROLLS = ['tuck', 'blink'] as const satisfies readonly Shape[];

/** Drop of the lower lip when the mouth is fully open, units of the face. */
export const JAW_DROP = 0.33;
const UPPER_RAISE = 0.07;
const LOWER_DROP = 0.06;

/** A gap between the lips that shows teeth. */
const TEETH_GAP = 0.1;
/** Share of a smile with teeth that is taken back, because lips that speak close without it. */
const UNSMILE = 0.45;

/** How far above the eye skin follows a blink: without glasses, and where their frame must stay. */
const LID_REACH = { bare: 0.13, covered: 0.035 } as const;
/** Height of the lashes above the margin of the upper lid, which the closed lid shows no more, and how far above skin stretches for it. */
const LASHES = { bare: 0.045, covered: 0.035, reach: { bare: 0.1, covered: 0.06 } } as const;
/** Height of the wet rim below the margin of the lower lid, and how far below skin stretches for it. */
const RIM = { height: 0.06, reach: 0.15 } as const;
/** How far a closed lid pushes the lower margin down. */
const LID_PUSH = 0.015;
/** Share of the lower lip's red that f and v roll in. */
const ROLLED = 0.5;

type Offset = readonly [x: number, y: number];

const clamp = (value: number, low: number, high: number): number => Math.min(high, Math.max(low, value));
const smoothstep = (from: number, to: number, value: number): number => {
  const share = clamp((value - from) / (to - from), 0, 1);
  return share * share * (3 - 2 * share);
};
const bell = (value: number, width: number): number => Math.exp(-((value / width) ** 2));

/** The movements of one face, from its landmarks. Distances are in units of the face. */
export class FaceShapes {
  readonly #lidCover: readonly [number, number];
  readonly #points: Float32Array;
  readonly #frame: FaceFrame;
  readonly #lips: SlitCurves;
  readonly #border: readonly [xs: number[], ys: number[]];
  readonly #eyes: readonly SlitCurves[];
  readonly #brows: readonly (readonly [xs: number[], ys: number[]])[];
  readonly #middle: number;
  readonly #half: number;
  /** How far a smile that shows teeth raises the corners of the mouth. */
  readonly #smiling: number;

  /** @param lidCover see Photo */
  constructor(points: Float32Array, frame: FaceFrame, lidCover: readonly [number, number]) {
    this.#lidCover = lidCover;
    this.#points = points;
    this.#frame = frame;
    this.#lips = new SlitCurves(points, frame, LIPS);
    this.#eyes = EYES.map((slit) => new SlitCurves(points, frame, slit));
    const curve = (row: readonly number[]): readonly [xs: number[], ys: number[]] => {
      const places = row.map((index) => this.#place(index));
      return [places.map(([x]) => x), places.map(([, y]) => y)];
    };
    this.#border = curve(LOWER_LIP_BORDER);
    this.#brows = BROWS.map(curve);
    this.#middle = (this.#lips.left + this.#lips.right) / 2;
    this.#half = (this.#lips.right - this.#lips.left) / 2;
    const height = (x: number): number => (this.#lips.upper(x) + this.#lips.lower(x)) / 2;
    const raised = height(this.#middle) - (height(this.#lips.left) + height(this.#lips.right)) / 2;
    this.#smiling = Math.max(0, raised) * Math.min(1, this.#lips.gap(this.#middle) / TEETH_GAP);
  }

  /** Offsets of one of the 468 points at weight 1 of each shape. */
  offsets(index: number): Record<Shape, Offset> {
    const [x, y] = this.#place(index);
    return { ...this.#mouth(index, x, y), ...this.#upper(index, x, y) };
  }

  /** How far the texture of one of the 468 points shifts at weight 1 of each of ROLLS. */
  rolls(index: number): Record<(typeof ROLLS)[number], Offset> {
    const [x, y] = this.#place(index);
    const lip = this.#lowerLip(index, x, y);
    let lids = 0;
    this.#eyes.forEach((eye, i) => {
      const above = this.#isUpperLid(i, index, x, y);
      const cover = this.#lidCover[i] as number;
      const mix = (range: { readonly bare: number; readonly covered: number }): number =>
        range.bare + (range.covered - range.bare) * cover;
      const away = above ? eye.upper(x) - y : y - eye.lower(x);
      const [height, reach] = above ? [-mix(LASHES), mix(LASHES.reach)] : [RIM.height, RIM.reach];
      lids += height * Math.max(0, 1 - Math.max(0, away) / reach) * nearEye(eye, x);
    });
    return { tuck: [0, ROLLED * lip.red * (1 - lip.depth) * lip.within], blink: [0, lids] };
  }

  #isUpperLid(eye: number, index: number, x: number, y: number): boolean {
    const [slit, curves] = [EYES[eye], this.#eyes[eye] as SlitCurves];
    if (slit?.upper.includes(index)) return true;
    return !slit?.lower.includes(index) && y < (curves.upper(x) + curves.lower(x)) / 2;
  }

  /** Of a point: depth in the lower lip's red, 0 at its inner margin and above, 1 at its border and below, the red's height, and how much of a roll takes place there. */
  #lowerLip(index: number, x: number, y: number): { depth: number; red: number; within: number } {
    const [xs, ys] = this.#border;
    const inner = this.#lips.lower(x);
    const red = Math.max(0.01, interpolate(xs, ys, x) - inner);
    const across = Math.min(1, Math.abs((x - this.#middle) / this.#half));
    const isUpper = this.#isUpperLip(index, x, y);
    return { red, depth: isUpper ? 1 : clamp((y - inner) / red, 0, 1), within: isUpper ? 0 : 1 - across ** 3 };
  }

  #isUpperLip(index: number, x: number, y: number): boolean {
    if (LIPS.upper.includes(index)) return true;
    return !LIPS.lower.includes(index) && y < this.#lips.upper(x) + 0.45 * (this.#lips.lower(x) - this.#lips.upper(x));
  }

  #place(index: number): [number, number] {
    return toFace(this.#frame, this.#points[3 * index] as number, this.#points[3 * index + 1] as number);
  }

  #mouth(index: number, x: number, y: number): Omit<Record<Shape, Offset>, 'brows' | 'blink'> {
    const [lips, middle, half] = [this.#lips, this.#middle, this.#half];
    const [top, bottom] = [lips.upper(x), lips.lower(x)];
    const isUpper = this.#isUpperLip(index, x, y);
    const lip = this.#lowerLip(index, x, y);
    /** Height above the upper or below the lower contour. */
    const away = isUpper ? Math.min(0, y - top) : Math.max(0, y - bottom);
    const signed = (x - middle) / half;
    const across = Math.abs(signed);
    const inside = Math.min(1, across);
    const cheek = smoothstep(-0.55, 0.75, away);
    const side = 1 - 0.8 * smoothstep(0.5, 1.15, Math.abs(x - middle));
    const jaw = (isUpper ? cheek * inside ** 2.2 : 1 + (cheek - 1) * inside ** 2.2) * side;
    const within = 1 - 0.6 * Math.min(1, across) ** 2;
    const beyond = 1 - smoothstep(1, 2.4, across);
    const lipsOnly = beyond * bell(away, 0.2);
    const rolled = ROLLED * lip.red * lip.depth * lip.within * bell(Math.max(0, away - lip.red), 0.22);
    const gap = lips.gap(x);
    const closing = isUpper ? 0.45 * gap * bell(away, 0.22) : -0.55 * gap * (0.35 + 0.65 * bell(away, 0.3)) * side;
    const sideways = across <= 1 ? signed : Math.sign(signed) * beyond;
    return {
      closed: [
        -0.25 * sideways * lips.gap(middle) * bell(away, 0.4),
        closing * (across <= 1 ? 1 : beyond) + UNSMILE * this.#smiling * inside ** 2 * beyond * bell(away, 0.3),
      ],
      jaw: [-0.05 * half * sideways * bell(away, 0.4), JAW_DROP * jaw],
      upperLip: [0, isUpper ? -UPPER_RAISE * within * beyond * bell(away, 0.22) : 0],
      lowerLip: [0, isUpper ? 0 : LOWER_DROP * within * beyond * bell(away, 0.22)],
      tuck: [0, -rolled],
      width: [0.16 * half * sideways * bell(away, 0.45), 0],
      round: [-0.2 * half * sideways * bell(away, 0.4), 0.22 * away * lipsOnly],
      smile: [0.1 * sideways * lipsOnly, -0.13 * inside ** 2 * beyond * bell(away, 0.3)],
    };
  }

  #upper(index: number, x: number, y: number): Record<'brows' | 'blink', Offset> {
    let blink = 0;
    let brow = 0;
    this.#eyes.forEach((eye, i) => {
      const reach = LID_REACH.bare + (LID_REACH.covered - LID_REACH.bare) * (this.#lidCover[i] as number);
      blink +=
        nearEye(eye, x) *
        (this.#isUpperLid(i, index, x, y)
          ? (eye.gap(x) + LID_PUSH) * bell(Math.max(0, eye.upper(x) - y), reach)
          : LID_PUSH * bell(Math.max(0, y - eye.lower(x)), 0.1));
      const [xs, ys] = this.#brows[i] as readonly [xs: number[], ys: number[]];
      const above = interpolate(xs, ys, x) - y;
      const span =
        smoothstep((xs[0] as number) - 0.15, xs[0] as number, x) *
        (1 - smoothstep(xs.at(-1) as number, (xs.at(-1) as number) + 0.15, x));
      brow += -0.06 * (1 - (this.#lidCover[i] as number)) * span * (above > 0 ? bell(above, 0.35) : bell(above, 0.14));
    });
    return { brows: [0, brow], blink: [0, blink] };
  }
}

/** 1 between the corners of an eye, falling to 0 beside them. */
const nearEye = ({ left, right }: SlitCurves, x: number): number =>
  smoothstep(left - 0.06, left + 0.04, x) * (1 - smoothstep(right - 0.04, right + 0.06, x));

/** Numbers of the rig in a row; see `NAMES` in training/talkmesh_nano/motion/rig.py. */
export const RIG = {
  open: 0,
  width: 1,
  round: 2,
  teeth: 3,
  smile: 4,
  blink: 5,
  gazeX: 6,
  gazeY: 7,
  brow: 8,
  yaw: 9,
  pitch: 10,
  roll: 11,
  shiftX: 12,
  shiftY: 13,
  breath: 14,
} as const;
export const RIG_NUMBERS = 15;

/** Openings up to this are those of closed lips: what the score model generates for m, b and p. */
const CLOSED_OPENING = 0.05;
/** The lips part within this opening; teeth show only as far as they are parted. */
const PARTED_OPENING = 0.06;
/** Share of the opening that the lower lip takes from the jaw when the teeth show, as in "ee". */
const SPREAD = 0.4;
const NEUTRAL = { width: 0.5, smile: 0.25 } as const;
/** What tells f and v from other sounds that show the teeth: the lips are hardly open, and neither wide (s) nor rounded (sh). Ranges in which the lip rolls in. */
const TUCK = {
  teeth: [0.7, 0.95],
  parted: [0.02, 0.07],
  open: [0.34, 0.18],
  width: [0.7, 0.6],
  round: [0.4, 0.2],
} as const;
/** Weights while the lower lip touches the upper teeth. */
const TUCKED = { jaw: 0.1, upperLip: 0.6 } as const;
/** Lids follow a blink of the rig to `from` and are closed at `full`: many generated blinks end there, and gaze and noise stay below `from`. */
const CLOSURE = { from: 0.4, full: 0.8 } as const;

/** How far lids are closed. @param blink number of the rig */
export function lidClosure(blink: number): number {
  const { from, full } = CLOSURE;
  return blink <= from ? blink : Math.min(1, from + ((blink - from) * (1 - from)) / (full - from));
}

function tuckOf(at: (name: keyof typeof RIG) => number): number {
  const within = ([from, to]: readonly [number, number], value: number): number =>
    from < to ? smoothstep(from, to, value) : 1 - smoothstep(to, from, value);
  const mouth = within(TUCK.width, at('width')) * within(TUCK.round, at('round'));
  return mouth * within(TUCK.teeth, at('teeth')) * within(TUCK.parted, at('open')) * within(TUCK.open, at('open'));
}

/** @param rig one row of rig numbers @returns weights in the order of SHAPES */
export function shapeWeights(rig: Float32Array): number[] {
  const at = (name: keyof typeof RIG): number => rig[RIG[name]] as number;
  const open = Math.max(0, at('open') - CLOSED_OPENING) / (1 - CLOSED_OPENING);
  const parted = Math.min(1, open / PARTED_OPENING);
  const tuck = tuckOf(at);
  const touching = (free: number, tucked: number): number => free + (tucked - free) * tuck;
  const weights: Record<Shape, number> = {
    closed: 1,
    jaw: touching(open * (1 - SPREAD * at('teeth')), TUCKED.jaw),
    upperLip: touching(parted * (0.55 * at('teeth') + 0.35 * open), TUCKED.upperLip),
    lowerLip: touching(parted * 0.5 * at('teeth') + (SPREAD * at('teeth') * open * JAW_DROP) / LOWER_DROP, 0),
    tuck,
    width: 2 * (at('width') - NEUTRAL.width),
    round: at('round'),
    smile: at('smile') - NEUTRAL.smile,
    brows: at('brow'),
    blink: lidClosure(at('blink')),
  };
  return SHAPES.map((shape) => weights[shape]);
}

/** Rings around the outline of the face: distance from its middle relative to the outline's, and the share of the outline's movement. */
export const RINGS = [
  { scale: 1.1, share: 0.75 },
  { scale: 1.25, share: 0.35 },
  { scale: 1.5, share: 0 },
] as const;
