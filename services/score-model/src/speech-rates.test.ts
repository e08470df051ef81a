/** Sources of different speeds and a player on a virtual clock: what is heard has no gaps, and begins soon. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ChunkPlanner } from './chunk-planner.js';
import { chunks, FakeClock, geometry, playheadAt, sessionOptions } from './testing/fakes.js';

const TICK_MS = 10;
const FRAME_MS = 40;
/** From the start of a chunk until the player has it. */
const MAKE_MS = 120;
const SLACK_MS = 10;
const SPEECH_CHUNKS = 6;
const FLUSH_MARGIN_MS = 80;

interface Heard {
  /** From the first sample sent to the first one played, milliseconds. */
  readonly waitMs: number;
  /** Silence within the turn, milliseconds. */
  readonly gapsMs: number;
}

type Job = ReturnType<ChunkPlanner['takeNext']>;

/** @param speed of the source, 1: real time; `phaseMs`: when the speech begins within an idle chunk; `pieceMs`: what it sends at a time */
function listen(speed: number, phaseMs: number, pieceMs: number): Heard {
  const clock = new FakeClock();
  const estimates = { canRegenerate: () => true, makeMs: () => MAKE_MS + SLACK_MS };
  const planner = new ChunkPlanner(sessionOptions({ flushMarginMs: FLUSH_MARGIN_MS }), geometry, clock, estimates);
  const speech = chunks(SPEECH_CHUNKS);
  const arrived = new Map<number, Job>();
  let making: { readonly job: Job; readonly readyAtMs: number } | undefined;
  let at: { chunk: number; frame: number } | undefined;
  let [sent, heard, gaps, frameAtMs] = [0, 0, 0, 0];
  let [sentAtMs, heardAtMs]: (number | undefined)[] = [];
  const startMs = clock.nowMs();
  while (heard < speech.length) {
    clock.advance(TICK_MS);
    const nowMs = clock.nowMs() - startMs;
    assert.ok(nowMs < 60_000, `${heard} samples were heard`);
    const speakingMs = nowMs - 5 * geometry.chunkMs - phaseMs;
    if (speakingMs >= 0 && speakingMs % Math.max(TICK_MS, pieceMs / speed) < TICK_MS && sent < speech.length) {
      sentAtMs ??= nowMs;
      const piece = speech.subarray(sent, sent + Math.round(Math.max(speed * TICK_MS, pieceMs) * 24));
      sent += piece.length;
      const { flush } = planner.onSpeech(1, piece, sent === speech.length);
      if (flush !== undefined) for (const chunk of arrived.keys()) if (chunk >= flush.fromChunk) arrived.delete(chunk);
      if (flush !== undefined && (making?.job.chunk ?? -1) >= flush.fromChunk) making = undefined;
    }
    if (making !== undefined && making.readyAtMs <= nowMs) {
      const { job } = making;
      arrived.set(job.chunk, job);
      if (job.endsIdle) at = { chunk: job.chunk - 1, frame: geometry.framesPerChunk - 1 };
      making = undefined;
    }
    planner.updateGrace();
    if (making === undefined && planner.readyAtMs() <= clock.nowMs())
      making = { job: planner.takeNext(), readyAtMs: nowMs + MAKE_MS };
    if (nowMs - frameAtMs < FRAME_MS && at !== undefined) continue;
    const isLast = at === undefined || at.frame === geometry.framesPerChunk - 1;
    const next = isLast
      ? { chunk: (at?.chunk ?? -1) + 1, frame: 0 }
      : { chunk: at?.chunk ?? 0, frame: (at?.frame ?? 0) + 1 };
    const job = arrived.get(next.chunk);
    frameAtMs = nowMs;
    if (job === undefined) {
      if (heard > 0) gaps += FRAME_MS;
      continue;
    }
    at = next;
    planner.onPlayhead(playheadAt(next.chunk, next.frame));
    const samples = Math.min(geometry.samplesPerFrame, job.speechSamples - next.frame * geometry.samplesPerFrame);
    if (samples > 0) heardAtMs ??= nowMs;
    heard += Math.max(0, samples);
    if (heard > 0 && heard < speech.length) gaps += FRAME_MS - Math.max(0, samples) / 24;
  }
  return { waitMs: (heardAtMs ?? 0) - (sentAtMs ?? 0), gapsMs: gaps };
}

const PHASES_MS = Array.from({ length: 24 }, (_, i) => i * 20);
const PIECES_MS = [10, 20, 100, 200, 300];

for (const speed of [1, 1.25, 2, 4, 20])
  test(`a source at ${speed} times real time: no gap, wherever in an idle chunk it begins`, (context) => {
    for (const pieceMs of PIECES_MS) {
      const all = PHASES_MS.map((phaseMs) => listen(speed, phaseMs, pieceMs));
      const fullMs = (Math.ceil(geometry.chunkMs / pieceMs) * pieceMs) / speed;
      const waits = all.map(({ waitMs }) => waitMs - fullMs);
      const gaps = Math.max(...all.map(({ gapsMs }) => gapsMs));
      context.diagnostic(
        `pieces of ${pieceMs} ms: ${Math.min(...waits).toFixed(0)} to ${Math.max(...waits).toFixed(0)} ms beyond a full chunk, gaps up to ${gaps.toFixed(0)} ms in ${all.filter(({ gapsMs }) => gapsMs > 0).length} of ${all.length}`,
      );
      assert.ok(gaps <= (speed === 1 ? pieceMs : 0), `pieces of ${pieceMs} ms: gaps of ${gaps} ms`);
      const most = MAKE_MS + FRAME_MS + FLUSH_MARGIN_MS + (speed < 1.3 ? geometry.chunkMs : 0);
      assert.ok(Math.max(...waits) <= most, `${Math.max(...waits)} ms`);
    }
  });
