import type { Landmarks } from '@talkmesh/contracts';
import type { Executor } from '../executor/executor.js';
import { FaceDetector } from './face-detector.js';
import { FaceMesh } from './face-mesh.js';
import type { Pixels } from './picture-crop.js';

/** What the mesh of a person's face says about it; the fields are those of PortraitFinding. */
export interface PhotographedFace {
  readonly landmarks: Landmarks;
  /** Probability that it is a face. */
  readonly presence: number;
  readonly mouthOpen: number;
  readonly blink: number;
  readonly yaw: number;
  readonly pitch: number;
  /** [468, 3]: MediaPipe's points, pixels; depth towards the viewer is negative. */
  readonly points: Float32Array;
}

export type PhotographFinding =
  | { readonly faces: 0 }
  | { readonly faces: 1; readonly face: PhotographedFace }
  | { readonly faces: 2 };

/** Above this a detected box is a face: public-domain portraits score .89 and more, a portrait upside down .61. */
const MIN_SCORE = 0.75;
const MIN_PRESENCE = 0.8;
/** Faces narrower than this part of the widest one are in the background. */
const BACKGROUND = 0.5;

/** Points of MediaPipe's canonical face. Left and right are the viewer's. */
const POINT = {
  chin: 152,
  forehead: 10,
  mouth: { left: 61, right: 291, upper: 13, lower: 14 },
  leftEye: { outer: 33, inner: 133, upper: 159, lower: 145 },
  rightEye: { outer: 263, inner: 362, upper: 386, lower: 374 },
  cheeks: { left: 234, right: 454 },
} as const;
/** Gap between the lips, as a part of the width of the mouth, that counts as fully open; a smile that shows teeth has about .17. */
const OPEN_RATIO = 0.3;
/** Height of an open eye as a part of its width, and of a closed one. */
const EYE_RATIO = { open: 0.22, closed: 0.08 } as const;
/** Turn of the head, radians, that counts as a yaw or pitch of 1. */
const TURN_RAD = 0.6;

/** Finds the face of a photographed person: the detector finds boxes, the mesh finds mouth and eyes. */
export class PhotographFinder {
  readonly #detector: FaceDetector;
  readonly #mesh: FaceMesh;

  private constructor(detector: FaceDetector, mesh: FaceMesh) {
    this.#detector = detector;
    this.#mesh = mesh;
  }

  /** @throws MeshError MODEL_INVALID */
  static async load(paths: { readonly detector: string; readonly mesh: string }, executor: Executor) {
    return new PhotographFinder(
      await FaceDetector.load(paths.detector, executor),
      await FaceMesh.load(paths.mesh, executor),
    );
  }

  /** Takes about 15 ms on one core. `faces: 2` stands for two or more that are similar in size. */
  async find(picture: Pixels): Promise<PhotographFinding> {
    const boxes = await this.#detector.find(picture, MIN_SCORE);
    const widest = Math.max(...boxes.map(({ width }) => width));
    const [box, second] = boxes.filter(({ width }) => width >= BACKGROUND * widest);
    if (box === undefined) return { faces: 0 };
    if (second !== undefined) return { faces: 2 };
    const { points, presence } = await this.#mesh.fit(picture, box);
    return presence < MIN_PRESENCE
      ? { faces: 0 }
      : { faces: 1, face: { ...measure(points), presence, points: Float32Array.from(points.flat()) } };
  }
}

type Point = readonly [x: number, y: number, z: number];
type Eye = (typeof POINT)['leftEye' | 'rightEye'];

function measure(points: readonly Point[]): Omit<PhotographedFace, 'presence' | 'points'> {
  const at = (index: number): Point => points[index] as Point;
  const middle = (...indices: number[]): [number, number] => [
    indices.reduce((sum, index) => sum + at(index)[0], 0) / indices.length,
    indices.reduce((sum, index) => sum + at(index)[1], 0) / indices.length,
  ];
  const apart = (a: number, b: number): number => Math.hypot(at(a)[0] - at(b)[0], at(a)[1] - at(b)[1]);
  const { mouth, leftEye, rightEye, cheeks, forehead, chin } = POINT;
  const eyeRatio = (eye: Eye): number => apart(eye.upper, eye.lower) / apart(eye.outer, eye.inner);
  const narrowest = Math.min(eyeRatio(leftEye), eyeRatio(rightEye));
  const turn = (a: number, b: number): number => Math.asin(unit((at(b)[2] - at(a)[2]) / distance(at(a), at(b))));
  return {
    landmarks: [
      middle(mouth.left, mouth.right, mouth.upper, mouth.lower),
      middle(leftEye.outer, leftEye.inner),
      middle(rightEye.outer, rightEye.inner),
    ],
    mouthOpen: share(apart(mouth.upper, mouth.lower) / apart(mouth.left, mouth.right) / OPEN_RATIO),
    blink: share((EYE_RATIO.open - narrowest) / (EYE_RATIO.open - EYE_RATIO.closed)),
    yaw: turn(cheeks.left, cheeks.right) / TURN_RAD,
    pitch: turn(forehead, chin) / TURN_RAD,
  };
}

const share = (value: number): number => Math.min(Math.max(value, 0), 1);
const unit = (value: number): number => Math.min(Math.max(value, -1), 1);
const distance = (a: Point, b: Point): number => Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
