import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, statfs } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import {
  type EventBody,
  isSessionId,
  MeshError,
  manifestFile,
  type OpenPart,
  openFile,
  openPart,
  type PartFacts,
  partOfVideo,
  RECORDING_FORMATS,
  RECORDING_LOST_MS,
  RECORDING_SIDES,
  type RecordedSession,
  RecordingKey,
  type RecordingManifest,
  recordedSession,
  recordingManifest,
  SESSION_FILE,
  type SessionDisclosure,
  STOP_FILE,
  videoFile,
} from '@talkmesh/contracts';
import {
  type Bus,
  type Logger,
  type OpenRequest,
  readJson,
  readSecret,
  type ServiceContext,
} from '@talkmesh/service-kit';
import { Badge } from '../badge.js';
import type { Config } from '../config.js';
import { listenToCaller } from '../inbound.js';
import type { EgressMetrics } from '../metrics.js';
import { CallerVoice } from './caller-voice.js';
import { completePart, touch } from './complete-part.js';
import { Encoder, type EncoderProfiles, encoderProfiles } from './encoder.js';
import { PartFile, removeWithoutParts, writeJson } from './part-file.js';
import { Recorder, storageFailure } from './recorder.js';

const { version: VERSION } = createRequire(import.meta.url)('../../package.json') as { version: string };
const SWEEP_MS = 15_000;
const FOLDER_MODE = 0o750;

type CallRecording = NonNullable<NonNullable<OpenRequest['egress']>['recording']>;

export interface NewRecording {
  readonly sessionId: string;
  readonly wanted: CallRecording;
  readonly picture: { readonly width: number; readonly height: number; readonly fps: number };
  readonly disclosure: SessionDisclosure | undefined;
  readonly takeOver: boolean;
}

/** What the parts of a session's earlier workers leave for the next one. */
interface Before {
  readonly parts: number;
  readonly durationMs: number;
  readonly bytes: number;
  /** The recording is over: it reached a limit, failed, ended or was stopped. */
  readonly isOver: boolean;
  readonly isDeleted?: boolean;
}

/** What `begin` leads to: a recorder, an event that the caller is to be told, or neither when the recording is over. */
export interface Begun {
  readonly recorder?: Recorder;
  readonly told?: EventBody;
}

/** The recordings of this worker, in a folder that all workers and the gateways share. */
export class Recordings implements AsyncDisposable {
  readonly #folder: string;
  readonly #key: RecordingKey;
  readonly #profiles: EncoderProfiles;
  readonly #options: Pick<Config, 'maxRecordings' | 'recordingMinFreeMb'>;
  readonly #bus: Bus;
  readonly #log: Logger;
  readonly #metrics: EgressMetrics;
  readonly #active = new Set<Recorder>();
  readonly #timer: NodeJS.Timeout;
  readonly #disposed = new AbortController();
  /** Recordings that are made or being prepared. */
  #places = 0;

  private constructor(context: ServiceContext<Config>, metrics: EgressMetrics, key: string, profiles: EncoderProfiles) {
    const { config, bus, log } = context;
    [this.#folder, this.#options, this.#bus, this.#log] = [config.recordingsFolder, config, bus, log];
    [this.#metrics, this.#profiles, this.#key] = [metrics, profiles, new RecordingKey(key)];
    this.#timer = setInterval(() => void this.sweep(), SWEEP_MS);
    this.#timer.unref();
    void this.sweep();
  }

  /** @returns undefined when this worker records nothing. @throws MeshError CONFIG_INVALID, TOOL_MISSING */
  static async open(context: ServiceContext<Config>, metrics: EgressMetrics): Promise<Recordings | undefined> {
    const { recordingsFolder: folder, recordingKeyFile } = context.config;
    if (folder === '') return undefined;
    const problems: string[] = [];
    const key = readSecret('recordingKeyFile', recordingKeyFile, problems) ?? '';
    await mkdir(folder, { recursive: true, mode: FOLDER_MODE }).catch((cause: NodeJS.ErrnoException) =>
      problems.push(`TALKMESH_RECORDINGS_FOLDER: ${folder} cannot be made (${cause.code}); check path and permissions`),
    );
    if (problems.length > 0) throw new MeshError('CONFIG_INVALID', problems.join('; '));
    return new Recordings(context, metrics, key, await encoderProfiles());
  }

  /**
   * Prepares the recording of a session.
   * @throws MeshError ARGUMENT_INVALID, SESSION_LIMIT, RECORDING_UNAVAILABLE
   */
  async begin(recording: NewRecording): Promise<Begun> {
    const { sessionId, wanted, takeOver } = recording;
    const { maxRecordings } = this.#options;
    const { sides, format } = checked(wanted);
    const profile = this.#profiles[format];
    if (profile === undefined)
      throw new MeshError('RECORDING_UNAVAILABLE', `the ffmpeg of this worker cannot write ${format}; ask for mp4`, {
        metadata: { failure: 'encoder' },
      });
    if (this.#places >= maxRecordings)
      throw new MeshError(
        'SESSION_LIMIT',
        `this worker records ${maxRecordings} sessions, the limit of TALKMESH_MAX_RECORDINGS; try again later`,
        { metadata: { failure: 'worker-full' } },
      );
    this.#places += 1;
    let begun: Begun = {};
    try {
      begun = await this.#start(recording, { sides, format }, profile);
    } catch (cause) {
      if (!takeOver) await removeWithoutParts(join(this.#folder, sessionId)).catch(() => undefined);
      throw cause instanceof MeshError ? cause : storageFailure(cause);
    } finally {
      if (begun.recorder === undefined) this.#places -= 1;
    }
    return begun;
  }

  async #start(
    recording: NewRecording,
    { sides, format }: Pick<PartFacts, 'sides' | 'format'>,
    profile: readonly string[],
  ): Promise<Begun> {
    const { sessionId, wanted, picture, disclosure, takeOver } = recording;
    const folder = join(this.#folder, sessionId);
    const before = await this.#prepare(folder, recording);
    const [maxMs, maxBytes] = [wanted.maxMs - before.durationMs, wanted.maxBytes - before.bytes];
    if (before.isOver) return {};
    // The worker before did not know yet.
    const finished = {
      ...{ type: 'recording.finished' as const, part: Math.max(1, before.parts) },
      durationMs: 0,
      bytes: 0,
    };
    if (before.isDeleted) return { told: { ...finished, cause: 'deleted' } };
    if (maxMs <= 0 || maxBytes <= 0) return { told: { ...finished, cause: 'limit' } };
    const { avatar, model, provider } = wanted;
    const label = disclosure?.label ?? '';
    const about = { sessionId, part: before.parts + 1, avatar, model, provider, label, sides, format };
    const facts = { ...about, ...picture };
    const isMarked = disclosure === undefined || disclosure.badge;
    const badge = isMarked ? undefined : new Badge(disclosure.label, picture.width, picture.height);
    const voice = sides === 'both' ? new CallerVoice() : undefined;
    const inlet = voice && listenToCaller(this.#bus, sessionId, (message) => voice.push(message));
    const file = await PartFile.create(folder, { ...facts, startedAtMs: Date.now() }).catch((cause) => {
      inlet?.unsubscribe();
      throw cause;
    });
    const [key, { signal }] = [this.#key, this.#disposed];
    const recorder = new Recorder({
      ...{ facts, file, maxMs, maxBytes, badge, voice, log: this.#log },
      complete: (about, outcome) => completePart({ folder, facts: about, outcome, key, version: VERSION, signal }),
      encoder: () => new Encoder(picture, profile),
      onEnd: (end, seconds, bytes) => {
        inlet?.unsubscribe();
        this.#active.delete(recorder);
        this.#places -= 1;
        this.#count();
        this.#metrics.recordings.inc({ outcome: end });
        this.#metrics.recordedSeconds.inc(seconds);
        this.#metrics.recordedBytes.inc(bytes);
      },
    });
    this.#active.add(recorder);
    this.#count();
    if (takeOver) this.#log.info({ sessionId, part: facts.part }, 'a recording continues in its next part');
    return { recorder };
  }

  #count(): void {
    this.#metrics.openRecordings.set(this.#active.size);
  }

  /** Makes the folder of a new session; of one that is taken over it reads what was recorded. */
  async #prepare(folder: string, { sessionId, wanted, takeOver }: NewRecording): Promise<Before> {
    const { recordingMinFreeMb } = this.#options;
    const { bavail, bsize } = await statfs(this.#folder);
    if ((bavail * bsize) / 1e6 < recordingMinFreeMb)
      throw new MeshError(
        'RECORDING_UNAVAILABLE',
        `the storage of recordings has less than ${recordingMinFreeMb} MB free (TALKMESH_RECORDING_MIN_FREE_MB); free space`,
        { metadata: { failure: 'disk-full' } },
      );
    if (takeOver) {
      // Without its folder the recording was deleted, and must not begin again.
      const names = await readdir(folder).catch(() => undefined);
      if (names === undefined) return { parts: 0, durationMs: 0, bytes: 0, isOver: false, isDeleted: true };
      return readParts(folder, names);
    }
    // An attempt to open the session on another worker may have left the folder, or still be removing its own part from it.
    await mkdir(folder, { recursive: true, mode: FOLDER_MODE });
    const path = join(folder, SESSION_FILE);
    const left = await readJson(path, (json): RecordedSession => recordedSession.parse(json));
    if (left !== undefined && left.owner !== wanted.owner)
      throw new MeshError('RECORDING_UNAVAILABLE', 'the recording of this session belongs to another API key');
    const session: RecordedSession = { v: 1, sessionId, owner: wanted.owner, createdAtMs: Date.now() };
    await writeJson(path, session);
    return readParts(folder, await readdir(folder));
  }

  /** Completes parts whose writers were lost, also those of other workers. Never rejects. */
  async sweep(nowMs = Date.now()): Promise<void> {
    const warn = (err: unknown, folder = this.#folder, name = ''): void =>
      this.#log.warn({ err, folder, name }, 'a recording of a lost worker could not be completed; it is tried again');
    const list = (folder: string): Promise<string[]> =>
      readdir(folder).catch((err: unknown) => {
        warn(err, folder);
        return [];
      });
    for (const sessionId of (await list(this.#folder)).filter(isSessionId)) {
      const folder = join(this.#folder, sessionId);
      // What follows the name is left by a worker that was killed while it claimed the part.
      for (const name of (await list(folder)).filter((one) => /^\d+\.open\.json(?:\.[0-9a-f-]{36})?$/.test(one)))
        await this.#sweepPart(folder, name, nowMs).catch((err: unknown) => warn(err, folder, name));
    }
  }

  async #sweepPart(folder: string, name: string, nowMs: number): Promise<void> {
    if (!(await isLost(join(folder, name), nowMs)) || this.#disposed.signal.aborted) return;
    const part = Number.parseInt(name, 10);
    const path = join(folder, openFile(part));
    if (!(await claim(join(folder, name), path, nowMs))) return;
    const names = await readdir(folder);
    const hasVideo = names.some((name) => partOfVideo(name) === part);
    // Its writer was lost between the two, or the video was deleted.
    if (names.includes(manifestFile(part)) || !hasVideo) return rm(path, { force: true });
    const { facts, frames, outcome } = openPart.parse(JSON.parse(await readFile(path, 'utf8')));
    const { mtimeMs } = await stat(join(folder, videoFile(facts.part, facts.format)));
    const lost = {
      ...{ endedAtMs: Math.round(mtimeMs), frames, heldFrames: 0, end: 'lost' as const },
      durationMs: Math.round((frames * 1000) / facts.fps),
    };
    const [key, { signal }] = [this.#key, this.#disposed];
    const bytes = await completePart({ folder, facts, outcome: outcome ?? lost, key, version: VERSION, signal });
    // The worker that ended it has counted it.
    if (outcome === undefined) this.#metrics.recordings.inc({ outcome: 'lost' });
    const { sessionId } = facts;
    this.#log.warn({ sessionId, part, bytes, end: outcome?.end }, 'a recording of a lost worker was completed');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all([...this.#active].map((recorder) => recorder.close('moved')));
    // What is left to complete, another worker completes.
    this.#disposed.abort();
  }
}

/** @throws MeshError ARGUMENT_INVALID */
function checked({ sides, format }: CallRecording): Pick<PartFacts, 'sides' | 'format'> {
  const [side, kind] = [RECORDING_SIDES.find((one) => one === sides), RECORDING_FORMATS.find((one) => one === format)];
  if (side !== undefined && kind !== undefined) return { sides: side, format: kind };
  throw new MeshError('ARGUMENT_INVALID', 'egress.recording: sides is avatar or both, format is mp4 or webm');
}

const isLost = async (path: string, nowMs: number): Promise<boolean> =>
  nowMs - (await stat(path)).mtimeMs > RECORDING_LOST_MS;

/**
 * Of several workers one completes a part: the one that renames its state to a name of its own and finds it old. It renames it to `path`, with
 * a new time, so that the others leave it alone.
 */
async function claim(from: string, path: string, nowMs: number): Promise<boolean> {
  const mine = `${path}.${randomUUID()}`;
  try {
    await rename(from, mine);
    const isMine = await isLost(mine, nowMs);
    if (isMine) await touch(mine);
    await rename(mine, path);
    return isMine;
  } catch {
    return false;
  }
}

async function readParts(folder: string, names: readonly string[]): Promise<Before> {
  const parts = Math.max(0, ...names.map((name) => Number(/^(\d+)\./.exec(name)?.[1] ?? 0)));
  let before = { durationMs: 0, bytes: 0, isOver: false };
  for (let part = 1; part <= parts; part++) {
    const signed = await readJson(
      join(folder, manifestFile(part)),
      (json): RecordingManifest => recordingManifest.parse(json),
    );
    const open = await readJson(join(folder, openFile(part)), (json): OpenPart => openPart.parse(json));
    const [, hash, about] = signed?.claim.assertions ?? [];
    const { frames = 0, bytes = 0, facts } = open ?? {};
    const end = (about?.data ?? open?.outcome)?.end;
    before = {
      durationMs: before.durationMs + (about?.data.durationMs ?? (frames * 1000) / (facts?.fps ?? 1)),
      bytes: before.bytes + (hash?.data.bytes ?? bytes),
      isOver: end !== undefined && end !== 'moved' && end !== 'lost',
    };
  }
  return { parts, ...before, isOver: before.isOver || names.includes(STOP_FILE) };
}
