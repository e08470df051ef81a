import { type Landmarks, MeshError, type ModelManifest } from '@talkmesh/contracts';
import type { Executor, Segment } from './executor.js';
import type { Model } from './model.js';

export type PortraitManifest = NonNullable<ModelManifest['portrait']>;

/** What the finder saw, before anything is concluded. */
export interface PortraitFinding {
  /** Pixels of the picture. */
  readonly landmarks: Landmarks;
  /** How much of each heat map is near its peak, 0..1. */
  readonly confidence: readonly number[];
  /** Probabilities of what the picture is; sum to 1. */
  readonly kinds: Readonly<Record<string, number>>;
  /** 0..1. */
  readonly mouthOpen: number;
  readonly blink: number;
  /** Rig units: beyond about 1 a face is turned away. */
  readonly yaw: number;
  readonly pitch: number;
  /** From the features of drawn faces, in standard deviations. */
  readonly distance: number;
}

export interface PortraitReason {
  /** Stable name; see protos/talkmesh/v1/picture.proto. */
  readonly code: string;
  /** One sentence for people. */
  readonly text: string;
}

export interface PortraitVerdict {
  /** Exactly one face, upright and whole, large enough. */
  readonly found: boolean;
  /** The model was trained for such a picture. */
  readonly fits: boolean;
  /** Why not, gravest first. */
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
    'this looks like a photograph or a painting; the model was trained on drawn faces: expect a poor mouth',
  ),
};
const FACES: readonly string[] = ['fits', 'unlike', 'too_small'];
/** What is no usable face is named only when the finder is this sure; otherwise there simply is no face. */
const SURE_OF_KIND = 0.7;
/** Radians by which the line of the eyes may lean. */
const MAX_TILT = 0.3;
/** Distance of eyes and mouth over the distance of the eyes: shipped avatars have 0.7 to 1. */
const PROPORTIONS = [0.5, 1.5] as const;
/** A given landmark may differ from the found one by this part of the distance of the eyes. */
const MAX_MOVED = 0.3;

/** The portrait graph of a model on an executor. */
export class PortraitFinder {
  readonly #executor: Executor;
  readonly #segment: Segment;
  readonly #manifest: ModelManifest;
  readonly #portrait: PortraitManifest;

  private constructor(executor: Executor, segment: Segment, manifest: ModelManifest, portrait: PortraitManifest) {
    this.#executor = executor;
    this.#segment = segment;
    this.#manifest = manifest;
    this.#portrait = portrait;
  }

  /** @returns undefined for a model without a finder. @throws MeshError MODEL_INVALID */
  static async load(model: Model, executor: Executor): Promise<PortraitFinder | undefined> {
    const { portrait } = model.manifest;
    if (portrait === undefined) return undefined;
    const segment = await executor.load(model.portraitPath() as string, 'portrait');
    return new PortraitFinder(executor, segment, model.manifest, portrait);
  }

  /**
   * Looks at one picture; about 10 ms on one core.
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

  /** @param given landmarks that somebody says are right; they win, what was found is told beside them */
  judge(finding: PortraitFinding, given?: Landmarks): PortraitVerdict {
    return judgePortrait(finding, this.#portrait, given);
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

/** What a finding means, in words. */
export function judgePortrait(finding: PortraitFinding, limits: PortraitManifest, given?: Landmarks): PortraitVerdict {
  const [likeliest, share] = Object.entries(finding.kinds).sort(([, a], [, b]) => b - a)[0] ?? ['none', 1];
  const kind = FACES.includes(likeliest) || share >= SURE_OF_KIND ? likeliest : 'none';
  const sure = Math.min(...finding.confidence) >= limits.minConfidence;
  const isFace = FACES.includes(kind);
  const reasons: PortraitReason[] = [];
  const ofKind = OF_KIND[kind];
  if (ofKind !== undefined) reasons.push(ofKind);
  else if (!sure) reasons.push(reason('no-face', 'eyes and mouth are not clearly to be seen'));
  else if ((finding.kinds['fits'] ?? 0) < limits.minFits || finding.distance > limits.maxDistance)
    reasons.push(
      reason(
        'unlike-training',
        'this does not look like the drawn faces the model was trained on: expect a poor mouth',
      ),
    );
  if (isFace) reasons.push(...ofFace(finding, limits), ...ofShape(given ?? finding.landmarks));
  if (given !== undefined && isFace && sure && moved(given, finding.landmarks))
    reasons.push(reason('landmarks-moved', 'mouth or eyes were given elsewhere than they seem to be'));
  return { found: isFace && sure && kind !== 'too_small', fits: reasons.length === 0, reasons };
}

function ofFace({ yaw, mouthOpen, blink }: PortraitFinding, limits: PortraitManifest): PortraitReason[] {
  const reasons: PortraitReason[] = [];
  if (Math.abs(yaw) > limits.maxYaw)
    reasons.push(reason('turned-away', 'the face is turned away: use one that looks straight ahead'));
  if (mouthOpen > limits.maxMouthOpen)
    reasons.push(reason('mouth-open', 'the mouth is open in the picture: it will never close quite; use a closed one'));
  if (blink > limits.maxBlink)
    reasons.push(reason('eyes-closed', 'the eyes are closed in the picture: they will not open'));
  return reasons;
}

/** What the places of eyes and mouth say by themselves. */
function ofShape([mouth, left, right]: Landmarks): PortraitReason[] {
  const [across, down] = [right[0] - left[0], right[1] - left[1]];
  const eyes = Math.hypot(across, down);
  if (eyes < 1) return [reason('proportions', 'the eyes are in the same place')];
  const reasons: PortraitReason[] = [];
  if (Math.abs(Math.atan2(down, across)) > MAX_TILT)
    reasons.push(reason('tilted', 'the head is tilted: level the eyes'));
  const middle = [(left[0] + right[0]) / 2, (left[1] + right[1]) / 2] as const;
  const length = Math.hypot(mouth[0] - middle[0], mouth[1] - middle[1]) / eyes;
  if (length < PROPORTIONS[0] || length > PROPORTIONS[1])
    reasons.push(reason('proportions', 'eyes and mouth are not where the model knows them: expect a poor mouth'));
  return reasons;
}

function moved(given: Landmarks, found: Landmarks): boolean {
  const eyes = Math.hypot(given[2][0] - given[1][0], given[2][1] - given[1][1]);
  return given.some(([x, y], i) => {
    const [fx, fy] = found[i] as readonly [number, number];
    return Math.hypot(x - fx, y - fy) > MAX_MOVED * eyes;
  });
}
