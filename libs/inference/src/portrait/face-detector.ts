import type { Executor, Segment } from '../executor/executor.js';
import { type Pixels, resample, type TurnedSquare } from './picture-crop.js';
import { runNet } from './run-net.js';

/** A face in pixels of the picture. */
export interface DetectedFace {
  readonly score: number;
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
  /** Right and left eye of the person, that is, left and right as seen by the viewer. */
  readonly eyes: readonly [readonly [x: number, y: number], readonly [x: number, y: number]];
}

const SIZE = 128;
/** The feature maps of the net: cells on a side, and boxes predicted in each cell. */
const MAPS = [
  { cells: 16, boxes: 2 },
  { cells: 8, boxes: 6 },
] as const;
/** Centre, size and six points, each two values in pixels of the net's input. */
const VALUES = 16;
/** Boxes that overlap by more than this part of their union are the same face. */
const SAME_FACE = 0.3;

/**
 * BlazeFace for close faces (Bazarevsky et al., arXiv 1907.05047), MediaPipe's `face_detection_short_range`, converted to ONNX.
 * It finds upright faces, of people and drawn ones, that are at least a tenth of the picture wide.
 */
export class FaceDetector {
  readonly #executor: Executor;
  readonly #segment: Segment;

  private constructor(executor: Executor, segment: Segment) {
    this.#executor = executor;
    this.#segment = segment;
  }

  static async load(path: string, executor: Executor): Promise<FaceDetector> {
    return new FaceDetector(executor, await executor.load(path, 'face-detector'));
  }

  /** @param minScore 0..1 @returns faces, the most certain first */
  async find(picture: Pixels, minScore: number): Promise<DetectedFace[]> {
    const { width, height } = picture;
    const side = Math.max(width, height);
    const whole: TurnedSquare = { x: width / 2, y: height / 2, side, angle: 0 };
    const pixels = resample(picture, whole, SIZE, -1, 1);
    const outputs = await runNet(this.#executor, this.#segment, pixels, SIZE, ['regressors', 'classificators']);
    const [boxes, scores] = outputs as [Float32Array, Float32Array];
    return distinct(decode(boxes, scores, minScore, whole));
  }
}

function decode(boxes: Float32Array, scores: Float32Array, minScore: number, square: TurnedSquare): DetectedFace[] {
  const scale = square.side / SIZE;
  const [left, top] = [square.x - square.side / 2, square.y - square.side / 2];
  const faces: DetectedFace[] = [];
  let index = 0;
  for (const { cells, boxes: perCell } of MAPS)
    for (let cell = 0; cell < cells * cells; cell++)
      for (let box = 0; box < perCell; box++, index++) {
        const score = 1 / (1 + Math.exp(-(scores[index] as number)));
        if (score < minScore) continue;
        const centreX = (((cell % cells) + 0.5) * SIZE) / cells;
        const centreY = ((Math.floor(cell / cells) + 0.5) * SIZE) / cells;
        const value = (offset: number): number => boxes[index * VALUES + offset] as number;
        const point = (offset: number): [number, number] => [
          left + (centreX + value(offset)) * scale,
          top + (centreY + value(offset + 1)) * scale,
        ];
        const [x, y] = point(0);
        const [width, height] = [value(2) * scale, value(3) * scale];
        faces.push({ score, left: x - width / 2, top: y - height / 2, width, height, eyes: [point(4), point(6)] });
      }
  return faces.sort((a, b) => b.score - a.score);
}

/** Of boxes of the same face the most certain one. */
function distinct(faces: readonly DetectedFace[]): DetectedFace[] {
  const kept: DetectedFace[] = [];
  for (const face of faces) if (kept.every((other) => overlap(face, other) < SAME_FACE)) kept.push(face);
  return kept;
}

function overlap(a: DetectedFace, b: DetectedFace): number {
  const across = Math.min(a.left + a.width, b.left + b.width) - Math.max(a.left, b.left);
  const down = Math.min(a.top + a.height, b.top + b.height) - Math.max(a.top, b.top);
  if (across <= 0 || down <= 0) return 0;
  return (across * down) / (a.width * a.height + b.width * b.height - across * down);
}
