import type { Landmarks } from '@talkmesh/contracts';
import type { Square } from './resample-square.js';

/** How far a square is shifted at most to keep it inside the picture, as a part of its side. */
const MAX_SHIFT_RATIO = 0.08;

/** The mean of landmarks of several avatars: where the pictures that a model was trained on have mouth and eyes. */
export function meanLandmarks(all: readonly Landmarks[]): Landmarks {
  const mean = (index: 0 | 1 | 2, axis: 0 | 1): number =>
    all.reduce((sum, landmarks) => sum + landmarks[index][axis], 0) / all.length;
  return [
    [mean(0, 0), mean(0, 1)],
    [mean(1, 0), mean(1, 1)],
    [mean(2, 0), mean(2, 1)],
  ];
}

/**
 * The square of a picture that, resampled to `size` pixels, has mouth and eyes as near as possible to `usual`: a least-squares fit of
 * scale and position. It is shifted a little where it would reach over the edges.
 */
export function squareAround(found: Landmarks, usual: Landmarks, size: number, picture: PictureSize): Square {
  const [from, to] = [centreOf(found), centreOf(usual)];
  let [dot, norm] = [0, 0];
  found.forEach(([x, y], i) => {
    const [u, v] = usual[i] as readonly [number, number];
    dot += (x - from[0]) * (u - to[0]) + (y - from[1]) * (v - to[1]);
    norm += (u - to[0]) ** 2 + (v - to[1]) ** 2;
  });
  // Pixels of the picture per pixel of the model.
  const scale = Math.max(dot / norm, 1 / size);
  const side = scale * size;
  const inside = (start: number, length: number): number => {
    const most = MAX_SHIFT_RATIO * side;
    const wanted = side > length ? start : Math.min(Math.max(start, 0), length - side);
    return start + Math.min(Math.max(wanted - start, -most), most);
  };
  return {
    left: inside(from[0] - to[0] * scale, picture.width),
    top: inside(from[1] - to[1] * scale, picture.height),
    side,
  };
}

export interface PictureSize {
  readonly width: number;
  readonly height: number;
}

/** Squares in which to search for a face, the whole picture first. */
export function searchSquares({ width, height }: PictureSize): Square[] {
  const [long, short] = [Math.max(width, height), Math.min(width, height)];
  const whole = { left: (width - long) / 2, top: (height - long) / 2, side: long };
  const steps = long > 1.15 * short ? [0, 0.5, 1] : [];
  const along = steps.map((step): Square => {
    const start = step * (long - short);
    return width > height ? { left: start, top: 0, side: short } : { left: 0, top: start, side: short };
  });
  const near = 0.6 * short;
  const middle = { left: (width - near) / 2, top: Math.max(0, (height - near) * 0.35), side: near };
  return [whole, ...along, middle];
}

export const toPicture = (landmarks: Landmarks, { left, top, side }: Square, size: number): Landmarks =>
  mapped(landmarks, ([x, y]) => [left + (x * side) / size, top + (y * side) / size]);

export const fromPicture = (landmarks: Landmarks, { left, top, side }: Square, size: number): Landmarks =>
  mapped(landmarks, ([x, y]) => [((x - left) * size) / side, ((y - top) * size) / side]);

function mapped(landmarks: Landmarks, map: (point: Landmarks[0]) => [number, number]): Landmarks {
  const [mouth, left, right] = landmarks;
  return [map(mouth), map(left), map(right)];
}

function centreOf(landmarks: Landmarks): readonly [number, number] {
  const sum = landmarks.reduce(([x, y], point) => [x + point[0], y + point[1]], [0, 0]);
  return [sum[0] / landmarks.length, sum[1] / landmarks.length];
}
