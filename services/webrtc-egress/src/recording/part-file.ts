import { type FileHandle, open, rename, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type OpenPart, openFile, type PartFacts, SESSION_FILE, STOP_FILE } from '@talkmesh/contracts';

/** Recordings are personal data: other users of the host cannot read them. */
export const FILE_MODE = 0o640;

/** Writes the file of one part, and beside it what is known of the part until it is complete. */
export class PartFile {
  readonly #folder: string;
  readonly #part: number;
  readonly #handle: FileHandle;
  #bytes = 0;

  private constructor(folder: string, part: number, handle: FileHandle) {
    this.#folder = folder;
    this.#part = part;
    this.#handle = handle;
  }

  /** @param folder of the session. @throws Error EEXIST: another worker writes this part */
  static async create(folder: string, facts: PartFacts): Promise<PartFile> {
    const { part, format } = facts;
    const handle = await open(join(folder, videoFile(part, format)), 'wx', FILE_MODE);
    const file = new PartFile(folder, part, handle);
    await writeJson(join(folder, openFile(part)), { v: 1, facts, frames: 0, bytes: 0 } satisfies OpenPart);
    return file;
  }

  get folder(): string {
    return this.#folder;
  }

  get bytes(): number {
    return this.#bytes;
  }

  async append(bytes: Uint8Array): Promise<void> {
    await this.#handle.writeFile(bytes);
    this.#bytes += bytes.byteLength;
  }

  /** Says that the part is still being written. @returns why the recording is to end, when a program wants so */
  async beat(facts: PartFacts, frames: number): Promise<'deleted' | 'stopped' | undefined> {
    const path = join(this.#folder, openFile(this.#part));
    if (!(await exists(path))) return 'deleted';
    await writeJson(path, { v: 1, facts, frames, bytes: this.#bytes } satisfies OpenPart);
    return (await exists(join(this.#folder, STOP_FILE))) ? 'stopped' : undefined;
  }

  /** Closes the file, without what a failed write left at its end. */
  async close(): Promise<void> {
    await this.#handle.truncate(this.#bytes).catch(() => undefined);
    await this.#handle.sync().catch(() => undefined);
    await this.#handle.close();
  }

  /** The part has its manifest. */
  async completed(): Promise<void> {
    await rm(join(this.#folder, openFile(this.#part)), { force: true });
  }

  /** Nothing was recorded: the part is removed, and with `wholly` the folder of the session too if nothing else is in it. */
  async discard(format: PartFacts['format'], wholly: boolean): Promise<void> {
    await this.#handle.close();
    const names = [videoFile(this.#part, format), openFile(this.#part)];
    for (const name of names) await rm(join(this.#folder, name), { force: true });
    if (!wholly || this.#part > 1) return;
    await rm(join(this.#folder, SESSION_FILE), { force: true });
    await rmdir(this.#folder).catch(() => undefined);
  }
}

export const videoFile = (part: number, format: PartFacts['format']): string => `${part}.${format}`;

/** The file is whole or not there: a full disk leaves the one before. */
export async function writeJson(path: string, json: unknown): Promise<void> {
  await writeFile(`${path}.new`, `${JSON.stringify(json, undefined, 2)}\n`, { mode: FILE_MODE });
  await rename(`${path}.new`, path);
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );
