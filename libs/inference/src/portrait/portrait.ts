import { type GraphManifest, type Landmarks, MeshError } from '@talkmesh/contracts';
import type { Executor, Segment } from '../executor/executor.js';
import type { GraphModel } from '../model/model.js';
import { PhotographFinder } from './photograph-finder.js';

export type PortraitManifest = NonNullable<GraphManifest['portrait']>;

/** The raw outputs of the landmark detector. */
export interface PortraitFinding {
  /** In pixels of the picture. */
  readonly landmarks: Landmarks;
  /** Per landmark, the share of its heat map that is near the peak, 0..1. */
  readonly confidence: readonly number[];
  /** Probability of each kind of picture; they sum to 1. */
  readonly kinds: Readonly<Record<string, number>>;
  /** 0 (closed) to 1 (open). */
  readonly mouthOpen: number;
  readonly blink: number;
  /** In units of the training rig; a face is turned away beyond about 1. */
  readonly yaw: number;
  readonly pitch: number;
  /** Distance of the picture's features from those of drawn faces, in standard deviations. */
  readonly distance: number;
  /** [468, 3]: points of the mesh of a photographed face, pixels; undefined for other pictures. */
  readonly points?: Float32Array;
}

export interface PortraitReason {
  /** Stable name; see protos/talkmesh/v1/picture.proto. */
  readonly code: string;
  /** One sentence for the user. */
  readonly text: string;
}

export interface PortraitVerdict {
  /** There is exactly one face: upright, complete and large enough. */
  readonly found: boolean;
  /** The picture is of the kind that the model was trained on. */
  readonly fits: boolean;
  /** Why it does not fit, most severe reason first. */
  readonly reasons: readonly PortraitReason[];
}

const reason = (code: string, text: string): PortraitReason => ({ code, text });
const OF_KIND: Readonly<Record<string, PortraitReason>> = {
  none: reason('no-face', 'no face was found'),
  several: reason('several-faces', 'there is more than one face: crop the picture to one'),
  upside_down: reason('upside-down', 'the face is upside down: turn the picture'),
  cut_off: reason('cut-off', 'part of the face is cut off or hidden'),
  too_small: reason('too-small', 'the face is too small'),
  unlike: reason(
    'unlike-training',
    'this looks like a photograph or a painting; the model was trained on drawn faces, so expect a poor mouth',
  ),
};
/** The kind of a picture that the mesh decoder animates. */
const PHOTOGRAPH = 'photograph';
const FACES: readonly string[] = ['fits', PHOTOGRAPH, 'unlike', 'too_small'];
/** The mesh decoder closes the lips of a smile that shows teeth; it cannot close a mouth that is open wider than this. */
const WIDE_OPEN = 0.8;
/** Smallest probability to report a specific unusable kind; below it the verdict is `none`. */
const SURE_OF_KIND = 0.7;
/** Largest angle between the line of the eyes and the horizontal, radians. */
const MAX_TILT = 0.3;
/** Limits of the distance from eyes to mouth divided by the distance of the eyes. Shipped avatars have 0.7 to 1. */
const PROPORTIONS = [0.5, 1.5] as const;
/** Largest deviation of a given landmark from the detected one, relative to the distance of the eyes. */
const MAX_MOVED = 0.3;

/** Finds the face in a picture: drawn ones by the model's own detector, those of people by the detector for photographs if the model has it. */
export class PortraitFinder {
  readonly #executor: Executor;
  readonly #segment: Segment;
  readonly #manifest: GraphManifest;
  readonly #portrait: PortraitManifest;
  readonly #photographs: PhotographFinder | undefined;

  private constructor(
    executor: Executor,
    segment: Segment,
    manifest: GraphManifest,
    portrait: PortraitManifest,
    photographs: PhotographFinder | undefined,
  ) {
    this.#executor = executor;
    this.#segment = segment;
    this.#manifest = manifest;
    this.#portrait = portrait;
    this.#photographs = photographs;
  }

  /** @returns undefined for a model without a landmark detector @throws MeshError MODEL_INVALID */
  static async load(model: GraphModel, executor: Executor): Promise<PortraitFinder | undefined> {
    const { portrait } = model.manifest;
    if (portrait === undefined) return undefined;
    const segment = await executor.load(model.portraitPath() as string, 'portrait');
    const paths = model.photographPaths();
    const photographs = paths === undefined ? undefined : await PhotographFinder.load(paths, executor);
    return new PortraitFinder(executor, segment, model.manifest, portrait, photographs);
  }

  /**
   * Finds the landmarks of one picture; takes 10 to 30 ms on one core.
   * @param rgb [height, width, 3] bytes of the model's size
   * @throws MeshError ARGUMENT_INVALID for another size
   */
  async find(rgb: Uint8Array): Promise<PortraitFinding> {
    const { width, height } = this.#manifest;
    if (rgb.byteLength !== width * height * 3)
      throw new MeshError(
        'ARGUMENT_INVALID',
        `a picture has ${width}x${height}x3 bytes for this model, not ${rgb.byteLength}`,
      );
    const drawn = await this.#findDrawn(rgb);
    const fits = (drawn.kinds['fits'] ?? 0) >= this.#portrait.minFits && drawn.distance <= this.#portrait.maxDistance;
    if (fits || this.#photographs === undefined) return drawn;
    const found = await this.#photographs.find({ rgb, width, height });
    if (found.faces === 0) return drawn;
    if (found.faces === 2) return { ...drawn, kinds: { several: 1 } };
    const { presence, ...face } = found.face;
    const kind = this.#manifest.decoder.mesh === undefined ? 'unlike' : PHOTOGRAPH;
    return { ...face, confidence: [presence, presence, presence], kinds: { [kind]: 1 }, distance: drawn.distance };
  }

  async #findDrawn(rgb: Uint8Array): Promise<PortraitFinding> {
    const { width, height } = this.#manifest;
    const executor = this.#executor;
    const image = executor.upload(rgb, 'uint8', [height, width, 3]);
    const names = ['landmarks', 'confidence', 'kinds', 'attributes', 'distance'];
    const handles = await executor
      .run(this.#segment, { inputs: { image }, outputs: names })
      .finally(() => executor.release(image));
    try {
      const values = names.map((name) => executor.download(handles[name] as NonNullable<(typeof handles)[string]>));
      const [places, confidence, kinds, attributes, distance] = (await Promise.all(values)).map((data) =>
        Array.from(data as Float32Array),
      ) as [number[], number[], number[], number[], number[]];
      const [mouthOpen = 0, blink = 0, yaw = 0, pitch = 0] = attributes;
      return {
        landmarks: landmarksOf(places),
        confidence,
        kinds: Object.fromEntries(this.#portrait.kinds.map((name, i) => [name, kinds[i] ?? 0])),
        ...{ mouthOpen, blink, yaw, pitch },
        distance: distance[0] ?? Number.POSITIVE_INFINITY,
      };
    } finally {
      executor.release(...Object.values(handles));
    }
  }

  /**
   * @param given landmarks from the user; they take precedence over the detected ones, a large difference is a reason
   */
  assess(finding: PortraitFinding, given?: Landmarks): PortraitVerdict {
    return assessPortrait(finding, this.#portrait, given);
  }
}

/** x, y, x, y, x, y -> three points. @throws MeshError ARGUMENT_INVALID */
export function landmarksOf(values: readonly number[]): Landmarks {
  if (values.length !== 6 || !values.every(Number.isFinite))
    throw new MeshError('ARGUMENT_INVALID', 'landmarks are six numbers: x and y of mouth, left eye and right eye');
  const [a, b, c, d, e, f] = values as [number, number, number, number, number, number];
  return [
    [a, b],
    [c, d],
    [e, f],
  ];
}

/** Decides whether the picture is usable and fits the model, with reasons for the user. */
export function assessPortrait(finding: PortraitFinding, limits: PortraitManifest, given?: Landmarks): PortraitVerdict {
  const [likeliest, share] = Object.entries(finding.kinds).sort(([, a], [, b]) => b - a)[0] ?? ['none', 1];
  const kind = FACES.includes(likeliest) || share >= SURE_OF_KIND ? likeliest : 'none';
  const sure = Math.min(...finding.confidence) >= limits.minConfidence;
  const isFace = FACES.includes(kind);
  const reasons: PortraitReason[] = [];
  const ofKind = OF_KIND[kind];
  if (ofKind !== undefined) reasons.push(ofKind);
  else if (!sure) reasons.push(reason('no-face', 'eyes and mouth are not clearly visible'));
  else if (
    kind !== PHOTOGRAPH &&
    ((finding.kinds['fits'] ?? 0) < limits.minFits || finding.distance > limits.maxDistance)
  )
    reasons.push(
      reason(
        'unlike-training',
        'this does not look like the drawn faces that the model was trained on, so expect a poor mouth',
      ),
    );
  if (isFace) reasons.push(...ofFace(finding, kind, limits), ...ofShape(given ?? finding.landmarks));
  if (given !== undefined && isFace && sure && moved(given, finding.landmarks))
    reasons.push(
      reason('landmarks-moved', 'the given positions of mouth or eyes differ from the detected ones: check them'),
    );
  return { found: isFace && sure && kind !== 'too_small', fits: reasons.length === 0, reasons };
}

function ofFace({ yaw, mouthOpen, blink }: PortraitFinding, kind: string, limits: PortraitManifest): PortraitReason[] {
  const reasons: PortraitReason[] = [];
  if (Math.abs(yaw) > limits.maxYaw)
    reasons.push(reason('turned-away', 'the face is turned away: use a face that looks straight ahead'));
  if (mouthOpen > (kind === PHOTOGRAPH ? WIDE_OPEN : limits.maxMouthOpen))
    reasons.push(
      reason(
        'mouth-open',
        'the mouth is open in the picture and will never close completely: use a picture with a closed mouth',
      ),
    );
  if (blink > limits.maxBlink)
    reasons.push(
      reason('eyes-closed', 'the eyes are closed in the picture and will not open: use a picture with open eyes'),
    );
  return reasons;
}

/** Reasons that follow from the positions of eyes and mouth alone. */
function ofShape([mouth, left, right]: Landmarks): PortraitReason[] {
  const [across, down] = [right[0] - left[0], right[1] - left[1]];
  const eyes = Math.hypot(across, down);
  if (eyes < 1) return [reason('proportions', 'both eyes have the same position: check the landmarks')];
  const reasons: PortraitReason[] = [];
  if (Math.abs(Math.atan2(down, across)) > MAX_TILT)
    reasons.push(reason('tilted', 'the head is tilted: level the eyes'));
  const middle = [(left[0] + right[0]) / 2, (left[1] + right[1]) / 2] as const;
  const length = Math.hypot(mouth[0] - middle[0], mouth[1] - middle[1]) / eyes;
  if (length < PROPORTIONS[0] || length > PROPORTIONS[1])
    reasons.push(
      reason('proportions', 'the proportions of eyes and mouth differ from those in training, so expect a poor mouth'),
    );
  return reasons;
}

function moved(given: Landmarks, found: Landmarks): boolean {
  const eyes = Math.hypot(given[2][0] - given[1][0], given[2][1] - given[1][1]);
  return given.some(([x, y], i) => {
    const [fx, fy] = found[i] as readonly [number, number];
    return Math.hypot(x - fx, y - fy) > MAX_MOVED * eyes;
  });
}
