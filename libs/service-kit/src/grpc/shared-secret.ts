import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { MeshError } from '@talkmesh/contracts';
import { envName } from '../config.js';
import type { Logger } from '../logging.js';

const MIN_CHARACTERS = 32;

/**
 * The secret that callers of a worker send, from a file. Each line is a secret: the first is sent, all are accepted. So a secret is
 * replaced without a restart: add the new one as the second line everywhere, then as the first, then remove the old one.
 */
export class SharedSecret implements Disposable {
  readonly #file: string;
  readonly #timer: NodeJS.Timeout;
  #lines: readonly string[];

  /** @throws MeshError CONFIG_INVALID */
  constructor(file: string, log: Logger, reloadMs: number) {
    this.#file = file;
    this.#lines = this.#read();
    this.#timer = setInterval(() => this.#reload(log), reloadMs).unref();
  }

  /** The secret to send. */
  get current(): string {
    return this.#lines[0] ?? '';
  }

  /** Compares in a time that depends neither on the content nor on the length of what was sent. */
  accepts(sent: string): boolean {
    const digest = digestOf(sent);
    return this.#lines.map((line) => timingSafeEqual(digestOf(line), digest)).includes(true);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #reload(log: Logger): void {
    try {
      this.#lines = this.#read();
    } catch (err) {
      log.error({ err }, 'the shared secret was not read again, the one that was read before stays in force');
    }
  }

  #read(): string[] {
    const lines = readLines(this.#file);
    const short = lines.find((line) => line.length < MIN_CHARACTERS);
    if (lines.length > 0 && short === undefined) return lines;
    throw new MeshError(
      'CONFIG_INVALID',
      `${envName('grpcSecretFile')}: ${this.#file} must contain a secret of at least ${MIN_CHARACTERS} characters in each line, for example of "openssl rand -hex 32"`,
    );
  }
}

function readLines(file: string): string[] {
  try {
    const lines = readFileSync(file, 'utf8').split('\n');
    return lines.map((line) => line.trim()).filter((line) => line !== '');
  } catch (cause) {
    throw new MeshError(
      'CONFIG_INVALID',
      `${envName('grpcSecretFile')}: ${file} cannot be read: check the path and its permissions`,
      { cause },
    );
  }
}

const digestOf = (text: string): Buffer => createHash('sha256').update(text).digest();
