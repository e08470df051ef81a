/** Draws triangles of two interpolated numbers in WebAssembly SIMD, four pixels at a time. */
import { type Code, f32x4, i32, type Local, v128, WasmFunction, wasmModule } from './wasm-writer.js';

/** A triangle's affine functions of a pixel, each as value at the first pixel, change per column, change per row. */
export const TRIANGLE = {
  /** Shares of the second and the third corner. */
  b: 0,
  c: 3,
  u: 6,
  v: 9,
  /** The least shares of the three corners that count as inside. */
  least: 12,
} as const;
export const TRIANGLE_NUMBERS = 15;

/** All arguments are byte addresses or counts. */
export interface TriangleCode {
  /**
   * Writes u and v of a triangle (TRIANGLE_NUMBERS float32 numbers) where a pixel's middle lies in it; other pixels keep theirs.
   * @param x, y the first pixel in planes of float32 numbers whose rows are `stride` bytes apart @param rows, groups at least 1; groups of four columns
   */
  draw(triangle: number, x: number, y: number, stride: number, rows: number, groups: number): void;
}

const NUMBER_BYTES = 4;
const LANES = 4;

function draw(): WasmFunction {
  const code = new WasmFunction();
  const triangle = code.parameter();
  const x = code.parameter();
  const y = code.parameter();
  const stride = code.parameter();
  const rows = code.parameter();
  const groups = code.parameter();
  const [row, column] = [code.i32(), code.i32()];
  const at = (index: number): Code => v128.load32Splat(i32.add(triangle.get, i32.const(index * NUMBER_BYTES)));
  const functions = [TRIANGLE.b, TRIANGLE.c, TRIANGLE.u, TRIANGLE.v].map((index) => {
    const [start, value, across, down] = [code.v128(), code.v128(), code.v128(), code.v128()];
    const prepare = [
      ...start.set(f32x4.add(at(index), f32x4.mul(at(index + 1), f32x4.const(0, 1, 2, 3)))),
      ...across.set(f32x4.mul(at(index + 1), f32x4.all(LANES))),
      ...down.set(at(index + 2)),
    ];
    return { start, value, across, down, prepare };
  });
  const [b, c, u, v] = functions.map(({ value }) => value) as [Local, Local, Local, Local];
  const least = [code.v128(), code.v128(), code.v128()] as const;
  const inside = code.v128();
  const shares = [f32x4.sub(f32x4.sub(f32x4.all(1), b.get), c.get), b.get, c.get] as const;
  const within = (i: 0 | 1 | 2): Code => f32x4.atLeast(shares[i], least[i].get);
  const put = (plane: Local, value: Local): Code => {
    const place = i32.add(plane.get, column.get);
    return v128.store(place, v128.select(value.get, v128.load(place), inside.get));
  };
  return code.do(
    ...functions.map(({ prepare }) => prepare),
    ...least.map((local, i) => local.set(at(TRIANGLE.least + i))),
    code.each(
      row,
      rows.get,
      1,
      ...functions.map(({ start, value }) => value.set(start.get)),
      code.each(
        column,
        i32.shl(groups.get, i32.const(4)),
        LANES * NUMBER_BYTES,
        inside.set(v128.and(within(0), v128.and(within(1), within(2)))),
        put(x, u),
        put(y, v),
        ...functions.map(({ value, across }) => value.set(f32x4.add(value.get, across.get))),
      ),
      x.set(i32.add(x.get, stride.get)),
      y.set(i32.add(y.get, stride.get)),
      ...functions.map(({ start, down }) => start.set(f32x4.add(start.get, down.get))),
    ),
  );
}

let module: WebAssembly.Module | undefined;

/** Instantiates the function on `memory`. The module is compiled once per process. */
export function triangleCode(memory: WebAssembly.Memory): TriangleCode {
  module ??= new WebAssembly.Module(wasmModule({ draw: draw() }));
  return new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as TriangleCode;
}
