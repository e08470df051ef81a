import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, statfs, utimes } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import {
  isSessionId,
  MeshError,
  manifestFile,
  type OpenPart,
  openFile,
  openPart,
  type PartFacts,
  RECORDING_BEAT_MS,
  RECORDING_FORMATS,
  RECORDING_LOST_MS,
  RECORDING_SIDES,
  RecordingKey,
  type RecordingManifest,
  recordingManifest,
  SESSION_FILE,
  type SessionDisclosure,
  STOP_FILE,
} from '@talkmesh/contracts';
import { type Bus, type Logger, type OpenRequest, readSecret, type ServiceContext } from '@talkmesh/service-kit';
import { Badge } from '../badge.js';
import type { Config } from '../config.js';
import { listenToCaller } from '../inbound.js';
import type { EgressMetrics } from '../metrics.js';
import { CallerVoice } from './caller-voice.js';
import { completePart } from './complete-part.js';
import { Encoder, type EncoderProfiles, encoderProfiles } from './encoder.js';
import { PartFile, videoFile, writeJson } from './part-file.js';
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
   * @returns undefined when a session that was taken over is no longer recorded
   * @throws MeshError ARGUMENT_INVALID, SESSION_LIMIT, RECORDING_UNAVAILABLE
   */
  async begin(recording: NewRecording): Promise<Recorder | undefined> {
    const { sessionId, wanted, picture, disclosure, takeOver } = recording;
    const { maxRecordings } = this.#options;
    const { sides, format } = checked(wanted);
    const profile = this.#profiles[format];
    if (profile === undefined)
      throw new MeshError('RECORDING_UNAVAILABLE', `the ffmpeg of this worker cannot write ${format}; ask for mp4`);
    if (this.#active.size >= maxRecordings)
      throw new MeshError(
        'SESSION_LIMIT',
        `this worker records ${maxRecordings} sessions, the limit of TALKMESH_MAX_RECORDINGS; try again later`,
      );
    const folder = join(this.#folder, sessionId);
    const before = await this.#prepare(folder, recording).catch((cause) => {
      throw cause instanceof MeshError ? cause : storageFailure(cause);
    });
    const [maxMs, maxBytes] = [wanted.maxMs - before.durationMs, wanted.maxBytes - before.bytes];
    if (before.isOver || maxMs <= 0 || maxBytes <= 0) return undefined;
    const { avatar, model, provider } = wanted;
    const label = disclosure?.label ?? '';
    const about = { sessionId, part: before.parts + 1, avatar, model, provider, label, sides, format };
    const facts = { ...about, ...picture };
    const file = await PartFile.create(folder, { ...facts, startedAtMs: Date.now() }).catch((cause) => {
      throw storageFailure(cause);
    });
    const isMarked = disclosure === undefined || disclosure.badge;
    const voice = sides === 'both' ? new CallerVoice() : undefined;
    const inlet = voice && listenToCaller(this.#bus, sessionId, (message) => voice.push(message));
    const recorder = new Recorder({
      ...{ facts, file, maxMs, maxBytes, voice, log: this.#log },
      complete: (about, outcome) => completePart({ folder, facts: about, outcome, key: this.#key, version: VERSION }),
      encoder: () => new Encoder(picture, profile),
      badge: isMarked ? undefined : new Badge(disclosure.label, picture.width, picture.height),
      onEnd: (end, seconds, bytes) => {
        inlet?.unsubscribe();
        this.#active.delete(recorder);
        this.#count();
        this.#metrics.recordings.inc({ outcome: end });
        this.#metrics.recordedSeconds.inc(seconds);
        this.#metrics.recordedBytes.inc(bytes);
      },
    });
    this.#active.add(recorder);
    this.#count();
    if (takeOver) this.#log.info({ sessionId, part: facts.part }, 'a recording continues in its next part');
    return recorder;
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
      );
    const nothing = { parts: 0, durationMs: 0, bytes: 0 };
    if (takeOver) {
      // Without its folder the recording was deleted, and must not begin again.
      const names = await readdir(folder).catch(() => undefined);
      return names === undefined ? { ...nothing, isOver: true } : readParts(folder, names);
    }
    await mkdir(folder, { mode: FOLDER_MODE });
    const session = { v: 1, sessionId, owner: wanted.owner, createdAtMs: Date.now() };
    await writeJson(join(folder, SESSION_FILE), session).catch(async (cause) => {
      // Another worker may be asked for the same session.
      await rm(folder, { recursive: true, force: true });
      throw cause;
    });
    return { ...nothing, isOver: false };
  }

  /** Completes parts whose writers were lost, also those of other workers. Never rejects. */
  async sweep(nowMs = Date.now()): Promise<void> {
    try {
      for (const sessionId of (await readdir(this.#folder)).filter(isSessionId)) {
        const folder = join(this.#folder, sessionId);
        for (const name of (await readdir(folder)).filter((one) => /^\d+\.open\.json$/.test(one)))
          if (nowMs - (await stat(join(folder, name))).mtimeMs > RECORDING_LOST_MS) await this.#close(folder, name);
      }
    } catch (err) {
      this.#log.warn({ err }, 'recordings of lost workers could not be completed; the next sweep tries again');
    }
  }

  async #close(folder: string, name: string): Promise<void> {
    const path = join(folder, name);
    if (!(await claim(path))) return;
    const beat = setInterval(() => void touch(path).catch(() => undefined), RECORDING_BEAT_MS);
    try {
      const { facts, frames } = openPart.parse(JSON.parse(await readFile(path, 'utf8')));
      const { mtimeMs } = await stat(join(folder, videoFile(facts.part, facts.format)));
      const outcome = {
        ...{ endedAtMs: Math.round(mtimeMs), frames, heldFrames: 0, end: 'lost' as const },
        durationMs: Math.round((frames * 1000) / facts.fps),
      };
      const bytes = await completePart({ folder, facts, outcome, key: this.#key, version: VERSION });
      await rm(path, { force: true });
      this.#metrics.recordings.inc({ outcome: 'lost' });
      this.#log.warn(
        { sessionId: facts.sessionId, part: facts.part, bytes },
        'a recording of a lost worker was completed',
      );
    } finally {
      clearInterval(beat);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all([...this.#active].map((recorder) => recorder.close('moved')));
  }
}

/** @throws MeshError ARGUMENT_INVALID */
function checked({ sides, format }: CallRecording): Pick<PartFacts, 'sides' | 'format'> {
  const [side, kind] = [RECORDING_SIDES.find((one) => one === sides), RECORDING_FORMATS.find((one) => one === format)];
  if (side !== undefined && kind !== undefined) return { sides: side, format: kind };
  throw new MeshError('ARGUMENT_INVALID', 'egress.recording: sides is avatar or both, format is mp4 or webm');
}

const touch = (path: string): Promise<void> => utimes(path, new Date(), new Date());

/** Of several workers the one that renames the file completes the part; with a new time it is not lost to the others. */
async function claim(path: string): Promise<boolean> {
  const mine = `${path}.${randomUUID()}`;
  try {
    await rename(path, mine);
  } catch {
    return false;
  }
  await touch(mine);
  await rename(mine, path);
  return true;
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
    before = {
      durationMs: before.durationMs + (about?.data.durationMs ?? (frames * 1000) / (facts?.fps ?? 1)),
      bytes: before.bytes + (hash?.data.bytes ?? bytes),
      isOver: about !== undefined && about.data.end !== 'moved' && about.data.end !== 'lost',
    };
  }
  return { parts, ...before, isOver: before.isOver || names.includes(STOP_FILE) };
}

/** @returns undefined when it is not there, or not what it should be */
async function readJson<T>(path: string, parse: (json: unknown) => T): Promise<T | undefined> {
  try {
    return parse(JSON.parse(await readFile(path, 'utf8')));
  } catch {
    return undefined;
  }
}
