import { type FaceFrame, toPixels } from './face-frame.js';
import { EYES, FACE_POINTS, LIPS, OVAL, type Slit } from './face-points.js';
import { FaceShapes, RINGS, ROLLS, SHAPES } from './face-shapes.js';

/** The slits of a face; the skin at the margins of each is continued into it, so that margins can be drawn smoothly over it. */
export const SLITS: readonly Slit[] = [LIPS, ...EYES];

/** A photographed face as triangles with the photograph as texture. */
export interface PhotoMesh {
  /** [vertices, 2] pixels: where each vertex lies, and, but for the margins of the lips, which place of the photograph it shows. */
  readonly places: Float32Array;
  readonly texture: Float32Array;
  /** [ROLLS, vertices, 2] pixels: shift of the texture at weight 1. */
  readonly rolls: Float32Array;
  /** [SHAPES, vertices, 2] pixels: movement at weight 1. */
  readonly basis: Float32Array;
  /** [triangles, 3] vertices. */
  readonly triangles: Float32Array;
}

/** Photographed teeth and the shadow between the lips reach this far over the found contour, units of the face. */
const LIP_INSET = 0.022;

/**
 * Builds the mesh: MediaPipe's points, rings around them that hold the rest of the picture still, and two rows of vertices in the middle of each slit.
 * @param points [468, 3] pixels @param triangles [n, 3] of MediaPipe's mesh
 */
export function buildPhotoMesh(
  points: Float32Array,
  frame: FaceFrame,
  triangles: Float32Array,
  lidCover: readonly [number, number],
): PhotoMesh {
  const places: number[] = [];
  const offsets: [number, number][][] = [];
  const rolls: number[][] = ROLLS.map(() => []);
  const shapes = new FaceShapes(points, frame, lidCover);
  for (let i = 0; i < FACE_POINTS; i++) {
    places.push(points[3 * i] as number, points[3 * i + 1] as number);
    const moved = shapes.offsets(i);
    offsets.push(SHAPES.map((shape) => toPixels(frame, ...moved[shape])));
    const rolled = shapes.rolls(i);
    for (const [k, shape] of ROLLS.entries()) rolls[k]?.push(...toPixels(frame, ...rolled[shape]));
  }
  const faces = [...triangles];
  addRings(places, offsets, faces);
  const texture = Float32Array.from(places);
  insetLips(texture, frame);
  const shown = [...texture];
  for (const shifts of rolls) while (shifts.length < shown.length) shifts.push(0);
  for (const slit of SLITS) fillSlit(slit, places, [shown, ...rolls], offsets, faces);
  const basis = SHAPES.flatMap((_, shape) => offsets.flatMap((offset) => offset[shape] as [number, number]));
  return {
    places: Float32Array.from(places),
    texture: Float32Array.from(shown),
    rolls: Float32Array.from(rolls.flat()),
    basis: Float32Array.from(basis),
    triangles: Float32Array.from(faces),
  };
}

function addRings(places: number[], offsets: [number, number][][], faces: number[]): void {
  const at = (index: number): [number, number] => [places[2 * index] as number, places[2 * index + 1] as number];
  const sum = OVAL.map(at).reduce(([ax, ay], [bx, by]) => [ax + bx, ay + by]);
  const [cx, cy] = [sum[0] / OVAL.length, sum[1] / OVAL.length];
  let inner: readonly number[] = OVAL;
  for (const { scale, share } of RINGS) {
    const outer = OVAL.map((index) => {
      const [x, y] = at(index);
      places.push(cx + scale * (x - cx), cy + scale * (y - cy));
      offsets.push((offsets[index] as [number, number][]).map(([dx, dy]) => [dx * share, dy * share]));
      return offsets.length - 1;
    });
    inner.forEach((a, i) => {
      const next = (i + 1) % inner.length;
      quad(faces, a, inner[next] as number, outer[next] as number, outer[i] as number);
    });
    inner = outer;
  }
}

const quad = (faces: number[], a: number, b: number, c: number, d: number): void => void faces.push(a, b, c, a, c, d);

function insetLips(texture: Float32Array, frame: FaceFrame): void {
  inset(texture, frame, LIPS.upper, -LIP_INSET);
  inset(texture, frame, LIPS.lower, LIP_INSET);
}

/** Moves the texture of a margin downwards by `distance` units of the face, and less near its corners. */
function inset(texture: Float32Array, frame: FaceFrame, margin: readonly number[], distance: number): void {
  margin.forEach((index, i) => {
    const share = 1 - Math.abs((2 * i) / (margin.length - 1) - 1) ** 4;
    const [dx, dy] = toPixels(frame, 0, distance * share);
    texture[2 * index] = (texture[2 * index] as number) + dx;
    texture[2 * index + 1] = (texture[2 * index + 1] as number) + dy;
  });
}

/** Continues both margins of a slit to its middle, each with its own colour. */
function fillSlit(
  slit: Slit,
  places: number[],
  textures: readonly number[][],
  offsets: [number, number][][],
  faces: number[],
): void {
  const middle = (margin: readonly number[]): number[] =>
    margin.map((index, i) => {
      const [a, b] = [slit.upper[i] as number, slit.lower[i] as number];
      for (const axis of [0, 1]) {
        places.push(((places[2 * a + axis] as number) + (places[2 * b + axis] as number)) / 2);
        for (const texture of textures) texture.push(texture[2 * index + axis] as number);
      }
      const [from, to] = [offsets[a] as [number, number][], offsets[b] as [number, number][]];
      offsets.push(from.map(([x, y], k) => [(x + (to[k]?.[0] ?? 0)) / 2, (y + (to[k]?.[1] ?? 0)) / 2]));
      return offsets.length - 1;
    });
  for (const margin of [slit.upper, slit.lower]) {
    const inner = middle(margin);
    for (let i = 0; i + 1 < margin.length; i++)
      quad(faces, margin[i] as number, margin[i + 1] as number, inner[i + 1] as number, inner[i] as number);
  }
}
