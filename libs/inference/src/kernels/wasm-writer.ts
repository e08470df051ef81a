/** Writes WebAssembly modules with 128-bit SIMD from nested expressions, without an assembler. */

/** Encoded instructions. An expression leaves one value on the stack, a statement none. */
export type Code = readonly number[];

const VALUE_TYPE = { i32: 0x7f, v128: 0x7b } as const;
type ValueType = keyof typeof VALUE_TYPE;

const NO_RESULT = 0x40;
const FUNCTION = 0x60;
const SECTION = { types: 1, imports: 2, functions: 3, exports: 7, code: 10 } as const;

function unsigned(value: number): number[] {
  const rest = value >>> 7;
  return rest === 0 ? [value & 127] : [(value & 127) | 128, ...unsigned(rest)];
}

function signed(value: number): number[] {
  const rest = value >> 7;
  const last = (rest === 0 && (value & 64) === 0) || (rest === -1 && (value & 64) !== 0);
  return last ? [value & 127] : [(value & 127) | 128, ...signed(rest)];
}

const list = (items: readonly (readonly number[])[]): number[] => [...unsigned(items.length), ...items.flat()];
const sized = (bytes: readonly number[]): number[] => [...unsigned(bytes.length), ...bytes];
const text = (value: string): number[] => sized([...new TextEncoder().encode(value)]);
const section = (id: number, body: readonly number[]): number[] => [id, ...sized(body)];

const binary =
  (...opcode: number[]) =>
  (a: Code, b: Code): Code => [...a, ...b, ...opcode];
const unary =
  (...opcode: number[]) =>
  (a: Code): Code => [...a, ...opcode];
const simd = (opcode: number): number[] => [0xfd, ...unsigned(opcode)];
/** Unaligned, without an offset. */
const ANYWHERE = [0, 0];

export const i32 = {
  const: (value: number): Code => [0x41, ...signed(value)],
  add: binary(0x6a),
  mul: binary(0x6c),
  shl: binary(0x74),
  lessThan: binary(0x48),
  load: unary(0x28, 2, 0),
} as const;

export const v128 = {
  load: unary(...simd(0), ...ANYWHERE),
  /** Loads one 32-bit number into all four lanes. */
  load32Splat: unary(...simd(9), ...ANYWHERE),
  /** Loads eight bytes into lanes 0 and 1, and zero into the others. */
  load64Zero: unary(...simd(93), ...ANYWHERE),
  /** Loads eight bytes into lanes 2 and 3 of `rest`. */
  load64High: (at: Code, rest: Code): Code => [...at, ...rest, ...simd(87), ...ANYWHERE, 1],
  store: (at: Code, value: Code): Code => [...at, ...value, ...simd(11), ...ANYWHERE],
  /** Stores lane 0 only. */
  store32: (at: Code, value: Code): Code => [...at, ...value, ...simd(90), ...ANYWHERE, 0],
  and: binary(...simd(78)),
  /** Bits of a where `mask` has ones, else those of b. */
  select: (a: Code, b: Code, mask: Code): Code => [...a, ...b, ...mask, ...simd(82)],
  /** Selects four 32-bit lanes from those of a (0 to 3) and b (4 to 7). */
  pick: (a: Code, b: Code, lanes: readonly [number, number, number, number]): Code => [
    ...a,
    ...b,
    ...simd(13),
    ...lanes.flatMap((lane) => [0, 1, 2, 3].map((byte) => 4 * lane + byte)),
  ],
} as const;

export const f32x4 = {
  const: (...lanes: readonly [number, number, number, number]): Code => [
    ...simd(12),
    ...new Uint8Array(Float32Array.from(lanes).buffer),
  ],
  /** The same number in all lanes. */
  all: (value: number): Code => f32x4.const(value, value, value, value),
  convert: unary(...simd(250)),
  floor: unary(...simd(104)),
  /** Rounds to the nearest integer, ties to even. */
  nearest: unary(...simd(106)),
  add: binary(...simd(228)),
  sub: binary(...simd(229)),
  mul: binary(...simd(230)),
  /** Lanes of ones where a >= b. */
  atLeast: binary(...simd(70)),
  /** The smaller one; b when a is NaN. */
  least: (a: Code, b: Code): Code => [...b, ...a, ...simd(234)],
  /** The larger one; b when a is NaN. */
  most: (a: Code, b: Code): Code => [...b, ...a, ...simd(235)],
} as const;

export const i32x4 = {
  splat: unary(...simd(17)),
  lane: (value: Code, lane: number): Code => [...value, ...simd(27), lane],
  shl: (value: Code, bits: number): Code => [...value, ...i32.const(bits), ...simd(171)],
  truncate: unary(...simd(248)),
} as const;

/** Packs four 32-bit integers as bytes in lane 0, saturated to 0..255. */
export const bytesOf = (value: Code): Code => {
  const halves = [...value, ...value, ...simd(133)];
  return [...halves, ...halves, ...simd(102)];
};

export interface Local {
  readonly get: Code;
  readonly set: (value: Code) => Code;
}

const variable = (index: number): Local => ({
  get: [0x20, ...unsigned(index)],
  set: (value) => [...value, 0x21, ...unsigned(index)],
});

/** A function without a result. */
export class WasmFunction {
  #parameters = 0;
  readonly #locals: ValueType[] = [];
  readonly #body: number[] = [];

  get parameters(): number {
    return this.#parameters;
  }

  /** The next parameter, an i32; all of them come before the first local. */
  parameter(): Local {
    return variable(this.#parameters++);
  }

  i32(): Local {
    return variable(this.#parameters + this.#locals.push('i32') - 1);
  }

  v128(): Local {
    return variable(this.#parameters + this.#locals.push('v128') - 1);
  }

  do(...statements: readonly Code[]): this {
    for (const statement of statements) for (const byte of statement) this.#body.push(byte);
    return this;
  }

  /** Runs statements for `counter` = 0, step, ... below `end`; at least once. */
  each(counter: Local, end: Code, step: number, ...statements: readonly Code[]): Code {
    const next = counter.set(i32.add(counter.get, i32.const(step)));
    const again = [...i32.lessThan(counter.get, end), 0x0d, 0];
    return [...counter.set(i32.const(0)), 0x03, NO_RESULT, ...statements.flat(), ...next, ...again, 0x0b];
  }

  write(): number[] {
    const locals = this.#locals.map((type) => [1, VALUE_TYPE[type]]);
    return sized([...list(locals), ...this.#body, 0x0b]);
  }
}

/** Encodes a module that imports its memory as `env.memory` and exports `functions`. */
export function wasmModule(functions: Readonly<Record<string, WasmFunction>>): Uint8Array<ArrayBuffer> {
  const all = Object.values(functions);
  const types = all.map(({ parameters }) => [FUNCTION, ...list(Array(parameters).fill([VALUE_TYPE.i32])), 0]);
  const memory = [...text('env'), ...text('memory'), 2, 0, 1];
  const exported = Object.keys(functions).map((name, i) => [...text(name), 0, ...unsigned(i)]);
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(SECTION.types, list(types)),
    ...section(SECTION.imports, list([memory])),
    ...section(SECTION.functions, list(all.map((_, i) => unsigned(i)))),
    ...section(SECTION.exports, list(exported)),
    ...section(SECTION.code, list(all.map((one) => one.write()))),
  ]);
}
