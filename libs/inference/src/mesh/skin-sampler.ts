import type { Levels } from '../kernels/levels.js';
import { type SampleCode, sampleCode } from '../kernels/sample-code.js';
import type { Box } from './face-painter.js';
import { MAP_NUMBERS, SourceMap } from './source-map.js';

const PAGE_BYTES = 65_536;
const NUMBER_BYTES = 4;
/** The compiled loop takes four places at a time. */
const LANES = 4;

/** Numbers of its memory by address. */
class Layout {
  #count = 0;
  readonly #ranges: (readonly [number, number])[] = [];

  /** @returns the index of a range of `count` numbers, rounded up to whole groups of lanes */
  add(count: number): number {
    this.#ranges.push([this.#count * NUMBER_BYTES, count]);
    this.#count += Math.ceil(count / LANES) * LANES;
    return this.#ranges.length - 1;
  }

  allocate(): { memory: WebAssembly.Memory; at(index: number): number; view(index: number): Float32Array } {
    const memory = new WebAssembly.Memory({ initial: Math.ceil((this.#count * NUMBER_BYTES) / PAGE_BYTES) });
    const at = (index: number): number => this.#ranges[index]?.[0] as number;
    return { memory, at, view: (index) => new Float32Array(memory.buffer, at(index), this.#ranges[index]?.[1]) };
  }
}

/** Shows a box of a photograph with moved triangles: each pixel the place of the photograph that the map names, pixels without a triangle themselves. */
export class SkinSampler {
  /** [height, width], and U and V [2, height / 2, width / 2] of the box. */
  readonly luma: Float32Array;
  readonly chroma: Float32Array;
  readonly #map: SourceMap;
  /** Places that show themselves. */
  readonly #stillX: Float32Array;
  readonly #stillY: Float32Array;
  readonly #sampleAll: () => void;

  /** @param size of the photograph */
  constructor(size: number, { luma, chroma }: Levels, { left, top, width, height }: Box) {
    const [half, area, quarter] = [size / 2, width * height, (width * height) / 4];
    const layout = new Layout();
    const planes = [size, half, half].map((side) => layout.add((side + 1) * side + LANES));
    const [x, y] = [layout.add(area + 2 * LANES), layout.add(area + 2 * LANES)];
    const work = layout.add(MAP_NUMBERS);
    const [smallX, smallY] = [layout.add(quarter + LANES), layout.add(quarter + LANES)];
    // U writes into V, which comes after it.
    const [large, small] = [layout.add(area), layout.add(2 * quarter + LANES)];
    const { memory, at, view } = layout.allocate();
    const parts = [luma, chroma.subarray(0, half * half), chroma.subarray(half * half)];
    for (const [i, plane] of planes.entries()) view(plane).set(parts[i] as Float32Array);
    this.luma = view(large);
    this.chroma = view(small).subarray(0, 2 * quarter);
    this.#map = new SourceMap(left, top, width, height, { memory, x: at(x), y: at(y), work: at(work) });
    this.#stillX = Float32Array.from({ length: area }, (_, i) => left + (i % width) + 0.5);
    this.#stillY = Float32Array.from({ length: area }, (_, i) => top + Math.floor(i / width) + 0.5);
    const code: SampleCode = sampleCode(memory);
    const groups = (count: number): number => Math.ceil(count / LANES) * LANES;
    const [luma0, u0, v0] = planes.map(at) as [number, number, number];
    this.#sampleAll = () => {
      code.sample(luma0, size, at(x), at(y), groups(area), at(large));
      code.halve(at(x), at(y), width / 2, height / 2, at(smallX), at(smallY));
      code.sample(u0, half, at(smallX), at(smallY), groups(quarter), at(small));
      code.sample(v0, half, at(smallX), at(smallY), groups(quarter), at(small) + quarter * NUMBER_BYTES);
    };
  }

  /** @param from [vertices, 2] texture @param to [vertices, 2] places */
  show(triangles: Float32Array, from: Float32Array, to: Float32Array): void {
    const { x, y } = this.#map;
    x.set(this.#stillX);
    y.set(this.#stillY);
    this.#map.draw(triangles, from, to);
    this.#sampleAll();
  }
}
