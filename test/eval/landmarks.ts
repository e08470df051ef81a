import { readFile, writeFile } from 'node:fs/promises';
import { createOrtExecutor } from '@talkmesh/inference';
import { FaceJudge, type FacePoints } from '@talkmesh/inference/testing';
import { FACE_NETS } from '../support/nano.js';

const POINTS = 468;
/** The judge is the same whatever models are evaluated. */
export const JUDGE_NETS = Object.values(FACE_NETS);

/** Writes what the independent judge sees in files of frames, for `evaluate.judge`. */
export class LandmarkWriter implements AsyncDisposable {
  readonly #executor;
  readonly #judge: FaceJudge;
  readonly #size: { readonly width: number; readonly height: number };

  private constructor(
    executor: ReturnType<typeof createOrtExecutor>,
    judge: FaceJudge,
    size: { readonly width: number; readonly height: number },
  ) {
    this.#executor = executor;
    this.#judge = judge;
    this.#size = size;
  }

  /** @param size of the frames, pixels */
  static async open(size: { readonly width: number; readonly height: number }): Promise<LandmarkWriter> {
    const executor = createOrtExecutor({ threads: 1 });
    return new LandmarkWriter(executor, await FaceJudge.load(FACE_NETS, executor), size);
  }

  /** PATH.i420 -> PATH.points: float32 [frames, 468, 3] in pixels, not a number where no face is found. */
  async write(path: string): Promise<void> {
    const { width, height } = this.#size;
    const bytes = await readFile(`${path}.i420`);
    const frameBytes = (width * height * 3) / 2;
    const frames = bytes.byteLength / frameBytes;
    if (!Number.isInteger(frames)) throw new Error(`${path}.i420 is not whole frames of ${width}x${height}`);
    const values = new Float32Array(frames * POINTS * 3).fill(Number.NaN);
    for (let frame = 0; frame < frames; frame++) {
      const points: FacePoints | undefined = await this.#judge.read(
        bytes.subarray(frame * frameBytes, (frame + 1) * frameBytes),
        width,
        height,
      );
      if (points !== undefined) values.set(points.flat(), frame * POINTS * 3);
    }
    await writeFile(`${path}.points`, new Uint8Array(values.buffer));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#executor[Symbol.asyncDispose]();
  }
}
