import { EYES, LIPS } from './face-points.js';

/** Coordinates of a face: origin between the corners of the mouth, x along the line of the eyes, y towards the chin, unit the distance of the eyes. */
export interface FaceFrame {
  /** Origin, pixels. */
  readonly x: number;
  readonly y: number;
  readonly cos: number;
  readonly sin: number;
  /** Distance of the eyes, pixels. */
  readonly unit: number;
}

/** @param points [n, 3] pixels; the first 468 are MediaPipe's */
export function faceFrame(points: Float32Array): FaceFrame {
  const middle = (a: number, b: number): [number, number] => [
    ((points[3 * a] as number) + (points[3 * b] as number)) / 2,
    ((points[3 * a + 1] as number) + (points[3 * b + 1] as number)) / 2,
  ];
  const ends = (row: readonly number[]): [number, number] => [row[0] as number, row.at(-1) as number];
  const [left, right] = EYES.map(({ upper }) => middle(...ends(upper))) as [[number, number], [number, number]];
  const [x, y] = middle(...ends(LIPS.upper));
  const unit = Math.hypot(right[0] - left[0], right[1] - left[1]);
  return { x, y, cos: (right[0] - left[0]) / unit, sin: (right[1] - left[1]) / unit, unit };
}

export function toFace({ x, y, cos, sin, unit }: FaceFrame, px: number, py: number): [number, number] {
  const [dx, dy] = [(px - x) / unit, (py - y) / unit];
  return [dx * cos + dy * sin, dy * cos - dx * sin];
}

/** Turns an offset in units of the face into pixels. */
export function toPixels({ cos, sin, unit }: FaceFrame, dx: number, dy: number): [number, number] {
  return [(dx * cos - dy * sin) * unit, (dx * sin + dy * cos) * unit];
}
