import { type FileHandle, open, readdir, rename, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type OpenPart,
  openFile,
  type PartFacts,
  type RecordingOutcome,
  SESSION_FILE,
  STOP_FILE,
  videoFile,
} from '@talkmesh/contracts';

/** Recordings are personal data: other users of the host cannot read them. */
export const FILE_MODE = 0o640;
/** Manifest and state, of some blocks each, bytes. */
const MANIFEST_ROOM = 65_536;

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
    try {
      await file.#write(facts, 0);
    } catch (err) {
      await file.discard(format, false);
      throw err;
    }
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

  /**
   * Says that the part is still being written, or how it ended: then only its completion is left. Calls must not overlap.
   * @returns why the recording is to end, when a program wants so
   */
  async beat(facts: PartFacts, frames: number, outcome?: RecordingOutcome): Promise<'deleted' | 'stopped' | undefined> {
    if (!(await exists(join(this.#folder, openFile(this.#part))))) return 'deleted';
    await this.#write(facts, frames, outcome);
    return (await exists(join(this.#folder, STOP_FILE))) ? 'stopped' : undefined;
  }

  #write(facts: PartFacts, frames: number, outcome?: RecordingOutcome): Promise<void> {
    const open: OpenPart = {
      v: 1,
      facts,
      frames,
      bytes: this.#bytes,
      writtenAtMs: Date.now(),
      ...(outcome && { outcome }),
    };
    return writeJson(join(this.#folder, openFile(this.#part)), open);
  }

  /**
   * Closes the file, without what a failed write left at its end.
   * @param isFull the storage is: the file also gives up the room that the manifest needs
   */
  async close(isFull = false): Promise<void> {
    if (isFull) this.#bytes = Math.max(0, this.#bytes - MANIFEST_ROOM);
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
    if (wholly) await removeWithoutParts(this.#folder);
  }
}

/** Removes the folder of a session in which nothing was recorded. */
export async function removeWithoutParts(folder: string): Promise<void> {
  if ((await readdir(folder)).some((name) => /^\d+\./.test(name))) return;
  await rm(join(folder, SESSION_FILE), { force: true });
  await rmdir(folder).catch(() => undefined);
}

/** The file is whole or not there: a full disk leaves the one before. */
export async function writeJson(path: string, json: unknown): Promise<void> {
  try {
    await writeFile(`${path}.new`, `${JSON.stringify(json, undefined, 2)}\n`, { mode: FILE_MODE });
    await rename(`${path}.new`, path);
  } catch (err) {
    await rm(`${path}.new`, { force: true }).catch(() => undefined);
    throw err;
  }
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );
