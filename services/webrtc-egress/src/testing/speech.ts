import {
  type AudioMessage,
  EVENT_VERSION,
  type EventBody,
  type FrameMessage,
  type MeshEvent,
} from '@talkmesh/contracts';
import type { SpeechReport } from '../agent-messages.js';
import { AgentSpeech } from '../agent-speech.js';
import { FRAMES_PER_CHUNK, testFrame } from './frames.js';

const SESSION_ID = '0'.repeat(20);
export const RATE = 24_000;

/** An agent and a mesh around the core, on a virtual clock: what the core does, in order, as short texts. */
export function setUpSpeech({ takeOver = false, mutes = false } = {}) {
  const state = { nowMs: 0, chunk: 0 };
  const did: string[] = [];
  const pcm: number[] = [];
  const speech = new AgentSpeech({
    ...{ sessionId: SESSION_ID, firstSequence: 0, takeOver, mutes, now: () => state.nowMs },
    mic: (message: AudioMessage) => {
      pcm.push(...message.pcm);
      if (message.endOfTurn) did.push('end');
    },
    clear: () => did.push('clear'),
    report: (report: SpeechReport) => {
      if (report.type === 'finished') did.push(`finished ${report.seconds}${report.interrupted ? ' cut' : ''}`);
      else did.push(report.type);
    },
    warn: (_stream, what) => did.push(`warn ${what.split(';')[0]}`),
  });
  const event = (turn: number, body: EventBody): void =>
    speech.event({
      v: EVENT_VERSION,
      id: 'test.1',
      sessionId: SESSION_ID,
      epoch: 0,
      turn,
      atMs: 0,
      ...body,
    } as MeshEvent);
  const queued = (turn: number) => event(turn, { type: 'turn.queued', source: 'external' });
  const flush = (fromChunk: number) => event(0, { type: 'flush', fromChunk, cause: 'interrupt' });
  const finished = (turn: number, heardMs: number, interrupted = false) =>
    event(turn, { type: 'turn.finished', interrupted, speechMs: heardMs, heardMs });
  const audio = (stream: string, ms: number, step = 1001): void => {
    const bytes = Buffer.from(new Int16Array((RATE * ms) / 1000).fill(7).buffer);
    for (let at = 0; at < bytes.length; at += step)
      speech.receive({ type: 'audio', stream, bytes: bytes.subarray(at, at + step) });
  };
  const open = (stream: string, rateHz = RATE, channels = 1) =>
    speech.receive({ type: 'opened', stream, rateHz, channels });
  const close = (stream: string, complete = true) => speech.receive({ type: 'closed', stream, complete });
  /** Speech of each turn that was played. */
  const turnSamples = new Map<number, number>();
  const playFrame = (n: number, frame: Partial<FrameMessage>, spokenSamples: number): void => {
    const samples = (turnSamples.get(frame.turn ?? 0) ?? 0) + (frame.speaking === true ? spokenSamples : 0);
    turnSamples.set(frame.turn ?? 0, samples);
    speech.played(testFrame(state.chunk, n, { ...frame, turnSamples: samples }));
  };
  /** Plays whole chunks. @param spokenSamples of each frame; the others are padding */
  const play = (
    chunks: number,
    frame: Partial<FrameMessage> = {},
    frames = FRAMES_PER_CHUNK,
    spokenSamples = 960,
  ): void => {
    for (let i = 0; i < chunks; i += 1, state.chunk += 1)
      for (let n = 0; n < frames; n += 1, state.nowMs += 40) playFrame(n, frame, spokenSamples);
  };
  const take = () => did.splice(0);
  return { state, speech, pcm, event, queued, flush, finished, audio, open, close, play, playFrame, take };
}
