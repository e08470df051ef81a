/** Samples planes at given places in WebAssembly SIMD, four at a time. */
import { type Code, f32x4, i32, i32x4, type Local, v128, WasmFunction, wasmModule } from './wasm-writer.js';

/** All arguments are byte addresses or counts of float32 numbers. */
export interface SampleCode {
  /**
   * Samples a plane [size, size] bilinearly at the places (x, y), pixels; the border repeats. `count` is a multiple of four. One row and four
   * numbers after the plane must be allocated; their values do not matter.
   */
  sample(plane: number, size: number, x: number, y: number, count: number, out: number): void;
  /**
   * Halves a map of places [2 * rows, 2 * columns] for a plane of half the size: of each four pixels the place of the lower left one, and from there to
   * the middle of the four; a mean of places would lie between two lips or lids. Each row writes up to three numbers beyond its end, which the next
   * row overwrites.
   */
  halve(x: number, y: number, columns: number, rows: number, outX: number, outY: number): void;
}

/** Above this a place is at the last pixel but one, so that its neighbours exist. */
const MARGIN = 1.001;

const mix = (a: Code, b: Code, share: Code): Code => f32x4.add(a, f32x4.mul(f32x4.sub(b, a), share));

function sample(): WasmFunction {
  const code = new WasmFunction();
  const plane = code.parameter();
  const size = code.parameter();
  const xs = code.parameter();
  const ys = code.parameter();
  const count = code.parameter();
  const out = code.parameter();
  const [at, row] = [code.i32(), code.i32()];
  const corners = [code.i32(), code.i32(), code.i32(), code.i32()] as const;
  const [stride, last, corner] = [code.v128(), code.v128(), code.v128()];
  const [x, y, left, top] = [code.v128(), code.v128(), code.v128(), code.v128()];
  const [low, high, upper, lower] = [code.v128(), code.v128(), code.v128(), code.v128()];
  const inside = (places: Local): Code =>
    f32x4.least(f32x4.most(f32x4.sub(v128.load(i32.add(places.get, at.get)), f32x4.all(0.5)), f32x4.all(0)), last.get);
  /** Interpolates between the left and right neighbours, in the row `offset` bytes after the corners. */
  const across = (offset: Code): Code => {
    const [a, b, c, d] = corners.map((address) => i32.add(address.get, offset)) as [Code, Code, Code, Code];
    return [
      ...low.set(v128.load64High(b, v128.load64Zero(a))),
      ...high.set(v128.load64High(d, v128.load64Zero(c))),
      ...mix(
        v128.pick(low.get, high.get, [0, 2, 4, 6]),
        v128.pick(low.get, high.get, [1, 3, 5, 7]),
        f32x4.sub(x.get, left.get),
      ),
    ];
  };
  return code.do(
    row.set(i32.shl(size.get, i32.const(2))),
    stride.set(f32x4.convert(i32x4.splat(size.get))),
    last.set(f32x4.sub(stride.get, f32x4.all(MARGIN))),
    code.each(
      at,
      i32.shl(count.get, i32.const(2)),
      16,
      x.set(inside(xs)),
      y.set(inside(ys)),
      left.set(f32x4.floor(x.get)),
      top.set(f32x4.floor(y.get)),
      corner.set(i32x4.shl(i32x4.truncate(f32x4.add(f32x4.mul(top.get, stride.get), left.get)), 2)),
      ...corners.map((address, lane) => address.set(i32.add(plane.get, i32x4.lane(corner.get, lane)))),
      upper.set(across(i32.const(0))),
      lower.set(across(row.get)),
      v128.store(i32.add(out.get, at.get), mix(upper.get, lower.get, f32x4.sub(y.get, top.get))),
    ),
  );
}

function halve(): WasmFunction {
  const code = new WasmFunction();
  const x = code.parameter();
  const y = code.parameter();
  const columns = code.parameter();
  const rows = code.parameter();
  const outX = code.parameter();
  const outY = code.parameter();
  const [row, column, at, width] = [code.i32(), code.i32(), code.i32(), code.i32()];
  const put = (from: Local, out: Local, toMiddle: number): Code => {
    const place = i32.add(from.get, i32.add(at.get, i32.shl(column.get, i32.const(1))));
    const even = v128.pick(v128.load(place), v128.load(i32.add(place, i32.const(16))), [0, 2, 4, 6]);
    return v128.store(i32.add(out.get, column.get), f32x4.mul(f32x4.add(even, f32x4.all(toMiddle)), f32x4.all(0.5)));
  };
  return code.do(
    width.set(i32.shl(columns.get, i32.const(2))),
    at.set(i32.shl(width.get, i32.const(1))),
    code.each(
      row,
      rows.get,
      1,
      code.each(column, width.get, 16, put(x, outX, 0.5), put(y, outY, -0.5)),
      at.set(i32.add(at.get, i32.shl(width.get, i32.const(2)))),
      outX.set(i32.add(outX.get, width.get)),
      outY.set(i32.add(outY.get, width.get)),
    ),
  );
}

let module: WebAssembly.Module | undefined;

/** Instantiates the functions on `memory`. The module is compiled once per process. */
export function sampleCode(memory: WebAssembly.Memory): SampleCode {
  module ??= new WebAssembly.Module(wasmModule({ sample: sample(), halve: halve() }));
  return new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as SampleCode;
}
