/** Samples a plane at given places in WebAssembly SIMD, four at a time. */
import { type Code, f32x4, i32, i32x4, type Local, v128, WasmFunction, wasmModule } from './wasm-writer.js';

/** All arguments are byte addresses or counts of float32 numbers. */
export interface SampleCode {
  /**
   * Samples a plane [size, size] bilinearly at the places (x, y), pixels; the border repeats. `count` is a multiple of four. One row and four
   * numbers after the plane must be allocated; their values do not matter.
   */
  sample(plane: number, size: number, x: number, y: number, count: number, out: number): void;
}

/** Above this a place is at the last pixel but one, so that its neighbours exist. */
const MARGIN = 1.001;

const all = (value: number): Code => f32x4.const(value, value, value, value);
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
    f32x4.least(f32x4.most(f32x4.sub(v128.load(i32.add(places.get, at.get)), all(0.5)), all(0)), last.get);
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
    last.set(f32x4.sub(stride.get, all(MARGIN))),
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

let module: WebAssembly.Module | undefined;

/** Instantiates the function on `memory`. The module is compiled once per process. */
export function sampleCode(memory: WebAssembly.Memory): SampleCode {
  module ??= new WebAssembly.Module(wasmModule({ sample: sample() }));
  return new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as SampleCode;
}
