/** Frames of the mesh decoder at fixed faces, for golden pictures and to look at. */
import { openWeights, readWeight } from '../compile/index.js';
import type { PictureDecoderEngine } from '../decoder/picture-decoder.js';
import { RIG, RIG_NUMBERS } from '../mesh/face-shapes.js';
import type { GraphModel } from '../model/model.js';
import { rgbOf, rigLatents } from './rig-latents.js';

export type Face = Partial<Record<keyof typeof RIG, number>>;

/** Faces that speech and life consist of; what is not named is neutral. */
export const FACES = {
  closed: { open: 0, width: 0.45 },
  ah: { open: 0.9, width: 0.6, teeth: 0.3 },
  ee: { open: 0.4, width: 0.95, teeth: 0.8 },
  oo: { open: 0.35, width: 0.12, round: 1 },
  f: { open: 0.1, teeth: 1 },
  blink: { blink: 1 },
  left: { yaw: -1, shiftX: -0.7, gazeX: -0.5 },
  right: { yaw: 1, shiftX: 0.7, roll: 0.5, open: 0.3 },
} as const satisfies Record<string, Face>;

/** Makes latents of one chunk in which the face stays as named. */
export class StillFaces {
  readonly #matrix: { readonly plain: Float32Array; readonly bias: Float32Array };
  readonly #model: GraphModel;

  private constructor(model: GraphModel, plain: Float32Array, bias: Float32Array) {
    this.#model = model;
    this.#matrix = { plain, bias };
  }

  static async load(model: GraphModel): Promise<StillFaces> {
    const weights = await openWeights(model.folder, [model.manifest.decoder.mesh as string]);
    return new StillFaces(model, await readWeight(weights, 'plain'), await readWeight(weights, 'plain_bias'));
  }

  latents(face: Face): Float32Array {
    const row = new Float32Array(RIG_NUMBERS);
    const all = { width: 0.5, smile: 0.25, ...face };
    for (const [name, value] of Object.entries(all)) row[RIG[name as keyof typeof RIG]] = value;
    return rigLatents(this.#matrix, Array(this.#model.geometry.framesPerChunk).fill(row));
  }

  /** A frame in the middle of the chunk, I420. */
  async frame(engine: PictureDecoderEngine, avatar: string, face: Face): Promise<Uint8Array> {
    const session = await engine.openSession({ avatar, keepChunks: 1 });
    try {
      const chunk = await session.decode(0, this.latents(face));
      return chunk?.frames[this.#model.geometry.framesPerChunk / 2] as Uint8Array;
    } finally {
      session.dispose();
    }
  }

  /** All FACES of some avatars at half size, a row for each avatar. @returns [height, width, 3] RGB bytes */
  async sheet(
    engine: PictureDecoderEngine,
    avatars: readonly string[],
  ): Promise<{ rgb: Uint8Array; width: number; height: number }> {
    const { width, height } = this.#model.manifest;
    const [w, h] = [width / 2, height / 2];
    const faces = Object.values(FACES);
    const rgb = new Uint8Array(w * faces.length * h * avatars.length * 3);
    for (const [row, avatar] of avatars.entries())
      for (const [column, face] of faces.entries()) {
        const small = halved(rgbOf(await this.frame(engine, avatar, face), width, height), width, height);
        for (let y = 0; y < h; y++)
          rgb.set(small.subarray(y * w * 3, (y + 1) * w * 3), ((row * h + y) * faces.length + column) * w * 3);
      }
    return { rgb, width: w * faces.length, height: h * avatars.length };
  }
}

/** Means of 2x2 pixels. */
function halved(rgb: Uint8Array, width: number, height: number): Uint8Array {
  const out = new Uint8Array((width * height * 3) / 4);
  for (let y = 0; y < height / 2; y++)
    for (let x = 0; x < width / 2; x++)
      for (let c = 0; c < 3; c++) {
        const at = (2 * y * width + 2 * x) * 3 + c;
        const rows = [at, at + 3, at + width * 3, at + width * 3 + 3];
        out[(y * (width / 2) + x) * 3 + c] = Math.round(rows.reduce((sum, i) => sum + (rgb[i] as number), 0) / 4);
      }
  return out;
}
