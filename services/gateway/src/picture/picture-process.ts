import { type ChildProcess, spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { MeshError } from '@talkmesh/contracts';
import { checkHeader, PictureError } from './picture-header.js';
import type { PictureReply, PictureRequest } from './picture-protocol.js';
import type { Square } from './resample-square.js';

export interface PictureLimits {
  readonly maxPixels: number;
  /** Memory of the process that decodes, MiB. */
  readonly memoryMb: number;
  /** Processor time of that process, seconds. */
  readonly cpuSeconds: number;
}

/**
 * The kernel keeps the limits: no core file, which would hold the picture; data memory (KiB); processor time, also when the parent is
 * gone. The soft limit of processor time ends the process with SIGXCPU.
 */
const LIMITED = 'ulimit -c 0 && ulimit -d "$1" && ulimit -t "$2" && shift 2 && exec "$@"';

interface PendingCall {
  resolve(reply: PictureReply): void;
  reject(error: Error): void;
}

/** One picture, decoded in a process of its own, which is killed when the picture is disposed. */
export class PictureProcess implements AsyncDisposable {
  readonly width: number;
  readonly height: number;
  readonly #child: PictureChild;

  private constructor(child: PictureChild, size: { width: number; height: number }) {
    this.#child = child;
    this.width = size.width;
    this.height = size.height;
  }

  /**
   * Decodes a PNG or JPEG file. One whose header is refused costs no process.
   * @param signal kills the process, even in the middle of decoding
   * @throws MeshError PICTURE_INVALID, DEADLINE_EXCEEDED, CANCELLED
   */
  static async open(bytes: Uint8Array, limits: PictureLimits, signal: AbortSignal): Promise<PictureProcess> {
    signal.throwIfAborted();
    const { maxPixels } = limits;
    try {
      checkHeader(bytes, maxPixels);
    } catch (error) {
      throw error instanceof PictureError ? invalid(error.message, error) : error;
    }
    const child = new PictureChild(limits, signal);
    try {
      const first = await child.call({ op: 'decode', bytes, maxPixels });
      if (!('width' in first)) throw outOfOrder();
      return new PictureProcess(child, first);
    } catch (error) {
      await child.end();
      throw error;
    }
  }

  /** A square of the picture as RGB bytes [size, size, 3]. */
  async square(square: Square, size: number): Promise<Uint8Array> {
    return bytesOf(await this.#child.call({ op: 'square', square, size }));
  }

  /** RGB bytes [size, size, 3] as a PNG file. */
  async png(rgb: Uint8Array, size: number): Promise<Uint8Array> {
    return bytesOf(await this.#child.call({ op: 'png', rgb, size }));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#child.end();
  }
}

/** The process with its answers in order. It has no environment, so it knows no secrets. */
class PictureChild {
  readonly #process: ChildProcess;
  readonly #pending: PendingCall[] = [];
  readonly #exited: Promise<void>;
  #failure: Error | undefined;

  constructor(limits: PictureLimits, signal: AbortSignal) {
    this.#process = startProcess(limits);
    this.#process.on('message', (reply: PictureReply) => {
      const next = this.#pending.shift();
      if (reply.ok) next?.resolve(reply);
      else next?.reject(invalid(reply.why));
    });
    this.#process.on('error', (cause) =>
      this.#fail(new MeshError('INTERNAL', 'the process that decodes pictures cannot be started', { cause })),
    );
    const onAbort = (): void => {
      this.#fail(MeshError.from(signal.reason));
      void this.end();
    };
    signal.addEventListener('abort', onAbort, { once: true });
    this.#exited = new Promise((resolve) => {
      this.#process.once('close', () => {
        signal.removeEventListener('abort', onAbort);
        this.#fail(invalid('the picture needs too much memory or time to decode; send a smaller one'));
        resolve();
      });
    });
  }

  call(request: PictureRequest): Promise<PictureReply> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) {
        reject(this.#failure);
        return;
      }
      this.#pending.push({ resolve, reject });
      this.#process.send(request, (error) => {
        if (error !== null) this.#process.kill('SIGKILL');
      });
    });
  }

  /** Kills the process and waits until its memory is free. */
  async end(): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.#exited;
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of this.#pending.splice(0)) reject(this.#failure);
  }
}

/**
 * Built code starts directly. Sources need tsx registered first, and as CommonJS, because hooks for ES modules would start a thread.
 * For this reason picture-child.ts has no top-level await.
 */
function startProcess({ memoryMb, cpuSeconds }: PictureLimits): ChildProcess {
  const base = import.meta.url;
  const limits = [String(memoryMb * 1024), String(cpuSeconds)];
  const start = base.endsWith('.ts') ? ['-e', sourceStart(base)] : [fileURLToPath(new URL('./picture-child.js', base))];
  return spawn('/bin/sh', ['-c', LIMITED, 'sh', ...limits, process.execPath, ...start], {
    env: {},
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    serialization: 'advanced',
  });
}

function sourceStart(base: string): string {
  const tsx = createRequire(base).resolve('tsx/cjs/api');
  const module = fileURLToPath(new URL('./picture-child.ts', base));
  return `require(${JSON.stringify(tsx)}).register(); require(${JSON.stringify(module)});`;
}

const invalid = (why: string, cause?: unknown): MeshError => new MeshError('PICTURE_INVALID', why, { cause });
const outOfOrder = (): MeshError => new MeshError('INTERNAL', 'the picture process answered out of order');

function bytesOf(reply: PictureReply): Uint8Array {
  if ('bytes' in reply) return reply.bytes;
  throw outOfOrder();
}
