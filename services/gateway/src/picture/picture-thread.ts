import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { MeshError } from '@talkmesh/contracts';
import { invalidPicture } from './picture-header.js';
import type { PictureReply, PictureRequest, PictureThreadData } from './picture-protocol.js';
import type { Square } from './resample.js';

const HEAP_MB = 256;

interface Waiting {
  resolve(reply: PictureReply): void;
  reject(error: Error): void;
}

/** One decoded picture in a thread of its own, which ends with it. */
export class PictureThread implements AsyncDisposable {
  readonly width: number;
  readonly height: number;
  readonly #call: (request: PictureRequest) => Promise<PictureReply>;
  readonly #worker: Worker;

  private constructor(
    worker: Worker,
    size: { width: number; height: number },
    call: (request: PictureRequest) => Promise<PictureReply>,
  ) {
    this.#worker = worker;
    this.#call = call;
    this.width = size.width;
    this.height = size.height;
  }

  /**
   * Decodes a PNG or JPEG file.
   * @param signal ends the thread, whatever it is doing
   * @throws MeshError PICTURE_INVALID, DEADLINE_EXCEEDED, CANCELLED
   */
  static async open(bytes: Uint8Array, maxPixels: number, signal: AbortSignal): Promise<PictureThread> {
    signal.throwIfAborted();
    const worker = startWorker({ bytes, maxPixels });
    const call = connect(worker, signal);
    try {
      const first = await call();
      if (!('width' in first)) throw new MeshError('INTERNAL', 'the picture thread answered out of order');
      return new PictureThread(worker, first, call);
    } catch (error) {
      await worker.terminate();
      throw error;
    }
  }

  /** A square of the picture as RGB bytes [size, size, 3]. */
  async square(square: Square, size: number): Promise<Uint8Array> {
    return bytesOf(await this.#call({ op: 'square', square, size }));
  }

  /** RGB bytes [size, size, 3] as a PNG file. */
  async png(rgb: Uint8Array, size: number): Promise<Uint8Array> {
    return bytesOf(await this.#call({ op: 'png', rgb, size }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate();
  }
}

/** Calls in order; without a request, waits for what the thread says by itself. */
function connect(worker: Worker, signal: AbortSignal): (request?: PictureRequest) => Promise<PictureReply> {
  const waiting: Waiting[] = [];
  let ended: Error | undefined;
  const end = (error: Error): void => {
    ended ??= error;
    for (const { reject } of waiting.splice(0)) reject(ended);
  };
  worker.on('message', (reply: PictureReply) => {
    const next = waiting.shift();
    if (reply.ok) next?.resolve(reply);
    else next?.reject(invalidPicture(reply.why));
  });
  worker.on('error', (cause) => end(invalidPicture('the picture cannot be decoded: it takes too much memory', cause)));
  worker.on('exit', () => end(new MeshError('CANCELLED', 'the picture was given up')));
  signal.addEventListener(
    'abort',
    () => {
      end(MeshError.from(signal.reason));
      void worker.terminate();
    },
    { once: true },
  );
  return (request) =>
    new Promise((resolve, reject) => {
      if (ended !== undefined) {
        reject(ended);
        return;
      }
      waiting.push({ resolve, reject });
      if (request !== undefined) worker.postMessage(request);
    });
}

/**
 * Built code is started as it is; sources need tsx registered again inside the thread, as CommonJS: hooks for ES modules need a thread
 * of their own. So the module has no await at its top level.
 */
function startWorker(workerData: PictureThreadData): Worker {
  const resourceLimits = { maxOldGenerationSizeMb: HEAP_MB };
  const base = import.meta.url;
  if (!base.endsWith('.ts'))
    return new Worker(new URL('./picture-worker.js', base), { workerData, resourceLimits, env: {} });
  const tsx = createRequire(base).resolve('tsx/cjs/api');
  const module = fileURLToPath(new URL('./picture-worker.ts', base));
  const start = `require(${JSON.stringify(tsx)}).register(); require(${JSON.stringify(module)});`;
  return new Worker(start, { eval: true, workerData, resourceLimits, env: {} });
}

function bytesOf(reply: PictureReply): Uint8Array {
  if ('bytes' in reply) return reply.bytes;
  throw new MeshError('INTERNAL', 'the picture thread answered out of order');
}
