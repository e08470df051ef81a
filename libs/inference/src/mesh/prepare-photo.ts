import { toLevels } from '../kernels/levels.js';
import { faceFrame, toFace, toPixels } from './face-frame.js';
import type { Box, Photo } from './face-painter.js';
import { EYES, LIPS, type Slit } from './face-points.js';
import { type HeadMaps, headMaps } from './head-pose.js';
import { snapClosedLips } from './lip-line.js';
import type { Mouth } from './mouth-interior.js';
import { buildPhotoMesh, type PhotoMesh } from './photo-mesh.js';
import { sample } from './source-map.js';
import { skinTone, teethTone } from './tones.js';

export interface PreparedPhoto extends Photo {
  readonly maps: HeadMaps;
}

/** Movement below this is not seen, pixels. */
const VISIBLE = 0.15;
/** Triangles reach to neighbours that do not move. */
const MARGIN = 8;
/** Distances above the eye at which the frame of glasses would hide the lid, units of the face. */
const ABOVE_EYE = [0.06, 0.09, 0.12, 0.15] as const;
/** Levels by which a frame is darker than skin. */
const COVER = { from: 45, to: 75 } as const;

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
  const lidCover = EYES.map((eye) => coverOf(points, eye, frame, luma, size)) as [number, number];
  const mesh = buildPhotoMesh(points, frame, triangles, lidCover);
  const [left, right] = [LIPS.upper[0] as number, LIPS.upper.at(-1) as number].map(
    (index) => place(points, frame, index)[0],
  ) as [number, number];
  const middleOf = (row: readonly number[]): number => place(points, frame, row[(row.length - 1) / 2] as number)[1];
  const [top, bottom] = [middleOf(LIPS.upper), middleOf(LIPS.lower)];
  const skin = skinTone(points, { luma, chroma }, size);
  const mouth: Mouth = {
    frame,
    middle: (left + right) / 2,
    halfWidth: (right - left) / 2,
    line: top + 0.45 * (bottom - top),
    skin,
    teeth: teethTone(found, frame, { luma, chroma }, size, skin),
  };
  return {
    size,
    luma,
    chroma,
    frame,
    mesh,
    mouth,
    lidCover,
    box: boxOf(mesh, size),
    maps: headMaps(points, triangles, size),
  };
}

const place = (points: Float32Array, frame: Photo['frame'], index: number): [number, number] =>
  toFace(frame, points[3 * index] as number, points[3 * index + 1] as number);

/** How much darker a band above the eye is than the skin below it, 0..1: the frame of glasses, or a lid in deep shadow. */
function coverOf(points: Float32Array, eye: Slit, frame: Photo['frame'], luma: Float32Array, size: number): number {
  const level = (index: number, distance: number): number => {
    const [dx, dy] = toPixels(frame, 0, distance);
    return sample(luma, size, (points[3 * index] as number) + dx, (points[3 * index + 1] as number) + dy);
  };
  const inner = (row: readonly number[]): readonly number[] => row.slice(2, -2);
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  const below = mean(inner(eye.lower).map((index) => level(index, 0.09)));
  const above = ABOVE_EYE.map((distance) => mean(inner(eye.upper).map((index) => level(index, -distance))));
  const share = (below - Math.min(...above) - COVER.from) / (COVER.to - COVER.from);
  return Math.min(1, Math.max(0, share));
}

/** The rectangle within the picture in which vertices move. */
function boxOf({ places, basis }: PhotoMesh, size: number): Box {
  let [left, top, right, bottom] = [size, size, 0, 0];
  for (let i = 0; i < places.length; i += 2) {
    let reach = 0;
    for (let at = i; at < basis.length; at += places.length)
      reach += Math.hypot(basis[at] as number, basis[at + 1] as number);
    if (reach < VISIBLE) continue;
    left = Math.min(left, (places[i] as number) - reach - MARGIN);
    right = Math.max(right, (places[i] as number) + reach + MARGIN);
    top = Math.min(top, (places[i + 1] as number) - reach - MARGIN);
    bottom = Math.max(bottom, (places[i + 1] as number) + reach + MARGIN);
  }
  const even = (value: number): number => 2 * Math.round(Math.min(size, Math.max(0, value)) / 2);
  const [x, y] = [even(left), even(top)];
  return { left: x, top: y, width: even(right) - x, height: even(bottom) - y };
}
