import type { Dated } from '@talkmesh/chunk-worker';
import type { AudioMessage, LatentMessage, MeshEvent, PauseCause, PlayheadMessage } from '@talkmesh/contracts';
import { currentChunks, type EpochStart, epochStarts, SPEECH_RATE_HZ } from '@talkmesh/contracts';
import type { StartPosition } from './chunk-planner.js';
import type { ChunkSpeech, PauseChange, PauseRequest } from './pause.js';
import { firstUnplayedChunk } from './playhead-position.js';
import type { SpokenPosition } from './speech-queue.js';

/** What NATS retains of a session, each in the order it was published. */
export interface Retained {
  readonly latents: readonly LatentMessage[];
  readonly events: readonly Dated<MeshEvent>[];
  readonly speech: readonly Dated<AudioMessage>[];
  readonly playhead: Dated<PlayheadMessage> | undefined;
}

export interface TakeoverOptions {
  /** Lower bound of the session's epoch. */
  readonly epoch: number;
  readonly chunkMs: number;
  /** Of the model's state, see `ScoreEngine.replay`. */
  readonly depth: number;
  readonly wholeSteps: number;
  /** Chunks that can be replayed within the budget. */
  readonly affordable: number;
  /** Chunks the session can be rolled back by. */
  readonly keepChunks: number;
  /** Samples before a chunk that its audio features depend on. */
  readonly historySamples: number;
  /** A chunk due sooner than this is no longer replaced, milliseconds. */
  readonly marginMs: number;
  readonly nowMs: number;
}

/**
 * `exact`: the model state equals the lost one; `near`: fewer chunks were replayed, or retained before them, than the state depends on; `silence`: no chunk is
 * retained, the session continues from the initial state.
 */
export type TakeoverOutcome = 'exact' | 'near' | 'silence';

export interface TakeoverPlan {
  readonly outcome: TakeoverOutcome;
  readonly epoch: number;
  readonly position: StartPosition;
  /** A pause that began or ended and is not yet reported to the listeners. */
  readonly change: PauseChange | undefined;
  /** Chunks to replay, oldest first, without a gap up to the chunk before `position.chunk`. */
  readonly replay: readonly LatentMessage[];
  /** PCM before the first chunk of the replay, or before the next one. */
  readonly history: Int16Array;
}

type TurnPaused = Extract<MeshEvent, { readonly type: 'turn.paused' }>;

/** The epoch rises by this much, so that a replaced worker that still flushes stays below it (fencing). */
export const EPOCH_STRIDE = 16;

/** Plans where a session continues, from what NATS retains of it. */
export function planTakeover(retained: Retained, options: TakeoverOptions): TakeoverPlan {
  const flushes = epochStarts(
    retained.latents,
    retained.events.map(({ message }) => message),
  );
  const chunks = currentChunks(retained.latents, flushes);
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
  const paused = pausedBy(requestedPause(retained.events), chunks.get(last));
  const chunk =
    paused !== undefined
      ? afterPause(chunks, last + 1, retained.playhead, options)
      : afterCut(chunks, last + 1, cut, retained.playhead, options);
  const replay = replayOf(chunks, chunk, options);
  const spoken = spokenOf(chunks.get(chunk - 1), Math.max(cut, turnsCut(retained)));
  const first = replay.chunks[0]?.chunk ?? chunk;
  const { history, isWhole } = historyBefore(chunks, first, options.historySamples);
  const earliest = Math.max(first, chunk - options.keepChunks + 1);
  return {
    outcome: replay.exact && isWhole ? 'exact' : 'near',
    epoch: epoch + EPOCH_STRIDE,
    position: {
      chunk,
      earliestReplaceable: earliest,
      spoken,
      paused,
      chunkSpeech: speechOfChunks(chunks, earliest, chunk),
      ...playheadOf(retained, options),
    },
    change: unreportedChange(retained, paused, spoken, options),
    replay: replay.chunks,
    history,
  };
}

/** The newest turn of an interrupt that no flush has carried out; 0: none. */
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

/** The last retained request to begin or end a pause, which an interrupt does too; undefined when none is retained. */
export function requestedPause(events: Retained['events']): PauseRequest | undefined {
  for (const { message } of events.toReversed()) {
    if (message.type === 'pause') return { type: 'pause', cause: message.cause };
    if (message.type === 'resume') return { type: 'resume', cause: message.cause };
    if (message.type === 'interrupt') return { type: 'resume', cause: 'command' };
  }
  return undefined;
}

/** Why the session is paused; undefined: it is not. Where no request is retained, the last chunk tells. */
function pausedBy(request: PauseRequest | undefined, last: LatentMessage | undefined): PauseCause | undefined {
  if (request === undefined) return isPause(last) ? 'command' : undefined;
  return request.type === 'pause' ? request.cause : undefined;
}

/** The current pause as it was reported to the listeners. */
function reportedPause({ events }: Retained): (TurnPaused & { readonly atMs: number }) | undefined {
  const reported = events.findLast(({ message: { type } }) => type === 'turn.paused' || type === 'turn.resumed');
  return reported?.message.type === 'turn.paused' ? { ...reported.message, atMs: reported.atMs } : undefined;
}

function unreportedChange(
  retained: Retained,
  paused: PauseCause | undefined,
  { turn, turnSamples, closedTurn }: SpokenPosition,
  { nowMs }: TakeoverOptions,
): PauseChange | undefined {
  const reported = reportedPause(retained);
  if (paused === reported?.cause) return undefined;
  const at = turn > closedTurn ? { turn, heardMs: (turnSamples * 1000) / SPEECH_RATE_HZ } : { turn: 0, heardMs: 0 };
  if (paused !== undefined) return { type: 'paused', ...at, cause: paused };
  if (reported === undefined) return undefined;
  const ended = retained.events.findLast(({ message }) => message.type === 'resume' || message.type === 'interrupt');
  const cause = ended?.message.type === 'resume' ? ended.message.cause : 'interrupt';
  return { type: 'resumed', ...at, cause, pausedMs: Math.max(0, nowMs - reported.atMs) };
}

/** An idle chunk in the middle of a turn. */
const isPause = (latent: LatentMessage | undefined): boolean => latent?.turn === 0 && latent.turnSamples > 0;

/** The first retained chunk that can still be replaced, or `next`. */
function firstReplaceable(
  next: number,
  { message, atMs }: Dated<PlayheadMessage>,
  { chunkMs, marginMs, nowMs }: TakeoverOptions,
): number {
  return Math.min(next, firstUnplayedChunk(message, { chunkMs, ageMs: nowMs - atMs, marginMs }));
}

/** In a pause the unplayed speech is flushed; after the resume it is taken from the retained speech. */
function afterPause(
  chunks: ReadonlyMap<number, LatentMessage>,
  next: number,
  playhead: Dated<PlayheadMessage> | undefined,
  options: TakeoverOptions,
): number {
  if (playhead === undefined) return next;
  let from = firstReplaceable(next, playhead, options);
  while (from < next && !chunks.get(from)?.turn) from++;
  return from;
}

/** Unplayed chunks of a cut turn are flushed. */
function afterCut(
  chunks: ReadonlyMap<number, LatentMessage>,
  next: number,
  cut: number,
  playhead: Dated<PlayheadMessage> | undefined,
  options: TakeoverOptions,
): number {
  if (cut === 0 || playhead === undefined) return next;
  const from = firstReplaceable(next, playhead, options);
  const unplayed = [...chunks.values()].filter(({ chunk }) => chunk >= from && chunk < next);
  const newer = unplayed.some(({ turn }) => turn > cut);
  const ofCut = unplayed.some(({ turn }) => turn > 0 && turn <= cut);
  return ofCut && !newer ? from : next;
}

/** The chunks before `next` that restore the state. Chunks with fewer steps do not count: they pass on older keys and values. */
function replayOf(
  chunks: ReadonlyMap<number, LatentMessage>,
  next: number,
  { depth, affordable, wholeSteps }: TakeoverOptions,
): { chunks: LatentMessage[]; exact: boolean } {
  const replay: LatentMessage[] = [];
  let whole = 0;
  for (let chunk = next - 1; whole < depth && replay.length < affordable; chunk--) {
    const latent = chunks.get(chunk);
    if (latent === undefined) break;
    replay.unshift(latent);
    if (latent.steps >= wholeSteps) whole += 1;
  }
  const first = replay[0]?.chunk ?? next;
  return { chunks: replay, exact: whole >= depth || first === 0 };
}

/** A cut turn is closed, even if the last chunk was generated before the cut. */
function spokenOf(latent: LatentMessage | undefined, closedByEvents: number): SpokenPosition {
  const closedTurn = Math.max(closedByEvents, latent?.closedTurn ?? 0);
  const turn = latent !== undefined && isPause(latent) ? latent.closedTurn + 1 : (latent?.turn ?? 0);
  return { closedTurn, turn, turnSamples: latent?.turnSamples ?? 0 };
}

/** The newest turn that was interrupted, whether or not the interrupt was carried out; 0: none. */
function turnsCut({ events }: Retained): number {
  const cuts = events.filter(
    ({ message }) => message.type === 'interrupt' || (message.type === 'flush' && message.cause === 'interrupt'),
  );
  return highest([0, ...cuts.map(({ message }) => message.turn)]);
}

/** The speech in each chunk. Samples that were lost before it are known only if the chunk before is retained. */
function speechOfChunks(
  chunks: ReadonlyMap<number, LatentMessage>,
  first: number,
  next: number,
): Map<number, ChunkSpeech> {
  const kept = [...chunks.values()].filter(({ chunk }) => chunk >= first && chunk < next);
  return new Map(
    kept.map(({ chunk, epoch, turn, pcm, speechSamples, turnSamples }) => {
      const before = chunks.get(chunk - 1);
      const known = before !== undefined && spokenOf(before, 0).turn === turn ? before.turnSamples : 0;
      const fromSample = before === undefined ? Math.max(0, turnSamples - speechSamples) : known;
      return [chunk, { epoch, turn, pcm, speechSamples, fromSample, turnSamples }];
    }),
  );
}

function playheadOf({ playhead }: Retained, { nowMs }: TakeoverOptions): Pick<StartPosition, 'playhead'> {
  if (playhead === undefined) return {};
  return { playhead: { message: playhead.message, ageMs: Math.max(0, nowMs - playhead.atMs) } };
}

/** The sound before a chunk; silence before the session and where nothing is retained, and then it is not whole. */
function historyBefore(
  chunks: ReadonlyMap<number, LatentMessage>,
  chunk: number,
  samples: number,
): { history: Int16Array; isWhole: boolean } {
  const history = new Int16Array(samples);
  let [at, before] = [samples, chunk - 1];
  for (; at > 0; before--) {
    const pcm = chunks.get(before)?.pcm;
    if (pcm === undefined || pcm.length === 0) break;
    const taken = pcm.subarray(Math.max(0, pcm.length - at));
    at -= taken.length;
    history.set(taken, at);
  }
  return { history, isWhole: at === 0 || before < 0 };
}

/** No latent is retained: continues with the chunk after the one being played, and with the speech after it. */
function fromSilence(
  retained: Retained,
  options: TakeoverOptions,
  epoch: number,
  flushes: readonly EpochStart[],
): TakeoverPlan {
  const at = retained.playhead?.message;
  const chunk = at === undefined ? highest([0, ...flushes.map((flush) => flush.fromChunk)]) : at.chunk + 1;
  const paused = pausedBy(requestedPause(retained.events), undefined);
  const finished = retained.events.flatMap(({ message }) =>
    message.type === 'turn.finished' || message.type === 'turn.cancelled' ? [message.turn] : [],
  );
  const reported = paused === undefined ? undefined : reportedPause(retained);
  const turn = reported?.turn ?? at?.turn ?? 0;
  const leftMs = at === undefined ? 0 : Math.max(0, chunk * options.chunkMs - at.mediaTimeUs / 1000);
  const heardMs = reported?.heardMs ?? (at?.turnPlayedMs ?? 0) + leftMs;
  const turnSamples = turn === 0 ? 0 : Math.round((heardMs * SPEECH_RATE_HZ) / 1000);
  const closedTurn = highest([turn - 1, openInterrupt(retained), turnsCut(retained), ...finished]);
  const spoken = { closedTurn, turn, turnSamples };
  return {
    outcome: 'silence',
    epoch,
    position: {
      chunk,
      earliestReplaceable: chunk,
      spoken,
      paused,
      chunkSpeech: new Map(),
      ...playheadOf(retained, options),
    },
    change: unreportedChange(retained, paused, spoken, options),
    replay: [],
    history: new Int16Array(options.historySamples),
  };
}

const highest = (values: readonly number[]): number =>
  values.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
