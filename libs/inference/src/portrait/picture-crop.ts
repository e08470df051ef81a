/** A square of a picture that may be turned: centre and side in pixels, angle in radians clockwise. */
export interface TurnedSquare {
  readonly x: number;
  readonly y: number;
  readonly side: number;
  readonly angle: number;
}

export interface Pixels {
  /** [height, width, 3] bytes. */
  readonly rgb: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** Maps a point of the resampled square, 0..1 on both axes, to the picture. */
export function fromSquare({ x, y, side, angle }: TurnedSquare, u: number, v: number): [x: number, y: number] {
  const [dx, dy] = [(u - 0.5) * side, (v - 0.5) * side];
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  return [x + dx * cos - dy * sin, y + dx * sin + dy * cos];
}

/**
 * Resamples a square bilinearly; pixels outside the picture are black.
 * @returns [size, size, 3] values from `low` (black) to `high` (white)
 */
export function resample(picture: Pixels, square: TurnedSquare, size: number, low: number, high: number): Float32Array {
  const { rgb, width, height } = picture;
  const out = new Float32Array(size * size * 3).fill(low);
  const scale = (high - low) / 255;
  for (let row = 0; row < size; row++)
    for (let column = 0; column < size; column++) {
      const [px, py] = fromSquare(square, (column + 0.5) / size, (row + 0.5) / size);
      const [x, y] = [px - 0.5, py - 0.5];
      const [left, top] = [Math.floor(x), Math.floor(y)];
      const at = (row * size + column) * 3;
      for (const [dx, dy] of CORNERS) {
        const [cx, cy] = [left + dx, top + dy];
        if (cx < 0 || cy < 0 || cx >= width || cy >= height) continue;
        const weight = (1 - Math.abs(x - cx)) * (1 - Math.abs(y - cy)) * scale;
        const from = (cy * width + cx) * 3;
        for (let channel = 0; channel < 3; channel++)
          out[at + channel] = (out[at + channel] as number) + weight * (rgb[from + channel] as number);
      }
    }
  return out;
}

const CORNERS = [
  [0, 0],
  [1, 0],
  [0, 1],
  [1, 1],
] as const;
