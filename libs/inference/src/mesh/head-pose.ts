/** Movement of the head: the face turns by its depth, and the movement falls off towards shoulders and background. */
import type { FaceFrame } from './face-frame.js';
import { FACE_POINTS, OVAL } from './face-points.js';
import { RIG } from './face-shapes.js';
import { SourceMap, sample } from './source-map.js';

/** Samples of the flow on a side. */
export const FIELD = 64;

/** Turn at a yaw and a pitch of 1, radians; half of what a person does while speaking is below a third of that. */
const YAW_RAD = 0.15;
const PITCH_RAD = 0.12;
const ROLL_RAD = 0.09;
/** Movement of the whole head at 1, units of the face. */
const SHIFT = { yaw: 0.1, x: 0.03, pitch: 0.06, y: 0.025, breath: 0.02 } as const;
/** The neck turns about a point below the mouth, units of the face. */
const NECK = 1.1;
const SMOOTHING_ROUNDS = 200;

/** [2, FIELD, FIELD]: share of the head's movement, 0..1, and depth towards the viewer before the face's outline, pixels. */
export type HeadMaps = Float32Array;

/** @param points [468, 3] pixels @param triangles of the face */
export function headMaps(points: Float32Array, triangles: Float32Array, size: number): HeadMaps {
  const maps = new Float32Array(2 * FIELD * FIELD);
  const cell = size / FIELD;
  const edge = OVAL.reduce((sum, index) => sum + (points[3 * index + 2] as number), 0) / OVAL.length;
  const depth = maps.subarray(FIELD * FIELD);
  const inside = depthOf(points, triangles, cell, edge, depth);
  smoothOutwards(depth, inside);
  const outline = OVAL.map((index) => [points[3 * index] as number, points[3 * index + 1] as number] as const);
  const cx = outline.reduce((sum, [x]) => sum + x, 0) / outline.length;
  const cy = outline.reduce((sum, [, y]) => sum + y, 0) / outline.length;
  const rx = Math.max(...outline.map(([x]) => Math.abs(x - cx)));
  const ry = Math.max(...outline.map(([, y]) => Math.abs(y - cy)));
  for (let row = 0; row < FIELD; row++)
    for (let column = 0; column < FIELD; column++) {
      const x = ((column + 0.5) * cell - cx) / rx;
      const y = ((row + 0.5) * cell - cy) / ry;
      const side = fade(1.35, 2.6, Math.abs(x));
      const down = fade(1, 2.2, y);
      maps[row * FIELD + column] = y > 0 ? fade(1.15, 2.4, Math.hypot(x * 0.85, y)) * down : side * fade(1.9, 3, -y);
    }
  return maps;
}

const fade = (from: number, to: number, value: number): number => {
  const share = Math.min(1, Math.max(0, (value - from) / (to - from)));
  return 1 - share * share * (3 - 2 * share);
};

/** Draws the depth of the face into `depth`; elsewhere it stays 0. @returns 1 where the face is */
function depthOf(
  points: Float32Array,
  triangles: Float32Array,
  cell: number,
  edge: number,
  depth: Float32Array,
): Uint8Array {
  const places = new Float32Array(2 * FACE_POINTS);
  const values = new Float32Array(2 * FACE_POINTS);
  for (let i = 0; i < FACE_POINTS; i++) {
    places.set([(points[3 * i] as number) / cell, (points[3 * i + 1] as number) / cell], 2 * i);
    values[2 * i] = edge - (points[3 * i + 2] as number);
    values[2 * i + 1] = 1e6;
  }
  const map = new SourceMap(0, 0, FIELD, FIELD);
  map.x.fill(Number.NaN);
  map.draw(triangles, values, places);
  const inside = Uint8Array.from(map.x, (value) => (Number.isNaN(value) ? 0 : 1));
  for (const [i, value] of map.x.entries()) depth[i] = inside[i] === 1 ? Math.max(0, value) : 0;
  return inside;
}

/** Continues the depth beyond the face smoothly, and smooths the face a little. */
function smoothOutwards(depth: Float32Array, inside: Uint8Array): void {
  for (let round = 0; round < SMOOTHING_ROUNDS; round++) {
    const everywhere = round >= SMOOTHING_ROUNDS - 2;
    const before = depth.slice();
    for (let row = 1; row < FIELD - 1; row++)
      for (let column = 1; column < FIELD - 1; column++) {
        const at = row * FIELD + column;
        if (inside[at] === 1 && !everywhere) continue;
        const sides = (before[at - 1] as number) + (before[at + 1] as number);
        depth[at] = (sides + (before[at - FIELD] as number) + (before[at + FIELD] as number)) / 4;
      }
  }
}

/**
 * Writes where each position of a frame samples the picture: [FIELD, FIELD, 2] offsets in pixels.
 * @param rig one row of rig numbers
 */
export function headFlow(rig: Float32Array, frame: FaceFrame, maps: HeadMaps, size: number, flow: Float32Array): void {
  const at = (name: keyof typeof RIG): number => rig[RIG[name]] as number;
  const cell = size / FIELD;
  const { unit } = frame;
  const shiftX = (at('yaw') * SHIFT.yaw + at('shiftX') * SHIFT.x) * unit;
  const shiftY = (at('pitch') * SHIFT.pitch + at('shiftY') * SHIFT.y - at('breath') * SHIFT.breath) * unit;
  const [turnX, turnY] = [Math.sin(at('yaw') * YAW_RAD), Math.sin(at('pitch') * PITCH_RAD)];
  const [cos, sin] = [Math.cos(at('roll') * ROLL_RAD) - 1, Math.sin(at('roll') * ROLL_RAD)];
  const neckX = frame.x - frame.sin * NECK * unit;
  const neckY = frame.y + frame.cos * NECK * unit;
  const area = FIELD * FIELD;
  for (let i = 0; i < area; i++) {
    const px = ((i % FIELD) + 0.5) * cell;
    const py = (Math.floor(i / FIELD) + 0.5) * cell;
    let qx = px;
    let qy = py;
    for (let round = 0; round < 2; round++) {
      const share = sample(maps, FIELD, qx / cell, qy / cell);
      if (share === 0) break;
      const depth = sample(maps, FIELD, qx / cell, qy / cell, area);
      const rx = qx - neckX;
      const ry = qy - neckY;
      qx = px - share * (shiftX + turnX * depth + cos * rx - sin * ry);
      qy = py - share * (shiftY + turnY * depth + sin * rx + cos * ry);
    }
    flow[2 * i] = qx - px;
    flow[2 * i + 1] = qy - py;
  }
}
