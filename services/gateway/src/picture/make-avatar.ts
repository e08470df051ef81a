import {
  type AvatarManifest,
  type Landmarks,
  MAX_PNG_BYTES,
  MeshError,
  type ModelManifest,
  pictureSizes,
  type SizedPictures,
} from '@talkmesh/contracts';
import {
  fromPicture,
  meanLandmarks,
  type PictureSize,
  searchSquares,
  squareAround,
  toPicture,
} from './face-geometry.js';
import { isBox, type PictureHints } from './picture-hints.js';
import { type PictureLimits, PictureProcess } from './picture-process.js';
import type { Square } from './resample-square.js';

/** What vae-decode reports about a picture of the model's size. */
export interface Inspection {
  readonly landmarks: Landmarks;
  readonly found: boolean;
  readonly fits: boolean;
  readonly reasons: readonly Reason[];
  /** Confidence of the least certain landmark, 0..1. */
  readonly confidence: number;
}

export interface Reason {
  readonly code: string;
  readonly text: string;
}

/** @returns undefined when the model has no landmark detector. @throws MeshError NO_WORKER, RATE_LIMITED */
export type Inspect = (
  rgb: Uint8Array,
  landmarks: Landmarks | undefined,
  signal: AbortSignal,
) => Promise<Inspection | undefined>;

/** A picture cropped and resampled for a model. */
export interface MadeAvatar {
  readonly png: Uint8Array;
  /** Width of the PNG, one of the model's sizes. */
  readonly size: number;
  /** Pixels of the model's own size; undefined for a model that needs none. */
  readonly landmarks: Landmarks | undefined;
  /** Size of the uploaded picture, turned upright. */
  readonly picture: PictureSize;
  readonly crop: Square;
  readonly verdict: { readonly fits: boolean; readonly reasons: readonly Reason[] };
}

export interface MakeOptions {
  readonly manifest: SizedPictures & Pick<ModelManifest, 'avatars'>;
  readonly inspect: Inspect;
  readonly limits: PictureLimits;
}

/** Most refinements of the square around a face. */
const MAX_ROUNDS = 3;
/** The square has converged when it would move by less than this part of its side. */
const CONVERGED_RATIO = 0.01;
/** Enlargement (model pixels per picture pixel) above which the result looks soft, and above which it is not usable. */
const SOFT_SCALE = 1.6;
const MAX_SCALE = 3.5;
const UNCHECKED = { code: 'not-checked', text: 'this model cannot check whether a picture suits it' };

/**
 * Makes an avatar from a PNG or JPEG file: finds the face, cuts a square around it as in the training pictures, and evaluates how well it
 * suits the model. Hints of the caller replace what is detected.
 * @throws MeshError PICTURE_INVALID, FACE_NOT_FOUND, ARGUMENT_INVALID, NO_WORKER, DEADLINE_EXCEEDED
 */
export async function makeAvatar(
  file: Uint8Array,
  hints: PictureHints,
  options: MakeOptions,
  signal: AbortSignal,
): Promise<MadeAvatar> {
  await using picture = await PictureProcess.open(file, options.limits, signal);
  const view = await viewOf(picture, hints, options, signal);
  const reasons = [...view.reasons, ...sharpness(view.square, options.manifest.width)];
  const { left, top, side } = view.square;
  return {
    ...(await fileOf(picture, view, options.manifest)),
    landmarks: view.landmarks,
    picture: { width: picture.width, height: picture.height },
    crop: { left, top, side },
    verdict: { fits: reasons.length === 0, reasons },
  };
}

/** The picture at the smallest of the model's sizes that loses nothing of it, or the largest one that fits into a message. */
async function fileOf(
  picture: PictureProcess,
  { square, rgb }: View,
  manifest: SizedPictures,
): Promise<Pick<MadeAvatar, 'png' | 'size'>> {
  const sizes = pictureSizes(manifest);
  const enough = sizes.findIndex(({ size }) => size >= square.side);
  for (const { size } of sizes.slice(1, enough === -1 ? undefined : enough + 1).reverse()) {
    const png = await picture.png(await picture.square(square, size), size);
    if (png.length <= MAX_PNG_BYTES) return { png, size };
  }
  return { png: await picture.png(rgb, manifest.width), size: manifest.width };
}

interface View {
  readonly square: Square;
  readonly rgb: Uint8Array;
  readonly landmarks: Landmarks | undefined;
  readonly reasons: readonly Reason[];
}

function viewOf(
  picture: PictureProcess,
  hints: PictureHints,
  options: MakeOptions,
  signal: AbortSignal,
): Promise<View> {
  const avatars: readonly AvatarManifest[] = options.manifest.avatars;
  const known = avatars.flatMap(({ landmarks }) => (landmarks === undefined ? [] : [landmarks]));
  const given = givenLandmarks(hints, picture);
  if (known.length === 0) return middleOf(picture, given, hints.crop, options.manifest.width);
  const finder = new FaceFinder(picture, options, meanLandmarks(known), signal);
  return given === undefined ? finder.find(hints.crop) : finder.useLandmarks(given, hints.crop);
}

/** For a model that needs no landmarks: the largest square in the middle, or the caller's. */
async function middleOf(
  picture: PictureProcess,
  given: Landmarks | undefined,
  crop: Square | undefined,
  size: number,
): Promise<View> {
  if (given !== undefined)
    throw new MeshError('ARGUMENT_INVALID', 'this model needs no positions of mouth and eyes: leave them out');
  const { width, height } = picture;
  const side = Math.min(width, height);
  const square = crop ?? { left: (width - side) / 2, top: (height - side) / 2, side };
  return { square, rgb: await picture.square(square, size), landmarks: undefined, reasons: [UNCHECKED] };
}

class FaceFinder {
  readonly #picture: PictureProcess;
  readonly #options: MakeOptions;
  readonly #signal: AbortSignal;
  readonly #usual: Landmarks;

  constructor(picture: PictureProcess, options: MakeOptions, usual: Landmarks, signal: AbortSignal) {
    this.#picture = picture;
    this.#options = options;
    this.#usual = usual;
    this.#signal = signal;
  }

  get #size(): number {
    return this.#options.manifest.width;
  }

  /** Uses the landmarks of the caller. */
  async useLandmarks(given: Landmarks, crop: Square | undefined): Promise<View> {
    const square = crop ?? squareAround(given, this.#usual, this.#size, this.#picture);
    const landmarks = fromPicture(given, square, this.#size);
    if (landmarks.flat().some((value) => value < 0 || value > this.#size))
      throw new MeshError('ARGUMENT_INVALID', 'mouth and eyes are outside the crop: change "crop" or "landmarks"');
    const rgb = await this.#picture.square(square, this.#size);
    const inspection = await this.#options.inspect(rgb, landmarks, this.#signal);
    return { square, rgb, landmarks, reasons: inspection?.reasons ?? [UNCHECKED] };
  }

  /**
   * Searches for a face in the whole picture and then in parts of it, and refines the square around it. When the whole picture shows
   * several faces, the caller is asked which: a part of it would show one of them only because of where it was cut.
   */
  async find(crop: Square | undefined): Promise<View> {
    const refusals: Reason[] = [];
    for (const square of crop === undefined ? searchSquares(this.#picture) : [crop]) {
      const first = await this.#inspectSquare(square);
      const [severest] = first.reasons;
      if (severest?.code === 'several-faces') throw notFound(severest);
      const isSmall = first.reasons[0]?.code === 'too-small' && first.isSure;
      if (first.found || isSmall) {
        const view = await this.#refine(first, crop !== undefined);
        if (view !== undefined) return view;
      }
      refusals.push(...first.reasons.slice(0, 1));
    }
    throw notFound(majorityReason(refusals));
  }

  async #refine(first: InspectedView, fixed: boolean): Promise<View | undefined> {
    let look = first;
    for (let round = 1; !fixed && round <= MAX_ROUNDS; round++) {
      const wanted = squareAround(
        toPicture(look.landmarks, look.square, this.#size),
        this.#usual,
        this.#size,
        this.#picture,
      );
      if (isNear(look.square, wanted)) break;
      look = await this.#inspectSquare(wanted);
      if (!look.found) return undefined;
    }
    const { square, rgb, landmarks, reasons, found } = look;
    return found ? { square, rgb, landmarks, reasons } : undefined;
  }

  async #inspectSquare(square: Square): Promise<InspectedView> {
    const rgb = await this.#picture.square(square, this.#size);
    const inspection = await this.#options.inspect(rgb, undefined, this.#signal);
    if (inspection === undefined)
      throw new MeshError(
        'FACE_NOT_FOUND',
        'this model cannot find faces: send the positions of mouth and eyes as "landmarks"',
      );
    const { landmarks, reasons, found, confidence } = inspection;
    return { square, rgb, landmarks, reasons, found, isSure: confidence > MIN_CONFIDENCE };
  }
}

function notFound(why: Reason | undefined): MeshError {
  return new MeshError(
    'FACE_NOT_FOUND',
    `${why?.text ?? 'no face was found'}; to use the picture nevertheless, send the positions of mouth and eyes as "landmarks"`,
    { metadata: { code: why?.code ?? 'no-face' } },
  );
}

/** The reason that at least half of the inspections gave: a single one may report a face where there is none. */
function majorityReason(refusals: readonly Reason[]): Reason | undefined {
  const times = (code: string): number => refusals.filter((reason) => reason.code === code).length;
  const [first] = [...refusals].sort((a, b) => times(b.code) - times(a.code));
  return first !== undefined && times(first.code) * 2 >= refusals.length ? first : undefined;
}

interface InspectedView extends View {
  readonly landmarks: Landmarks;
  readonly found: boolean;
  readonly isSure: boolean;
}

/** Confidence that is enough to refine the square around a small face. */
const MIN_CONFIDENCE = 0.3;

function isNear(a: Square, b: Square): boolean {
  const most = CONVERGED_RATIO * b.side;
  return Math.abs(a.left - b.left) < most && Math.abs(a.top - b.top) < most && Math.abs(a.side - b.side) < 2 * most;
}

function sharpness({ side }: Square, size: number): Reason[] {
  const stretch = size / side;
  if (stretch > MAX_SCALE)
    return [
      { code: 'too-small', text: `the face is only ${Math.round(side)} pixels wide in the picture: use a larger one` },
    ];
  if (stretch > SOFT_SCALE)
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
    throw new MeshError('ARGUMENT_INVALID', `mouth and eyes must be inside the picture, which is ${width}x${height}`);
  if (points[2][0] - points[1][0] < 2)
    throw new MeshError('ARGUMENT_INVALID', 'leftEye must be left of rightEye as seen by the viewer: exchange them');
  return points;
}
