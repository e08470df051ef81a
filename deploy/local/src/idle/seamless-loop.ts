/** A stretch of a recording that can be repeated: frame `start + length` looks like frame `start`. */
export interface Loop {
  readonly start: number;
  readonly length: number;
  /** Mean difference of luma where the end meets the beginning, of 255. */
  readonly seam: number;
}

export interface LoopBounds {
  readonly minFrames: number;
  readonly maxFrames: number;
  /** Over so many frames the end turns into the beginning. */
  readonly blendFrames: number;
}

/** Luma is compared in blocks of `block` pixels a side. Rows and columns that fill no block are left out. @returns their means */
export function thumbnail(i420: Uint8Array, width: number, height: number, block: number): Uint8Array {
  const [columns, rows] = [Math.floor(width / block), Math.floor(height / block)];
  const means = new Uint8Array(columns * rows);
  for (let row = 0; row < rows; row += 1)
    for (let column = 0; column < columns; column += 1) {
      let sum = 0;
      for (let y = 0; y < block; y += 1) {
        const at = (row * block + y) * width + column * block;
        for (let x = 0; x < block; x += 1) sum += i420[at + x] as number;
      }
      means[row * columns + column] = sum / (block * block);
    }
  return means;
}

function difference(a: Uint8Array, b: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i += 1) sum += Math.abs((a[i] as number) - (b[i] as number));
  return sum / a.length;
}

/**
 * The loop whose ends differ least over the frames that are blended.
 * @param thumbnails one per frame of the recording
 * @throws RangeError when the recording is too short for any
 */
export function findLoop(thumbnails: readonly Uint8Array[], bounds: LoopBounds): Loop {
  const { minFrames, maxFrames, blendFrames } = bounds;
  const compared = [-blendFrames, -Math.round(blendFrames / 2), 0];
  let best: Loop | undefined;
  for (let start = blendFrames; start + minFrames < thumbnails.length; start += 1)
    for (let length = minFrames; length <= maxFrames && start + length < thumbnails.length; length += 1) {
      let seam = 0;
      for (const offset of compared) {
        const [from, to] = [thumbnails[start + offset], thumbnails[start + length + offset]];
        seam += difference(from as Uint8Array, to as Uint8Array) / compared.length;
        if (best !== undefined && seam >= best.seam) break;
      }
      if (best === undefined || seam < best.seam) best = { start, length, seam };
    }
  if (best === undefined)
    throw new RangeError(`${thumbnails.length} frames are too few for a loop of ${minFrames}; record more`);
  return best;
}

/** The frames of the loop. The last ones turn into those before its beginning, so that the first one follows them. */
export function loopFrames(frames: readonly Uint8Array[], { start, length }: Loop, blendFrames: number): Uint8Array[] {
  return Array.from({ length }, (_, at) => {
    const frame = frames[start + at] as Uint8Array;
    const blended = at - (length - blendFrames) + 1;
    if (blended <= 0) return frame;
    const before = frames[start + at - length] as Uint8Array;
    const weight = blended / (blendFrames + 1);
    return frame.map((value, i) => value + weight * ((before[i] as number) - value));
  });
}
