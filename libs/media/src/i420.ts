export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** Bytes of a planar I420 frame. @throws RangeError unless width and height are even and positive */
export function i420Bytes(width: number, height: number): number {
  if (width % 2 !== 0 || height % 2 !== 0 || width <= 0 || height <= 0)
    throw new RangeError(`I420 width and height must be even and positive, not ${width}x${height}`);
  return (width * height * 3) / 2;
}

/** A black frame, BT.601 limited range. */
export function blackI420(width: number, height: number): Uint8Array {
  const frame = new Uint8Array(i420Bytes(width, height)).fill(128);
  frame.fill(16, 0, width * height);
  return frame;
}

/** Mixes two frames of one size: `share` of the first, 0..1, and the rest of the second. */
export function mixI420(first: Uint8Array, second: Uint8Array, share: number): Uint8Array {
  const weight = Math.round(256 * share);
  return second.map((value, i) => (weight * (first[i] ?? value) + (256 - weight) * value + 128) >> 8);
}

/** I420 (BT.601 limited range) to RGBA, alpha 255; chroma is not interpolated. */
export function i420ToRgba(i420: Uint8Array, width: number, height: number): Uint8ClampedArray {
  const rgba = new Uint8ClampedArray(width * height * 4);
  checkSize(i420, width, height);
  const [halfWidth, uAt] = [width / 2, width * height];
  const vAt = uAt + halfWidth * (height / 2);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const luma = 1.164383 * ((i420[y * width + x] ?? 0) - 16);
      const chroma = (y >> 1) * halfWidth + (x >> 1);
      const u = (i420[uAt + chroma] ?? 0) - 128;
      const v = (i420[vAt + chroma] ?? 0) - 128;
      const at = 4 * (y * width + x);
      rgba[at] = luma + 1.596027 * v;
      rgba[at + 1] = luma - 0.391762 * u - 0.812968 * v;
      rgba[at + 2] = luma + 2.017232 * u;
      rgba[at + 3] = 255;
    }
  }
  return rgba;
}

/** Mean of the Y plane inside a box (clipped to the frame), 0..255; NaN for an empty box. */
export function meanLuma(i420: Uint8Array, width: number, height: number, box: Box): number {
  checkSize(i420, width, height);
  const [left, top] = [Math.max(0, Math.floor(box.x)), Math.max(0, Math.floor(box.y))];
  const right = Math.min(width, Math.floor(box.x + box.width));
  const bottom = Math.min(height, Math.floor(box.y + box.height));
  let sum = 0;
  for (let y = top; y < bottom; y++) for (let x = left; x < right; x++) sum += i420[y * width + x] ?? 0;
  return sum / (Math.max(0, right - left) * Math.max(0, bottom - top));
}

function checkSize(i420: Uint8Array, width: number, height: number): void {
  const expected = i420Bytes(width, height);
  if (i420.byteLength !== expected)
    throw new RangeError(`a ${width}x${height} I420 frame has ${expected} bytes, not ${i420.byteLength}`);
}
