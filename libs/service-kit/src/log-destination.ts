import { writeSync } from 'node:fs';
import type { DestinationStream } from 'pino';

/** How long one line may wait for a reader that does not keep up, milliseconds. */
const WAIT_MS = 50;
const PAUSE_MS = 5;

type Write = (fd: number, bytes: Uint8Array) => number;

/**
 * Writes log lines to a file descriptor. A line that cannot be written (disk full, pipe closed or not read) is given up; the next one
 * that can be written is preceded by the number of lost ones. Pino's own destination stops for good after such an error.
 */
export class LogDestination implements DestinationStream {
  readonly #fd: number;
  readonly #write: Write;
  #lost = 0;
  /** The last line was written in part, so the next one must begin with a line end. */
  #isCut = false;

  constructor(fd: number, write: Write = writeSync) {
    this.#fd = fd;
    this.#write = write;
  }

  write(line: string): void {
    const lost = this.#lost === 0 ? '' : lostLine(this.#lost);
    if (this.#writeAll(Buffer.from(`${this.#isCut ? '\n' : ''}${lost}${line}`))) this.#lost = 0;
    else this.#lost += 1;
  }

  #writeAll(bytes: Uint8Array): boolean {
    // While lines are being lost none waits, so that a reader that is stuck does not hold up the service.
    const untilMs = performance.now() + (this.#lost === 0 ? WAIT_MS : 0);
    for (let at = 0; at < bytes.length; ) {
      try {
        at += this.#write(this.#fd, bytes.subarray(at));
      } catch (error) {
        const mayRetry = (error as NodeJS.ErrnoException).code === 'EAGAIN' && performance.now() < untilMs;
        if (!mayRetry) {
          this.#isCut ||= at > 0;
          return false;
        }
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS);
      }
    }
    this.#isCut = false;
    return true;
  }
}

const lostLine = (lines: number): string =>
  `${JSON.stringify({ level: 'warn', time: new Date().toISOString(), lines, msg: 'log lines could not be written and are lost' })}\n`;
