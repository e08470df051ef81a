import { assertSessionId, MeshError, SPEECH_RATE_HZ } from '@talkmesh/contracts';
import { FrameJoiner } from '@talkmesh/media';
import { afterSilence } from '@talkmesh/service-kit';
import { StreamPacer } from './pacer.js';
import type { AudioSource, IngestSession } from './session.js';

export const MAX_MESSAGE_BYTES = 65_536;
const MIN_RATE_HZ = 8000;
const MAX_RATE_HZ = 48_000;

export interface StreamMessage {
  readonly sessionId: string;
  readonly sampleRateHz: number;
  readonly channels: number;
  readonly pcm: Uint8Array;
}

export interface StreamLimits {
  readonly maxSeconds: number;
  readonly aheadMs: number;
  readonly idleMs: number;
  readonly stallMs: number;
}

/** A process that was stopped reads the playheads that came in the meantime before it calls the playhead stalled. */
const PATIENT_TIMER = {
  setTimer: (callback: () => void, delayMs: number) => afterSilence(delayMs, callback),
  clearTimer: (handle: unknown) => (handle as ReturnType<typeof afterSilence>).cancel(),
};

interface Format {
  readonly sessionId: string;
  readonly rateHz: number;
  readonly channels: number;
}

/**
 * Feeds a session from a stream of PCM until it ends, then ends the turn: its last `mic` message is marked `endOfTurn`.
 * @returns samples per channel and their duration
 * @throws MeshError for every limit; audio published before stays published, and its turn is ended. PEER_LOST when the session
 * moved: its metadata holds `samples_received` (per channel), and a new stream of the remaining samples continues the same turn
 */
export async function streamAudio(
  messages: AsyncIterator<StreamMessage>,
  sessionOf: (sessionId: string) => IngestSession,
  limits: StreamLimits,
  cancelled: AbortSignal,
): Promise<{ samples: number; seconds: number }> {
  const first = await nextWithin(messages, limits.idleMs, cancelled);
  if (first === undefined) throw new MeshError('AUDIO_EMPTY', 'the stream ended without a message');
  const format = readFormat(first);
  const session = sessionOf(format.sessionId);
  const signal = AbortSignal.any([cancelled, session.closed]);
  const pacer = new StreamPacer({ ...limits, ...PATIENT_TIMER }, session.mediaTimeUs);
  const source = session.claim('stream', (playhead) => pacer.playhead(playhead.mediaTimeUs));
  session.countStream(0);
  const joiner = new FrameJoiner(format.channels);
  let samples = 0;
  let continuesElsewhere = false;
  try {
    for (let message: StreamMessage | undefined = first; message !== undefined; ) {
      await pacer.room(signal);
      await session.reachable(signal);
      samples += accept(message, format, samples, limits.maxSeconds, source, joiner);
      session.countStream(samples);
      pacer.sent((message.pcm.byteLength * 1000) / (2 * format.channels * format.rateHz));
      message = await nextWithin(messages, limits.idleMs, signal);
    }
    if (samples === 0) throw new MeshError('AUDIO_EMPTY', 'the stream holds no samples');
    return { samples, seconds: samples / format.rateHz };
  } catch (thrown) {
    const error = MeshError.from(thrown);
    // The sender continues the same turn on another worker, so the turn must not end here.
    if (session.closed.aborted && error.reason === 'PEER_LOST') {
      continuesElsewhere = true;
      const received = samples - Math.ceil((session.unsent * format.rateHz) / SPEECH_RATE_HZ);
      throw new MeshError('PEER_LOST', error.message, { metadata: { samples_received: String(received) } });
    }
    throw error;
  } finally {
    if (samples > 0 && !continuesElsewhere) source.endTurn();
    source.release();
  }
}

function readFormat({ sessionId, sampleRateHz, channels }: StreamMessage): Format {
  assertSessionId(sessionId);
  if (sampleRateHz < MIN_RATE_HZ || sampleRateHz > MAX_RATE_HZ)
    throw new MeshError(
      'AUDIO_FORMAT_INVALID',
      `sample_rate_hz must be ${MIN_RATE_HZ} to ${MAX_RATE_HZ}, not ${sampleRateHz}`,
    );
  if (channels !== 1 && channels !== 2)
    throw new MeshError('AUDIO_FORMAT_INVALID', `channels must be 1 or 2, not ${channels}`);
  return { sessionId, rateHz: sampleRateHz, channels };
}

/** @returns samples per channel */
function accept(
  message: StreamMessage,
  format: Format,
  before: number,
  maxSeconds: number,
  source: AudioSource,
  joiner: FrameJoiner,
): number {
  const { pcm, sessionId } = message;
  if (sessionId !== '' && sessionId !== format.sessionId)
    throw new MeshError('ARGUMENT_INVALID', 'a stream feeds one session: leave session_id out after the first message');
  if (pcm.byteLength > MAX_MESSAGE_BYTES)
    throw new MeshError(
      'BODY_TOO_LARGE',
      `a message has ${pcm.byteLength} bytes of pcm, at most ${MAX_MESSAGE_BYTES} are accepted`,
    );
  const whole = joiner.push(pcm);
  const samples = whole.length / format.channels;
  if (before + samples > maxSeconds * format.rateHz)
    throw new MeshError('AUDIO_TOO_LONG', `a stream has at most ${maxSeconds} s of audio`);
  if (samples > 0) source.push(whole, format.rateHz, format.channels);
  return samples;
}

/** The next message, undefined at the end. @throws MeshError DEADLINE_EXCEEDED; the signal's reason */
async function nextWithin(
  messages: AsyncIterator<StreamMessage>,
  idleMs: number,
  signal: AbortSignal,
): Promise<StreamMessage | undefined> {
  signal.throwIfAborted();
  let idleTimer: ReturnType<typeof afterSilence> | undefined;
  let onAbort: (() => void) | undefined;
  const interrupted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    const idle = `no message was received for ${idleMs} ms; end the stream when there is no more audio`;
    idleTimer = afterSilence(idleMs, () => reject(new MeshError('DEADLINE_EXCEEDED', idle)));
  });
  try {
    const next = await Promise.race([messages.next(), interrupted]);
    return next.done ? undefined : next.value;
  } finally {
    idleTimer?.cancel();
    if (onAbort !== undefined) signal.removeEventListener('abort', onAbort);
  }
}
