import { type FileHandle, open, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import {
  isSessionId,
  MeshError,
  manifestFile,
  openFile,
  openPart,
  partOfVideo,
  RECORDING_FAILURES,
  RECORDING_LOST_MS,
  RECORDING_TYPES,
  type RecordedSession,
  type RecordingManifest,
  recordedSession,
  recordingManifest,
  SESSION_FILE,
  STOP_FILE,
  videoFile,
} from '@talkmesh/contracts';
import { type Logger, readJson } from '@talkmesh/service-kit';
import { type Page, type PageQuery, pageOf } from './recording-pages.js';
import { Semaphore } from './semaphore.js';

export type RecordingState = 'recording' | 'finished' | 'failed' | 'lost';

export interface RecordingPart {
  readonly part: number;
  /** Name of the video in the folder of the recording. */
  readonly file: string;
  readonly state: RecordingState;
  /** Why it ended; undefined until then. */
  readonly end?: string;
  readonly type: string;
  readonly bytes: number;
  readonly durationMs: number;
  /** Undefined until the part is complete. */
  readonly manifest?: RecordingManifest;
}

export interface Recording {
  readonly sessionId: string;
  readonly owner: string;
  readonly state: RecordingState;
  readonly createdAtMs: number;
  /** It is deleted then; undefined while it is being made. */
  readonly expiresAtMs?: number;
  readonly parts: readonly RecordingPart[];
}

export interface RecordingsOptions {
  /** Empty: this deployment records nothing. */
  readonly folder: string;
  readonly ttlMs: number;
  readonly log: Logger;
}

const SWEEP_MS = 60_000;
/** Folders that one gateway reads at a time for lists. */
const PARALLEL = 32;
/** Writers rename files in a folder while it is deleted. */
const REMOVE = { recursive: true, force: true, maxRetries: 3, retryDelay: 50 } as const;
const notFound = (): MeshError =>
  new MeshError('NOT_FOUND', 'there is no such recording: it was deleted, has expired, or belongs to another API key');

/**
 * The video of a part, open. A worker may append to it, replace or delete it meanwhile: the reader gets the file that was opened, with the
 * size that it had then. Either `close` it or read it once.
 */
export class RecordingVideo {
  readonly recording: Recording;
  readonly part: RecordingPart;
  readonly bytes: number;
  readonly #file: FileHandle;

  private constructor(recording: Recording, part: RecordingPart, file: FileHandle, bytes: number) {
    [this.recording, this.part, this.#file, this.bytes] = [recording, part, file, bytes];
  }

  static async of(recording: Recording, part: RecordingPart, file: FileHandle): Promise<RecordingVideo> {
    return new RecordingVideo(recording, part, file, (await file.stat()).size);
  }

  /** @param range first and last byte, both within the file. @returns a stream that closes the file when it ends or is destroyed */
  read(range = { start: 0, end: this.bytes - 1 }): Readable {
    if (this.bytes > 0) return this.#file.createReadStream(range);
    void this.close();
    return Readable.from([]);
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

/** Recordings of calls, in the folder that the workers write. They are personal data: they expire, and only their owner reads them. */
export class Recordings {
  readonly #options: RecordingsOptions;
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #reading = new Semaphore(PARALLEL);

  constructor(options: RecordingsOptions) {
    this.#options = options;
    if (options.folder === '') return;
    this.#timer = setInterval(() => void this.sweep(), SWEEP_MS);
    this.#timer.unref();
  }

  /**
   * A page of the list, newest first. One that is deleted meanwhile is left out of its page.
   * @param owner the required owner; undefined: of all keys @throws MeshError ARGUMENT_INVALID when the cursor is none
   */
  async list(owner: string | undefined, query: PageQuery, nowMs = Date.now()): Promise<Page<Recording>> {
    const all = await this.#readAll(await this.#folders(), (id) => this.#session(id));
    const own = all.filter((one) => owner === undefined || one.owner === owner);
    const { page, nextCursor } = pageOf(own, query);
    const ids = page.map(({ sessionId }) => sessionId);
    return { page: await this.#readAll(ids, (id) => this.#read(id, nowMs)), nextCursor };
  }

  /** @param owner the required owner; undefined skips this check. @throws MeshError NOT_FOUND */
  async get(id: string, owner: string | undefined, nowMs = Date.now()): Promise<Recording> {
    const found = isSessionId(id) && this.#options.folder !== '' ? await this.#read(id, nowMs) : undefined;
    if (found === undefined || (owner !== undefined && found.owner !== owner)) throw notFound();
    return found;
  }

  /** One part. @throws MeshError NOT_FOUND */
  async part(id: string, wanted: number, owner: string | undefined): Promise<RecordingPart> {
    return partOf(await this.get(id, owner), wanted);
  }

  /** Opens the video of one part for one reader. @throws MeshError NOT_FOUND */
  async openVideo(id: string, wanted: number, owner: string | undefined): Promise<RecordingVideo> {
    const recording = await this.get(id, owner);
    const part = partOf(recording, wanted);
    const file = await open(join(this.#options.folder, id, part.file)).catch(absent);
    if (file === undefined) throw notFound();
    return RecordingVideo.of(recording, part, file);
  }

  /**
   * Stops a recording: the worker that writes it ends it within some seconds, and one that takes the session over does not begin again.
   * Idempotent. @param isLive whether the session has not ended. @throws MeshError NOT_RECORDED: the recording is over
   */
  async end({ sessionId, parts }: Recording, isLive: boolean): Promise<void> {
    const path = join(this.#options.folder, sessionId, STOP_FILE);
    if (await stat(path).catch(() => undefined)) return;
    const { end = 'moved' } = parts.at(-1) ?? {};
    const mayContinue = isLive && (end === 'moved' || end === 'lost');
    if (!mayContinue)
      throw new MeshError('NOT_RECORDED', 'nothing is being recorded: the recording of this session is over already');
    // Not for a folder that was deleted meanwhile.
    await writeFile(path, '', { mode: 0o640 }).catch(absent);
  }

  /** Deletes all parts. A worker that writes one notices and ends the recording. @throws MeshError NOT_FOUND */
  async delete(id: string, owner: string | undefined): Promise<Recording> {
    const recording = await this.get(id, owner);
    await rm(join(this.#options.folder, id), REMOVE);
    return recording;
  }

  /** Deletes expired recordings. Several gateways may do so at the same time. Never rejects. */
  async sweep(nowMs = Date.now()): Promise<void> {
    try {
      for (const id of await this.#folders()) {
        const folder = join(this.#options.folder, id);
        if ((await this.#endedAtMs(folder)) + this.#options.ttlMs > nowMs) continue;
        await rm(folder, REMOVE);
        this.#options.log.info({ sessionId: id }, 'an expired recording was deleted');
      }
    } catch (err) {
      this.#options.log.warn({ err }, 'expired recordings could not be deleted; the next sweep tries again');
    }
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #readAll<T>(ids: readonly string[], read: (id: string) => Promise<T | undefined>): Promise<T[]> {
    const found = await Promise.all(ids.map((id) => this.#reading.run(() => read(id))));
    return found.filter((one) => one !== undefined);
  }

  async #folders(): Promise<string[]> {
    if (this.#options.folder === '') return [];
    return (await readdir(this.#options.folder)).filter(isSessionId);
  }

  /**
   * When something was recorded last, by what its writers wrote: the time of `N.open.json` also changes when a worker tries to complete a
   * part, which it may never be able to.
   */
  async #endedAtMs(folder: string): Promise<number> {
    const timeOf = async (name: string): Promise<number> => {
      const path = join(folder, name);
      if (!/^\d+\.open\.json/.test(name)) return (await stat(path).catch(absent))?.mtimeMs ?? 0;
      return (await readJson(path, (json) => openPart.parse(json)))?.writtenAtMs ?? 0;
    };
    const times = await Promise.all((await readdir(folder)).map(timeOf));
    return Math.max(...times) > 0 ? Math.max(...times) : (await stat(folder)).mtimeMs;
  }

  #session(id: string): Promise<RecordedSession | undefined> {
    return readJson(join(this.#options.folder, id, SESSION_FILE), (json) => recordedSession.parse(json));
  }

  async #read(id: string, nowMs: number): Promise<Recording | undefined> {
    const folder = join(this.#options.folder, id);
    const session = await this.#session(id);
    if (session === undefined) return undefined;
    const names = await readdir(folder);
    const numbers = names.flatMap((name) => partOfVideo(name) ?? []);
    const found = await Promise.all(numbers.map((number) => readPart(folder, number, nowMs)));
    const parts = found.filter((one) => one !== undefined).sort((a, b) => a.part - b.part);
    const state = parts.at(-1)?.state ?? (names.includes(STOP_FILE) ? 'finished' : 'recording');
    const { owner, createdAtMs } = session;
    const expiresAtMs = Math.round((await this.#endedAtMs(folder)) + this.#options.ttlMs);
    return { sessionId: id, owner, state, createdAtMs, ...(state !== 'recording' && { expiresAtMs }), parts };
  }
}

/** @throws MeshError NOT_FOUND */
function partOf({ parts }: Recording, wanted: number): RecordingPart {
  const part = parts.find((one) => one.part === wanted);
  if (part === undefined) throw notFound();
  return part;
}

/** For `catch`: what was deleted meanwhile is not there; other failures of the storage are errors. */
function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}

async function readPart(folder: string, part: number, nowMs: number): Promise<RecordingPart | undefined> {
  const manifest = await readJson(
    join(folder, manifestFile(part)),
    (json): RecordingManifest => recordingManifest.parse(json),
  );
  if (manifest !== undefined) {
    const [, { data: video }, { data }] = manifest.claim.assertions;
    const failures: readonly string[] = RECORDING_FAILURES;
    const state = failures.includes(data.end) ? 'failed' : 'finished';
    const { end, durationMs, format } = data;
    const file = videoFile(part, format);
    return { part, file, state, end, type: manifest.claim.format, bytes: video.bytes, durationMs, manifest };
  }
  const path = join(folder, openFile(part));
  const open = await readJson(path, (json) => openPart.parse(json));
  const written = await stat(path).catch(() => undefined);
  if (open === undefined || written === undefined) return undefined;
  const { facts, frames, bytes } = open;
  const state = nowMs - written.mtimeMs > RECORDING_LOST_MS ? 'lost' : 'recording';
  const durationMs = Math.round((frames * 1000) / facts.fps);
  const file = videoFile(part, facts.format);
  return { part, file, state, type: RECORDING_TYPES[facts.format], bytes, durationMs };
}
