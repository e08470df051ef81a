import { i420Bytes } from './i420.js';
import { HUFFMAN, type HuffmanTable, QUANTISATION, ZIGZAG } from './jpeg-tables.js';

/** Scale factors of the AAN transform (Arai, Agui and Nakajima 1988), which are folded into the quantisation. */
const AAN = [1, 1.387039845, 1.306562965, 1.175875602, 1, 0.785694958, 0.5411961, 0.275899379];
const [END_OF_BLOCK, SIXTEEN_ZEROS] = [0x00, 0xf0];
/** Most bytes of the code of one 16x16 macroblock: six blocks of 64 codes with up to 26 bits, every byte stuffed. */
const MAX_MACROBLOCK_BYTES = 6 * 64 * 4 * 2;

interface Component {
  readonly divisors: Float32Array;
  readonly dc: Codes;
  readonly ac: Codes;
  /** The DC coefficient of the block before. */
  lastDc: number;
}

interface Codes {
  readonly code: Uint16Array;
  readonly bits: Uint8Array;
}

/**
 * Writes I420 pictures (BT.601 limited range) as baseline JPEG (ITU-T T.81, JFIF) with the same 4:2:0 chroma, so no colour is
 * converted twice. One encoder serves one size; it is synchronous and keeps nothing between pictures.
 */
export class JpegEncoder {
  readonly #width: number;
  readonly #height: number;
  readonly #header: Uint8Array;
  readonly #luma: Component;
  readonly #chroma: readonly [Component, Component];
  readonly #block = new Float32Array(64);
  readonly #levels = new Int16Array(64);
  #out = new Uint8Array(0);
  #at = 0;
  #bits = 0;
  #bitCount = 0;

  /** @param quality 1 to 100, as of the IJG library @throws RangeError unless width and height are even and positive */
  constructor(width: number, height: number, quality = 80) {
    i420Bytes(width, height);
    [this.#width, this.#height] = [width, height];
    const scale = quality < 50 ? 5000 / quality : 200 - 2 * quality;
    const tables = QUANTISATION.map((table) =>
      table.map((value) => Math.min(255, Math.max(1, Math.floor((value * scale + 50) / 100)))),
    ) as [Uint8Array, Uint8Array];
    const [dcLuma, acLuma, dcChroma, acChroma] = HUFFMAN.map(codesOf) as [Codes, Codes, Codes, Codes];
    const chroma = () => ({ divisors: divisorsOf(tables[1]), dc: dcChroma, ac: acChroma, lastDc: 0 });
    this.#luma = { divisors: divisorsOf(tables[0]), dc: dcLuma, ac: acLuma, lastDc: 0 };
    this.#chroma = [chroma(), chroma()];
    this.#header = headerOf(width, height, tables);
  }

  /** @param i420 a picture of the encoder's size @throws RangeError */
  encode(i420: Uint8Array): Uint8Array {
    const [width, height] = [this.#width, this.#height];
    if (i420.length !== i420Bytes(width, height))
      throw new RangeError(`a ${width}x${height} I420 frame has ${i420Bytes(width, height)} bytes, not ${i420.length}`);
    this.#begin();
    const [u, v] = [width * height, (width * height * 5) / 4];
    for (let y = 0; y < height; y += 16)
      for (let x = 0; x < width; x += 16) {
        this.#reserve(MAX_MACROBLOCK_BYTES);
        for (const [dx, dy] of [
          [0, 0],
          [8, 0],
          [0, 8],
          [8, 8],
        ] as const) {
          this.#load(i420, 0, width, height, x + dx, y + dy, LUMA);
          this.#writeBlock(this.#luma);
        }
        for (const [i, plane] of [u, v].entries()) {
          this.#load(i420, plane, width / 2, height / 2, x / 2, y / 2, CHROMA);
          this.#writeBlock(this.#chroma[i as 0 | 1]);
        }
      }
    return this.#finish();
  }

  #begin(): void {
    this.#at = 0;
    this.#bits = 0;
    this.#bitCount = 0;
    for (const component of [this.#luma, ...this.#chroma]) component.lastDc = 0;
    this.#reserve(this.#header.length);
    this.#out.set(this.#header);
    this.#at = this.#header.length;
  }

  #finish(): Uint8Array {
    this.#reserve(4);
    // The last byte is filled with ones.
    this.#write(0x7f, 7);
    this.#out[this.#at++] = 0xff;
    this.#out[this.#at++] = 0xd9;
    return this.#out.slice(0, this.#at);
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#out.length) return;
    const larger = new Uint8Array(2 * (this.#at + bytes));
    larger.set(this.#out.subarray(0, this.#at));
    this.#out = larger;
  }

  /** Reads an 8x8 block; beyond the edges the last column and row are repeated. */
  #load(
    i420: Uint8Array,
    plane: number,
    width: number,
    height: number,
    x: number,
    y: number,
    range: Float32Array,
  ): void {
    const block = this.#block;
    for (let row = 0; row < 8; row++) {
      const line = plane + Math.min(y + row, height - 1) * width;
      for (let column = 0; column < 8; column++)
        block[row * 8 + column] = range[i420[line + Math.min(x + column, width - 1)] as number] as number;
    }
  }

  #writeBlock(component: Component): void {
    const levels = this.#levels;
    transform(this.#block);
    for (let k = 0; k < 64; k++) {
      const from = ZIGZAG[k] as number;
      levels[k] = Math.round((this.#block[from] as number) * (component.divisors[from] as number));
    }
    const dc = levels[0] as number;
    this.#writeLevel(component.dc, 0, dc - component.lastDc);
    component.lastDc = dc;
    let last = 63;
    while (last > 0 && levels[last] === 0) last--;
    let zeros = 0;
    for (let k = 1; k <= last; k++) {
      const level = levels[k] as number;
      if (level === 0) {
        zeros += 1;
        continue;
      }
      for (; zeros > 15; zeros -= 16) this.#writeSymbol(component.ac, SIXTEEN_ZEROS);
      this.#writeLevel(component.ac, zeros << 4, level);
      zeros = 0;
    }
    if (last < 63) this.#writeSymbol(component.ac, END_OF_BLOCK);
  }

  /** A level is written as its length in bits and then these bits, ones' complement when it is negative. */
  #writeLevel(codes: Codes, run: number, level: number): void {
    const length = 32 - Math.clz32(Math.abs(level));
    this.#writeSymbol(codes, run | length);
    if (length > 0) this.#write(level < 0 ? level + (1 << length) - 1 : level, length);
  }

  #writeSymbol({ code, bits }: Codes, symbol: number): void {
    this.#write(code[symbol] as number, bits[symbol] as number);
  }

  #write(value: number, bits: number): void {
    this.#bits = (this.#bits << bits) | value;
    this.#bitCount += bits;
    while (this.#bitCount >= 8) {
      this.#bitCount -= 8;
      const byte = (this.#bits >> this.#bitCount) & 0xff;
      this.#out[this.#at++] = byte;
      // After 0xff a zero says that no marker follows.
      if (byte === 0xff) this.#out[this.#at++] = 0;
    }
    this.#bits &= (1 << this.#bitCount) - 1;
  }
}

/** Values of limited range as full range, centred on zero. */
const LUMA = Float32Array.from({ length: 256 }, (_, value) => clip(((value - 16) * 255) / 219 - 128));
const CHROMA = Float32Array.from({ length: 256 }, (_, value) => clip(((value - 128) * 255) / 224));

function clip(value: number): number {
  return Math.min(127, Math.max(-128, value));
}

function divisorsOf(table: Uint8Array): Float32Array {
  return Float32Array.from(table, (q, k) => 1 / (q * (AAN[k >> 3] as number) * (AAN[k & 7] as number) * 8));
}

/** Code and length by symbol (T.81, annex C). */
function codesOf({ lengths, symbols }: HuffmanTable): Codes {
  const codes = { code: new Uint16Array(256), bits: new Uint8Array(256) };
  let [next, at] = [0, 0];
  for (const [i, count] of lengths.entries()) {
    for (let n = 0; n < count; n++, next++, at++) {
      const symbol = symbols[at] as number;
      codes.code[symbol] = next;
      codes.bits[symbol] = i + 1;
    }
    next <<= 1;
  }
  return codes;
}

/** Everything before the coded data: JFIF, quantisation and Huffman tables, frame and scan. */
function headerOf(width: number, height: number, tables: readonly Uint8Array[]): Uint8Array {
  const words = (...values: number[]): number[] => values.flatMap((value) => [value >> 8, value & 0xff]);
  const segment = (marker: number, body: readonly number[]): number[] => [
    ...[0xff, marker],
    ...words(body.length + 2),
    ...body,
  ];
  const zigzag = (table: Uint8Array): number[] => [...ZIGZAG].map((from) => table[from] as number);
  return Uint8Array.from([
    ...[0xff, 0xd8],
    ...segment(0xe0, [...Buffer.from('JFIF\0'), ...[1, 1, 0], ...words(1, 1), ...[0, 0]]),
    ...tables.flatMap((table, i) => segment(0xdb, [i, ...zigzag(table)])),
    ...segment(0xc0, [8, ...words(height, width), 3, ...[1, 0x22, 0], ...[2, 0x11, 1], ...[3, 0x11, 1]]),
    ...HUFFMAN.flatMap(({ id, lengths, symbols }) => segment(0xc4, [id, ...lengths, ...symbols])),
    ...segment(0xda, [3, ...[1, 0x00], ...[2, 0x11], ...[3, 0x11], ...[0, 63, 0]]),
  ]);
}

/** Two-dimensional DCT of an 8x8 block in place, without the scale factors `AAN`. */
function transform(block: Float32Array): void {
  for (let row = 0; row < 64; row += 8) transformLine(block, row, 1);
  for (let column = 0; column < 8; column++) transformLine(block, column, 8);
}

function transformLine(d: Float32Array, at: number, step: number): void {
  const sum07 = (d[at] as number) + (d[at + 7 * step] as number);
  const diff07 = (d[at] as number) - (d[at + 7 * step] as number);
  const sum16 = (d[at + step] as number) + (d[at + 6 * step] as number);
  const diff16 = (d[at + step] as number) - (d[at + 6 * step] as number);
  const sum25 = (d[at + 2 * step] as number) + (d[at + 5 * step] as number);
  const diff25 = (d[at + 2 * step] as number) - (d[at + 5 * step] as number);
  const sum34 = (d[at + 3 * step] as number) + (d[at + 4 * step] as number);
  const diff34 = (d[at + 3 * step] as number) - (d[at + 4 * step] as number);
  const outer = sum07 + sum34;
  const inner = sum16 + sum25;
  const outerDiff = sum07 - sum34;
  const z1 = (sum16 - sum25 + outerDiff) * Math.SQRT1_2;
  d[at] = outer + inner;
  d[at + 4 * step] = outer - inner;
  d[at + 2 * step] = outerDiff + z1;
  d[at + 6 * step] = outerDiff - z1;
  const odd0 = diff34 + diff25;
  const odd2 = diff16 + diff07;
  const z5 = (odd0 - odd2) * 0.382683433;
  const z2 = 0.5411961 * odd0 + z5;
  const z4 = 1.306562965 * odd2 + z5;
  const z3 = (diff25 + diff16) * Math.SQRT1_2;
  const z11 = diff07 + z3;
  const z13 = diff07 - z3;
  d[at + 5 * step] = z13 + z2;
  d[at + 3 * step] = z13 - z2;
  d[at + step] = z11 + z4;
  d[at + 7 * step] = z11 - z4;
}
