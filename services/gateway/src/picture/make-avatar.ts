import { type Landmarks, MeshError, type ModelManifest } from '@talkmesh/contracts';
import { isBox, type PictureHints } from './picture-hints.js';
import {
  fromPicture,
  meanLandmarks,
  type PictureSize,
  searchSquares,
  squareAround,
  toPicture,
} from './picture-place.js';
import { PictureThread } from './picture-thread.js';
import type { Square } from './resample.js';

/** What the decoder makes of a picture of the model's size. */
export interface Inspection {
  readonly landmarks: Landmarks;
  readonly found: boolean;
  readonly fits: boolean;
  readonly reasons: readonly Reason[];
  /** 0..1, how surely eyes and mouth were found. */
  readonly confidence: number;
}

export interface Reason {
  readonly code: string;
  readonly text: string;
}

/** @returns undefined when the model cannot look at pictures. @throws MeshError NO_WORKER, RATE_LIMITED */
export type Inspect = (
  rgb: Uint8Array,
  landmarks: Landmarks | undefined,
  signal: AbortSignal,
) => Promise<Inspection | undefined>;

/** A picture made fit for a model. */
export interface MadeAvatar {
  readonly png: Uint8Array;
  /** Pixels of the PNG. */
  readonly landmarks: Landmarks;
  /** The given picture, upright, and what was taken of it. */
  readonly picture: PictureSize;
  readonly crop: Square;
  readonly verdict: { readonly fits: boolean; readonly reasons: readonly Reason[] };
}

export interface MakeOptions {
  readonly manifest: Pick<ModelManifest, 'width' | 'height' | 'avatars'>;
  readonly inspect: Inspect;
  readonly maxPixels: number;
}

/** Rounds of looking again at the square around what was found. */
const MAX_ROUNDS = 3;
/** A square that would move by less than this part of its side is good. */
const SETTLED = 0.01;
/** Model pixels for each of the picture's, above which it is soft, and above which it is no use. */
const SOFT = 1.6;
const MAX_STRETCH = 3.5;
const UNCHECKED = { code: 'not-checked', text: 'this model cannot tell whether a picture suits it' };

/**
 * Makes an avatar of a PNG or JPEG file: finds the face, cuts the square the model is used to, says how well it fits.
 * What the caller gives wins over what is found.
 * @throws MeshError PICTURE_INVALID, FACE_NOT_FOUND, ARGUMENT_INVALID, NO_WORKER, DEADLINE_EXCEEDED
 */
export async function makeAvatar(
  file: Uint8Array,
  hints: PictureHints,
  options: MakeOptions,
  signal: AbortSignal,
): Promise<MadeAvatar> {
  await using thread = await PictureThread.open(file, options.maxPixels, signal);
  const studio = new Studio(thread, options, signal);
  const given = givenLandmarks(hints, thread);
  const view = given === undefined ? await studio.find(hints.crop) : await studio.take(given, hints.crop);
  const reasons = [...view.reasons, ...sharpness(view.square, options.manifest.width)];
  const { left, top, side } = view.square;
  return {
    png: await thread.png(view.rgb, options.manifest.width),
    landmarks: view.landmarks,
    picture: { width: thread.width, height: thread.height },
    crop: { left, top, side },
    verdict: { fits: reasons.length === 0, reasons },
  };
}

interface View {
  readonly square: Square;
  readonly rgb: Uint8Array;
  readonly landmarks: Landmarks;
  readonly reasons: readonly Reason[];
}

class Studio {
  private readonly thread: PictureThread;
  private readonly o: MakeOptions;
  private readonly signal: AbortSignal;
  private readonly usual: Landmarks;

  constructor(thread: PictureThread, options: MakeOptions, signal: AbortSignal) {
    this.thread = thread;
    this.o = options;
    this.signal = signal;
    this.usual = meanLandmarks(options.manifest.avatars.map(({ landmarks }) => landmarks));
  }

  private get size(): number {
    return this.o.manifest.width;
  }

  /** The picture where the caller says mouth and eyes are. */
  async take(given: Landmarks, crop: Square | undefined): Promise<View> {
    const square = crop ?? squareAround(given, this.usual, this.size, this.thread);
    const landmarks = fromPicture(given, square, this.size);
    if (landmarks.flat().some((value) => value < 0 || value > this.size))
      throw new MeshError('ARGUMENT_INVALID', 'mouth and eyes are not inside of the crop');
    const rgb = await this.thread.square(square, this.size);
    const inspection = await this.o.inspect(rgb, landmarks, this.signal);
    return { square, rgb, landmarks, reasons: inspection?.reasons ?? [UNCHECKED] };
  }

  /** Looks for a face in the whole picture, then in parts of it, and again around what was found. */
  async find(crop: Square | undefined): Promise<View> {
    const refusals: Reason[] = [];
    for (const square of crop === undefined ? searchSquares(this.thread) : [crop]) {
      const first = await this.look(square);
      const small = first.reasons[0]?.code === 'too-small' && first.sure;
      if (first.found || small) {
        const view = await this.approach(first, crop !== undefined);
        if (view !== undefined) return view;
      }
      refusals.push(...first.reasons.slice(0, 1));
    }
    const why = mostSaid(refusals);
    throw new MeshError(
      'FACE_NOT_FOUND',
      `${why?.text ?? 'no face was found'}; to use the picture all the same, say where mouth and eyes are ("landmarks")`,
      { metadata: { code: why?.code ?? 'no-face' } },
    );
  }

  private async approach(first: Look, fixed: boolean): Promise<View | undefined> {
    let look = first;
    for (let round = 1; !fixed && round <= MAX_ROUNDS; round++) {
      const wanted = squareAround(
        toPicture(look.landmarks, look.square, this.size),
        this.usual,
        this.size,
        this.thread,
      );
      if (isNear(look.square, wanted)) break;
      look = await this.look(wanted);
      if (!look.found) return undefined;
    }
    const { square, rgb, landmarks, reasons, found } = look;
    return found ? { square, rgb, landmarks, reasons } : undefined;
  }

  private async look(square: Square): Promise<Look> {
    const rgb = await this.thread.square(square, this.size);
    const inspection = await this.o.inspect(rgb, undefined, this.signal);
    if (inspection === undefined)
      throw new MeshError(
        'FACE_NOT_FOUND',
        'this model cannot look for faces: say where mouth and eyes are ("landmarks")',
      );
    const { landmarks, reasons, found, confidence } = inspection;
    return { square, rgb, landmarks, reasons, found, sure: confidence > SURE };
  }
}

/** What at least half of the looks say; one look alone may see a face in anything. */
function mostSaid(refusals: readonly Reason[]): Reason | undefined {
  const times = (code: string): number => refusals.filter((reason) => reason.code === code).length;
  const [first] = [...refusals].sort((a, b) => times(b.code) - times(a.code));
  return first !== undefined && times(first.code) * 2 >= refusals.length ? first : undefined;
}

interface Look extends View {
  readonly found: boolean;
  readonly sure: boolean;
}

/** Enough to look closer at a small face. */
const SURE = 0.3;

function isNear(a: Square, b: Square): boolean {
  const most = SETTLED * b.side;
  return Math.abs(a.left - b.left) < most && Math.abs(a.top - b.top) < most && Math.abs(a.side - b.side) < 2 * most;
}

function sharpness({ side }: Square, size: number): Reason[] {
  const stretch = size / side;
  if (stretch > MAX_STRETCH)
    return [
      { code: 'too-small', text: `the face is only ${Math.round(side)} pixels wide in the picture: use a larger one` },
    ];
  if (stretch > SOFT)
    return [{ code: 'too-small', text: 'the face is small in the picture and will look soft: a larger one is better' }];
  return [];
}

function givenLandmarks({ landmarks, boxes }: PictureHints, { width, height }: PictureSize): Landmarks | undefined {
  const given = landmarks ?? boxes;
  if (given === undefined) return undefined;
  const at = (value: readonly number[]): [number, number] => {
    if (!isBox(value)) return [value[0] as number, value[1] as number];
    const [left, top, right, bottom] = value;
    return [(left + right) / 2, (top + bottom) / 2];
  };
  const points: Landmarks = [at(given.mouth), at(given.leftEye), at(given.rightEye)];
  if (points.some(([x, y]) => x < 0 || y < 0 || x > width || y > height))
    throw new MeshError(
      'ARGUMENT_INVALID',
      `mouth and eyes must be inside of the picture, which is ${width}x${height}`,
    );
  if (points[2][0] - points[1][0] < 2)
    throw new MeshError('ARGUMENT_INVALID', 'leftEye is the one on the left as you look at the picture');
  return points;
}
