import type { Executor, Segment } from '../executor/executor.js';
import type { DetectedFace } from './face-detector.js';
import { fromSquare, type Pixels, resample, type TurnedSquare } from './picture-crop.js';
import { runNet } from './run-net.js';

export interface FaceMeshPoints {
  /** x, y in pixels of the picture and depth in the same unit, towards the viewer negative; 468 points of MediaPipe's canonical face. */
  readonly points: readonly (readonly [x: number, y: number, z: number])[];
  /** Probability that the square shows a face. */
  readonly presence: number;
}

const SIZE = 192;
/** Side of the square in which the net looks for the mesh, as a multiple of the detected box. */
const ROI_SCALE = 1.5;

/** MediaPipe's face mesh (Kartynnik et al., arXiv 1907.06724), `face_landmark`, converted to ONNX. */
export class FaceMesh {
  readonly #executor: Executor;
  readonly #segment: Segment;

  private constructor(executor: Executor, segment: Segment) {
    this.#executor = executor;
    this.#segment = segment;
  }

  static async load(path: string, executor: Executor): Promise<FaceMesh> {
    return new FaceMesh(executor, await executor.load(path, 'face-mesh'));
  }

  async fit(picture: Pixels, face: DetectedFace): Promise<FaceMeshPoints> {
    const square = squareOf(face);
    const pixels = resample(picture, square, SIZE, 0, 1);
    const outputs = await runNet(this.#executor, this.#segment, pixels, SIZE, ['points', 'presence']);
    const [values, logit] = outputs as [Float32Array, Float32Array];
    const points = Array.from({ length: values.length / 3 }, (_, i): [number, number, number] => {
      const [x, y, z] = values.subarray(i * 3, i * 3 + 3) as unknown as [number, number, number];
      return [...fromSquare(square, x / SIZE, y / SIZE), (z / SIZE) * square.side];
    });
    return { points, presence: 1 / (1 + Math.exp(-(logit[0] as number))) };
  }
}

/** The square around a face with its eyes level. */
function squareOf({ left, top, width, height, eyes }: DetectedFace): TurnedSquare {
  const [[ax, ay], [bx, by]] = eyes;
  return {
    x: left + width / 2,
    y: top + height / 2,
    side: Math.max(width, height) * ROI_SCALE,
    angle: Math.atan2(by - ay, bx - ax),
  };
}
