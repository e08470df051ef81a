/** An independent reading of decoded frames: MediaPipe's face mesh, which had no part in training, finds the landmarks in the pixels. */
import type { Executor } from '../executor/executor.js';
import { FaceDetector } from '../portrait/face-detector.js';
import { FaceMesh } from '../portrait/face-mesh.js';
import { rgbOf } from './rig-latents.js';

/** x, y in pixels and depth, for each of MediaPipe's 468 points. */
export type FacePoints = readonly (readonly [x: number, y: number, z: number])[];

/** Inner lips in the middle, and the eyes' outer corner, inner corner, upper and lower lid. */
const LIPS = [13, 14] as const;
const EYES = [
  [33, 133, 159, 145],
  [263, 362, 386, 374],
] as const;
/** Below this a box is not taken for a face. */
const MIN_SCORE = 0.5;

/** Finds the landmarks of each frame from its pixels alone: no frame before it takes part, and nothing is smoothed. */
export class FaceJudge {
  readonly #detector: FaceDetector;
  readonly #mesh: FaceMesh;

  private constructor(detector: FaceDetector, mesh: FaceMesh) {
    this.#detector = detector;
    this.#mesh = mesh;
  }

  /** @throws MeshError MODEL_INVALID */
  static async load(
    paths: { readonly detector: string; readonly mesh: string },
    executor: Executor,
  ): Promise<FaceJudge> {
    return new FaceJudge(await FaceDetector.load(paths.detector, executor), await FaceMesh.load(paths.mesh, executor));
  }

  /** @param i420 one frame @returns undefined when the judge sees no face in it; takes about 20 ms on one core */
  async read(i420: Uint8Array, width: number, height: number): Promise<FacePoints | undefined> {
    const picture = { rgb: rgbOf(i420, width, height), width, height };
    const [face] = await this.#detector.find(picture, MIN_SCORE);
    return face === undefined ? undefined : (await this.#mesh.fit(picture, face)).points;
  }
}

/**
 * Gap between the inner lips, as a part of the distance between the eyes' outer corners. The width of the mouth would be a worse unit, because
 * speech changes it.
 */
export const lipGap = (points: FacePoints): number => apart(points, ...LIPS) / apart(points, EYES[0][0], EYES[1][0]);

/** Height of the narrower eye as a part of its width. */
export const eyeHeight = (points: FacePoints): number =>
  Math.min(...EYES.map(([outer, inner, upper, lower]) => apart(points, upper, lower) / apart(points, outer, inner)));

function apart(points: FacePoints, a: number, b: number): number {
  const [p, q] = [points[a], points[b]];
  if (p === undefined || q === undefined) throw new RangeError('a face has 468 points');
  return Math.hypot(p[0] - q[0], p[1] - q[1]);
}
