/** The inner loops of compose-frames in WebAssembly SIMD, four pixels at a time. */
import { bytesOf, type Code, f32x4, i32, i32x4, type Local, v128, WasmFunction, wasmModule } from './wasm-writer.js';

/**
 * All arguments are byte addresses or counts; `columns` is a multiple of four. A table has three rows of `columns` numbers. For
 * each pixel of a side it holds the flow sample before it and the one after it (int32, byte offsets into a row of flow), and the
 * weight of the latter (float32).
 */
export interface WarpCode {
  /** Interpolates flow [samples, samples, (x, y)] along rows into wide [samples, (x, y), columns], all float32. */
  widen(flow: number, samples: number, columns: number, table: number, wide: number): void;
  /**
   * Samples plane float32 [size, size] along wide into out uint8 [size, size]. Each row writes up to three bytes beyond its
   * end, which the next row overwrites. One row and four numbers after `plane` must be allocated; their values do not matter.
   */
  warp(plane: number, size: number, columns: number, table: number, wide: number, out: number): void;
}

const sum = (...parts: readonly Code[]): Code => parts.reduce((a, b) => i32.add(a, b));
/** Bytes of `count` numbers. */
const bytes = (count: Code): Code => i32.shl(count, i32.const(2));
const mix = (a: Code, b: Code, share: Code): Code => f32x4.add(a, f32x4.mul(f32x4.sub(b, a), share));
const floats = (count: Code): Code => f32x4.convert(i32x4.splat(count));

type Four<T> = readonly [T, T, T, T];
const each = <A, B>([a, b, c, d]: Four<A>, change: (value: A, index: number) => B): Four<B> => [
  change(a, 0),
  change(b, 1),
  change(c, 2),
  change(d, 3),
];

/**
 * Loads two neighbouring numbers at each of four addresses: the first ones into `first`, the second ones into `second`.
 */
function pairs([a, b, c, d]: Four<Code>, low: Local, high: Local, first: Local, second: Local): Code {
  return [
    ...low.set(v128.load64High(b, v128.load64Zero(a))),
    ...high.set(v128.load64High(d, v128.load64Zero(c))),
    ...first.set(v128.pick(low.get, high.get, [0, 2, 4, 6])),
    ...second.set(v128.pick(low.get, high.get, [1, 3, 5, 7])),
  ];
}

function widen(): WasmFunction {
  const code = new WasmFunction();
  const flow = code.parameter();
  const samples = code.parameter();
  const columns = code.parameter();
  const table = code.parameter();
  const wide = code.parameter();
  const [row, column, width, at] = [code.i32(), code.i32(), code.i32(), code.i32()];
  const [low, high, near] = [code.v128(), code.v128(), code.v128()];
  const [x, y, nextX, nextY] = [code.v128(), code.v128(), code.v128(), code.v128()];
  const samplesAt = (entry: Code): Four<Code> =>
    each([0, 4, 8, 12], (lane) => i32.add(flow.get, i32.load(i32.add(entry, i32.const(lane)))));
  return code.do(
    width.set(bytes(columns.get)),
    code.each(
      row,
      samples.get,
      1,
      code.each(
        column,
        width.get,
        16,
        at.set(i32.add(table.get, column.get)),
        pairs(samplesAt(at.get), low, high, x, y),
        pairs(samplesAt(i32.add(at.get, width.get)), low, high, nextX, nextY),
        near.set(v128.load(sum(at.get, width.get, width.get))),
        v128.store(i32.add(wide.get, column.get), mix(x.get, nextX.get, near.get)),
        v128.store(sum(wide.get, width.get, column.get), mix(y.get, nextY.get, near.get)),
      ),
      flow.set(i32.add(flow.get, i32.shl(samples.get, i32.const(3)))),
      wide.set(sum(wide.get, width.get, width.get)),
    ),
  );
}

function warp(): WasmFunction {
  const code = new WasmFunction();
  const plane = code.parameter();
  const size = code.parameter();
  const columns = code.parameter();
  const table = code.parameter();
  const wide = code.parameter();
  const out = code.parameter();
  const [row, column, width, entry] = [code.i32(), code.i32(), code.i32(), code.i32()];
  const [above, below] = [code.i32(), code.i32()];
  const corners: Four<Local> = [code.i32(), code.i32(), code.i32(), code.i32()];
  const [last, stride, centres, down] = [code.v128(), code.v128(), code.v128(), code.v128()];
  const [x, y, left, top, corner] = [code.v128(), code.v128(), code.v128(), code.v128(), code.v128()];
  const [low, high, first, second] = [code.v128(), code.v128(), code.v128(), code.v128()];
  const [upper, lower] = [code.v128(), code.v128()];
  /**
   * Address of the row of `wide` that belongs to a flow sample. The table counts 8 bytes per sample; a row has 8 *
   * columns.
   */
  const wideRow = (sample: Code): Code => i32.add(wide.get, i32.mul(i32.load(sample), columns.get));
  const flow = (part: Code): Code =>
    mix(v128.load(sum(above.get, column.get, part)), v128.load(sum(below.get, column.get, part)), down.get);
  const inside = (place: Code): Code => f32x4.least(f32x4.most(place, f32x4.all(0)), last.get);
  /** Interpolates between the left and right neighbours, in the row `offset` bytes after the corners. */
  const across = (offset: Code): Code => [
    ...pairs(
      each(corners, (address) => i32.add(address.get, offset)),
      low,
      high,
      first,
      second,
    ),
    ...mix(first.get, second.get, f32x4.sub(x.get, left.get)),
  ];
  return code.do(
    width.set(bytes(columns.get)),
    last.set(f32x4.sub(floats(size.get), f32x4.all(1))),
    stride.set(floats(size.get)),
    code.each(
      row,
      size.get,
      1,
      entry.set(i32.add(table.get, bytes(row.get))),
      above.set(wideRow(entry.get)),
      below.set(wideRow(i32.add(entry.get, width.get))),
      down.set(v128.load32Splat(sum(entry.get, width.get, width.get))),
      centres.set(f32x4.const(0, 1, 2, 3)),
      code.each(
        column,
        width.get,
        16,
        x.set(inside(f32x4.add(centres.get, flow(i32.const(0))))),
        y.set(inside(f32x4.add(floats(row.get), flow(width.get)))),
        left.set(f32x4.floor(x.get)),
        top.set(f32x4.floor(y.get)),
        corner.set(i32x4.shl(i32x4.truncate(f32x4.add(f32x4.mul(top.get, stride.get), left.get)), 2)),
        ...corners.map((address, lane) => address.set(i32.add(plane.get, i32x4.lane(corner.get, lane)))),
        upper.set(across(i32.const(0))),
        lower.set(across(bytes(size.get))),
        upper.set(mix(upper.get, lower.get, f32x4.sub(y.get, top.get))),
        v128.store32(out.get, bytesOf(i32x4.truncate(f32x4.nearest(upper.get)))),
        out.set(i32.add(out.get, i32.const(4))),
        centres.set(f32x4.add(centres.get, f32x4.all(4))),
      ),
      // The next row starts after the last pixel of this row, and overwrites the extra bytes.
      out.set(sum(out.get, size.get, i32.mul(columns.get, i32.const(-1)))),
    ),
  );
}

let module: WebAssembly.Module | undefined;

/** Instantiates the functions on `memory`. The module is compiled once per process. */
export function warpCode(memory: WebAssembly.Memory): WarpCode {
  module ??= new WebAssembly.Module(wasmModule({ widen: widen(), warp: warp() }));
  return new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as WarpCode;
}
