import type { AudioMessage, LatentMessage, MeshEvent, PlayheadMessage } from '@talkmesh/contracts';
import { type EpochStart, epochStarts, SPEECH_RATE_HZ, standingChunks } from '@talkmesh/contracts';
import type { Dated } from '@talkmesh/service-kit';
import type { CallPosition } from './call.js';
import type { PauseChange, Said } from './pause.js';
import type { SpokenPosition } from './speech-queue.js';

/** What NATS retains of a session, each in the order it was published. */
export interface Retained {
  readonly latents: readonly LatentMessage[];
  readonly events: readonly Dated<MeshEvent>[];
  readonly speech: readonly Dated<AudioMessage>[];
  readonly playhead: Dated<PlayheadMessage> | undefined;
}

export interface ResumeOptions {
  /** At least this epoch was reached. */
  readonly epoch: number;
  readonly chunkMs: number;
  readonly steps: number;
  /** Chunks after which a state no longer shows what came before, see `replayDepth`. */
  readonly depth: number;
  /** Chunks there is time to make again. */
  readonly affordable: number;
  /** Chunks the session can be rolled back by. */
  readonly keepChunks: number;
  /** Samples before a chunk that its audio features see. */
  readonly historySamples: number;
  /** A chunk due sooner than this is no longer replaced, milliseconds. */
  readonly marginMs: number;
  readonly nowMs: number;
}

/**
 * `exact`: the state is the one that was lost; `near`: fewer chunks were made again than a state remembers; `silence`: nothing of the
 * picture is retained, the call goes on as after c_0.
 */
export type ResumeOutcome = 'exact' | 'near' | 'silence';

export interface ResumePlan {
  readonly outcome: ResumeOutcome;
  readonly epoch: number;
  readonly position: CallPosition;
  /** A pause that began or ended while nobody answered: listeners are to be told. */
  readonly change: PauseChange | undefined;
  /** To be made again, oldest first, in a row up to the chunk before `position.chunk`. */
  readonly replay: readonly LatentMessage[];
  /** PCM before the first chunk of the replay, or before the next one. */
  readonly history: Int16Array;
}

type TurnPaused = Extract<MeshEvent, { readonly type: 'turn.paused' }>;

/** Room for the flushes of a worker that does not know yet that it was replaced: its epochs stay below. */
export const EPOCH_STRIDE = 16;

/** The K/V of a layer at a step depend on the chunk before by the layers below and the steps before: one chunk for each. */
export const replayDepth = (layers: number, steps: number): number => layers * steps;

/** Where a call goes on that another worker had, from what NATS retains of it. Pure. */
export function planResume(retained: Retained, options: ResumeOptions): ResumePlan {
  const flushes = epochStarts(
    retained.latents,
    retained.events.map(({ message }) => message),
  );
  const chunks = standingChunks(retained.latents, flushes);
  const epoch = highest([
    options.epoch,
    ...flushes.map((flush) => flush.epoch),
    ...retained.latents.map((latent) => latent.epoch),
    retained.playhead?.message.epoch ?? 0,
  ]);
  const played = retained.playhead?.message.chunk ?? -1;
  const last = highest([...chunks.keys(), -1]);
  if (last < played || last < 0) return fromSilence(retained, options, epoch + EPOCH_STRIDE, flushes);
  const cut = openInterrupt(retained);
  const paused = pauseAsked(retained.events) ?? isPause(chunks.get(last));
  const chunk = paused
    ? afterPause(chunks, last + 1, retained.playhead, options)
    : afterCut(chunks, last + 1, cut, retained.playhead, options);
  const replay = replayOf(chunks, chunk, options);
  const spoken = spokenOf(chunks.get(chunk - 1), Math.max(cut, turnsCut(retained)));
  const first = replay.chunks[0]?.chunk ?? chunk;
  const earliest = Math.max(first, chunk - options.keepChunks + 1);
  return {
    outcome: replay.exact ? 'exact' : 'near',
    epoch: epoch + EPOCH_STRIDE,
    position: {
      chunk,
      earliest,
      spoken,
      paused,
      said: saidIn(chunks, earliest, chunk),
      ...playheadOf(retained, options),
    },
    change: untold(retained, paused, spoken, options),
    replay: replay.chunks,
    history: historyBefore(chunks, first, options.historySamples),
  };
}

/** The newest turn that was to be cut, when nobody answered the request with a flush; 0: none. */
function openInterrupt({ events, speech, latents }: Retained): number {
  const answered = events.findLastIndex(({ message }) => message.type === 'flush' && message.cause === 'interrupt');
  const open = events.slice(answered + 1).filter(({ message }) => message.type === 'interrupt');
  return highest([
    0,
    ...open.map(({ message, atMs }) => {
      if (message.turn !== 0) return message.turn;
      const heard = speech.filter((piece) => piece.atMs <= atMs).map((piece) => piece.message.turn);
      return highest([0, ...heard, ...latents.map(({ turn }) => turn)]);
    }),
  ]);
}

/** Whether the call is to be paused, by the last that was asked: true, false, or undefined where nothing of it is retained. */
export function pauseAsked(events: Retained['events']): boolean | undefined {
  const asked = events.findLast(
    ({ message: { type } }) => type === 'pause' || type === 'resume' || type === 'interrupt',
  );
  return asked === undefined ? undefined : asked.message.type === 'pause';
}

/** The pause that listeners know of. */
function pauseTold({ events }: Retained): (TurnPaused & { readonly atMs: number }) | undefined {
  const told = events.findLast(({ message: { type } }) => type === 'turn.paused' || type === 'turn.resumed');
  return told?.message.type === 'turn.paused' ? { ...told.message, atMs: told.atMs } : undefined;
}

function untold(
  retained: Retained,
  paused: boolean,
  { turn, turnSamples, closedTurn }: SpokenPosition,
  { nowMs }: ResumeOptions,
): PauseChange | undefined {
  const told = pauseTold(retained);
  if (paused === (told !== undefined)) return undefined;
  const at = turn > closedTurn ? { turn, heardMs: (turnSamples * 1000) / SPEECH_RATE_HZ } : { turn: 0, heardMs: 0 };
  if (told === undefined) return { type: 'paused', ...at };
  const interrupted = retained.events.findLast(
    ({ message }) => message.type === 'resume' || message.type === 'interrupt',
  );
  const cause = interrupted?.message.type === 'interrupt' ? 'interrupt' : 'command';
  return { type: 'resumed', ...at, cause, pausedMs: Math.max(0, nowMs - told.atMs) };
}

/** An idle chunk in the middle of a turn. */
const isPause = (latent: LatentMessage | undefined): boolean => latent?.turn === 0 && latent.turnSamples > 0;

/** The first chunk that is not being played and will not be within the margin, or `next`. */
function firstUnplayed(
  next: number,
  { message, atMs }: Dated<PlayheadMessage>,
  { chunkMs, marginMs, nowMs }: ResumeOptions,
): number {
  const sinceMs = message.mediaTimeUs > 0 ? Math.min(Math.max(0, nowMs - atMs), chunkMs) + marginMs : 0;
  const playing = Math.max(message.chunk, Math.floor((message.mediaTimeUs / 1000 + sinceMs) / chunkMs));
  return Math.min(playing + 1, next);
}

/** Speech that nobody has heard yet is not said in a pause: it is taken from what is retained of it when the pause is over. */
function afterPause(
  chunks: ReadonlyMap<number, LatentMessage>,
  next: number,
  playhead: Dated<PlayheadMessage> | undefined,
  options: ResumeOptions,
): number {
  if (playhead === undefined) return next;
  let from = firstUnplayed(next, playhead, options);
  while (from < next && !chunks.get(from)?.turn) from++;
  return from;
}

/** Chunks of a cut turn that nobody has seen yet are not shown either. */
function afterCut(
  chunks: ReadonlyMap<number, LatentMessage>,
  next: number,
  cut: number,
  playhead: Dated<PlayheadMessage> | undefined,
  options: ResumeOptions,
): number {
  if (cut === 0 || playhead === undefined) return next;
  const from = firstUnplayed(next, playhead, options);
  const unplayed = [...chunks.values()].filter(({ chunk }) => chunk >= from && chunk < next);
  const newer = unplayed.some(({ turn }) => turn > cut);
  const ofCut = unplayed.some(({ turn }) => turn > 0 && turn <= cut);
  return ofCut && !newer ? from : next;
}

/** The chunks before `next` whose making brings the state back; ones that took fewer steps hand older keys and values on. */
function replayOf(
  chunks: ReadonlyMap<number, LatentMessage>,
  next: number,
  { depth, affordable, steps }: ResumeOptions,
): { chunks: LatentMessage[]; exact: boolean } {
  const replay: LatentMessage[] = [];
  let whole = 0;
  for (let chunk = next - 1; whole < depth && replay.length < affordable; chunk--) {
    const latent = chunks.get(chunk);
    if (latent === undefined) break;
    replay.unshift(latent);
    if (latent.steps === steps) whole += 1;
  }
  const first = replay[0]?.chunk ?? next;
  return { chunks: replay, exact: whole >= depth || first === 0 };
}

/** What was cut is over, also where the chunk before was made earlier and does not know. */
function spokenOf(latent: LatentMessage | undefined, closedByEvents: number): SpokenPosition {
  const closedTurn = Math.max(closedByEvents, latent?.closedTurn ?? 0);
  const turn = latent !== undefined && isPause(latent) ? latent.closedTurn + 1 : (latent?.turn ?? 0);
  return { closedTurn, turn, turnSamples: latent?.turnSamples ?? 0 };
}

/** Turns that were to be cut, whether somebody did or not. */
function turnsCut({ events }: Retained): number {
  const cuts = events.filter(
    ({ message }) => message.type === 'interrupt' || (message.type === 'flush' && message.cause === 'interrupt'),
  );
  return highest([0, ...cuts.map(({ message }) => message.turn)]);
}

/** What the chunks say; where the one before is not retained, as if all of the first were speech. */
function saidIn(chunks: ReadonlyMap<number, LatentMessage>, first: number, next: number): Map<number, Said> {
  const kept = [...chunks.values()].filter(({ chunk }) => chunk >= first && chunk < next);
  return new Map(
    kept.map(({ chunk, epoch, turn, pcm, turnSamples }) => {
      const before = chunks.get(chunk - 1);
      const known = before !== undefined && spokenOf(before, 0).turn === turn ? before.turnSamples : 0;
      const fromSample = before === undefined ? Math.max(0, turnSamples - pcm.length) : known;
      const samples = turn === 0 ? 0 : Math.min(pcm.length, turnSamples - fromSample);
      return [chunk, { epoch, turn, pcm, samples, fromSample, turnSamples }];
    }),
  );
}

function playheadOf({ playhead }: Retained, { nowMs }: ResumeOptions): Pick<CallPosition, 'playhead'> {
  if (playhead === undefined) return {};
  return { playhead: { message: playhead.message, ageMs: Math.max(0, nowMs - playhead.atMs) } };
}

function historyBefore(chunks: ReadonlyMap<number, LatentMessage>, chunk: number, samples: number): Int16Array {
  const history = new Int16Array(samples);
  let at = samples;
  for (let before = chunk - 1; at > 0; before--) {
    const pcm = chunks.get(before)?.pcm;
    if (pcm === undefined || pcm.length === 0) break;
    const taken = pcm.subarray(Math.max(0, pcm.length - at));
    at -= taken.length;
    history.set(taken, at);
  }
  return history;
}

/** Of the latents nothing is left: the chunk after the one being played, and speech from where that one ends. */
function fromSilence(
  retained: Retained,
  options: ResumeOptions,
  epoch: number,
  flushes: readonly EpochStart[],
): ResumePlan {
  const at = retained.playhead?.message;
  const chunk = at === undefined ? highest([0, ...flushes.map((flush) => flush.fromChunk)]) : at.chunk + 1;
  const paused = pauseAsked(retained.events) ?? false;
  const finished = retained.events.flatMap(({ message }) => (message.type === 'turn.finished' ? [message.turn] : []));
  const told = paused ? pauseTold(retained) : undefined;
  const turn = told?.turn ?? at?.turn ?? 0;
  const leftMs = at === undefined ? 0 : Math.max(0, chunk * options.chunkMs - at.mediaTimeUs / 1000);
  const heardMs = told?.heardMs ?? (at?.turnPlayedMs ?? 0) + leftMs;
  const turnSamples = turn === 0 ? 0 : Math.round((heardMs * SPEECH_RATE_HZ) / 1000);
  const closedTurn = highest([turn - 1, openInterrupt(retained), turnsCut(retained), ...finished]);
  const spoken = { closedTurn, turn, turnSamples };
  return {
    outcome: 'silence',
    epoch,
    position: {
      chunk,
      earliest: chunk,
      spoken,
      paused,
      said: new Map(),
      ...playheadOf(retained, options),
    },
    change: untold(retained, paused, spoken, options),
    replay: [],
    history: new Int16Array(options.historySamples),
  };
}

const highest = (values: readonly number[]): number =>
  values.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
