import { faceFrame, toFace } from './face-frame.js';
import { type Box, FacePainter, type Photo } from './face-painter.js';
import { LIPS } from './face-points.js';
import { type HeadMaps, headMaps } from './head-pose.js';
import { snapClosedLips } from './lip-line.js';
import type { Mouth, SkinTone } from './mouth-interior.js';
import { buildPhotoMesh, type PhotoMesh } from './photo-mesh.js';

export interface PreparedPhoto extends Photo {
  readonly maps: HeadMaps;
}

/** Points on the cheeks whose surroundings give the colour of the skin. */
const CHEEKS = [50, 280, 205, 425] as const;

/**
 * Fits the mesh to a photograph.
 * @param rgb [size, size, 3] bytes @param found [468, 3] MediaPipe's points, pixels @param triangles [n, 3] of MediaPipe's mesh
 */
export function preparePhoto(
  rgb: Uint8Array,
  found: Float32Array,
  triangles: Float32Array,
  size: number,
): PreparedPhoto {
  const points = found.slice();
  const { luma, chroma } = toLevels(rgb, size);
  const frame = faceFrame(points);
  snapClosedLips(points, frame, luma, size);
  const mesh = buildPhotoMesh(points, frame, triangles);
  const [left, right] = [LIPS.upper[0] as number, LIPS.upper.at(-1) as number].map(
    (index) => place(points, frame, index)[0],
  ) as [number, number];
  const middleOf = (row: readonly number[]): number => place(points, frame, row[(row.length - 1) / 2] as number)[1];
  const [top, bottom] = [middleOf(LIPS.upper), middleOf(LIPS.lower)];
  const mouth: Mouth = {
    frame,
    middle: (left + right) / 2,
    halfWidth: (right - left) / 2,
    line: top + 0.45 * (bottom - top),
    skin: skinTone(points, luma, chroma, size),
  };
  return {
    size,
    luma,
    chroma,
    frame,
    mesh,
    mouth,
    box: boxOf(mesh, size),
    maps: headMaps(points, triangles, size),
  };
}

const place = (points: Float32Array, frame: Photo['frame'], index: number): [number, number] =>
  toFace(frame, points[3 * index] as number, points[3 * index + 1] as number);

/** RGB -> BT.601 limited range, chroma the mean of 2x2 pixels; not rounded. */
function toLevels(rgb: Uint8Array, size: number): { luma: Float32Array; chroma: Float32Array } {
  const luma = new Float32Array(size * size);
  const half = size / 2;
  const chroma = new Float32Array(2 * half * half);
  for (let y = 0; y < size; y++)
    for (let x = 0; x < size; x++) {
      const at = y * size + x;
      const [r, g, b] = [rgb[3 * at] as number, rgb[3 * at + 1] as number, rgb[3 * at + 2] as number];
      luma[at] = 16 + (65.481 * r + 128.553 * g + 24.966 * b) / 255;
      const small = (y >> 1) * half + (x >> 1);
      chroma[small] = (chroma[small] as number) + 32 + (-37.797 * r - 74.203 * g + 112 * b) / 1020;
      const v = half * half + small;
      chroma[v] = (chroma[v] as number) + 32 + (112 * r - 93.786 * g - 18.214 * b) / 1020;
    }
  return { luma, chroma };
}

function skinTone(points: Float32Array, luma: Float32Array, chroma: Float32Array, size: number): SkinTone {
  const half = size / 2;
  const sum = { luma: 0, u: 0, v: 0 };
  let count = 0;
  for (const index of CHEEKS)
    for (let dy = -3; dy <= 3; dy++)
      for (let dx = -3; dx <= 3; dx++) {
        const x = Math.min(size - 1, Math.max(0, Math.floor(points[3 * index] as number) + dx));
        const y = Math.min(size - 1, Math.max(0, Math.floor(points[3 * index + 1] as number) + dy));
        sum.luma += luma[y * size + x] as number;
        sum.u += chroma[(y >> 1) * half + (x >> 1)] as number;
        sum.v += chroma[half * half + (y >> 1) * half + (x >> 1)] as number;
        count += 1;
      }
  return { luma: sum.luma / count, u: sum.u / count, v: sum.v / count };
}

/** The mesh's rectangle within the picture. */
function boxOf({ places }: PhotoMesh, size: number): Box {
  let [left, top, right, bottom] = [size, size, 0, 0];
  for (let i = 0; i < places.length; i += 2) {
    left = Math.min(left, places[i] as number);
    right = Math.max(right, places[i] as number);
    top = Math.min(top, places[i + 1] as number);
    bottom = Math.max(bottom, places[i + 1] as number);
  }
  const even = (value: number): number => 2 * Math.round(Math.min(size, Math.max(0, value)) / 2);
  const [x, y] = [even(left), even(top)];
  return { left: x, top: y, width: even(right) - x, height: even(bottom) - y };
}

export { FacePainter };
