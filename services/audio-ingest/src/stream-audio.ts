import { assertSessionId, MeshError, SPEECH_RATE_HZ } from '@talkmesh/contracts';
import { StreamPacer } from './pacer.js';
import type { AudioSource, IngestSession } from './session.js';

export const MAX_MESSAGE_BYTES = 65_536;
const MIN_RATE_HZ = 8000;
const MAX_RATE_HZ = 48_000;

/** One message of StreamAudio. */
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

interface Format {
  readonly sessionId: string;
  readonly rateHz: number;
  readonly channels: number;
}

/**
 * Feeds a session from a stream of PCM until it ends; the last `mic` message then says so.
 * @returns samples per channel and their duration
 * @throws MeshError for every limit; what was published before stays, and its turn is ended. PEER_LOST when the session moved:
 * its metadata tell `samples_received` (per channel), and a stream of the rest goes on in the same turn
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
  const pacer = new StreamPacer(limits, session.mediaTimeUs);
  const source = session.claim('stream', (playhead) => pacer.playhead(playhead.mediaTimeUs));
  let samples = 0;
  let goesOn = false;
  try {
    for (let message: StreamMessage | undefined = first; message !== undefined; ) {
      await pacer.room(signal);
      await session.reachable(signal);
      samples += accept(message, format, samples, limits.maxSeconds, source);
      pacer.sent((message.pcm.byteLength * 1000) / (2 * format.channels * format.rateHz));
      message = await nextWithin(messages, limits.idleMs, signal);
    }
    if (samples === 0) throw new MeshError('AUDIO_EMPTY', 'the stream holds no samples');
    return { samples, seconds: samples / format.rateHz };
  } catch (thrown) {
    const error = MeshError.from(thrown);
    // The next stream goes on in the same turn, on another worker.
    if (session.closed.aborted && error.reason === 'PEER_LOST') {
      goesOn = true;
      const received = samples - Math.ceil((session.unsent * format.rateHz) / SPEECH_RATE_HZ);
      throw new MeshError('PEER_LOST', error.message, { metadata: { samples_received: String(received) } });
    }
    throw error;
  } finally {
    if (samples > 0 && !goesOn) source.endTurn();
    source.release();
  }
}

function readFormat({ sessionId, sampleRateHz, channels }: StreamMessage): Format {
  assertSessionId(sessionId);
  if (sampleRateHz < MIN_RATE_HZ || sampleRateHz > MAX_RATE_HZ)
    throw new MeshError(
      'AUDIO_FORMAT_INVALID',
      `sample_rate_hz is ${MIN_RATE_HZ} to ${MAX_RATE_HZ}, not ${sampleRateHz}`,
    );
  if (channels !== 1 && channels !== 2)
    throw new MeshError('AUDIO_FORMAT_INVALID', `channels is 1 or 2, not ${channels}`);
  return { sessionId, rateHz: sampleRateHz, channels };
}

/** @returns samples per channel */
function accept(
  message: StreamMessage,
  format: Format,
  before: number,
  maxSeconds: number,
  source: AudioSource,
): number {
  const { pcm, sessionId } = message;
  if (sessionId !== '' && sessionId !== format.sessionId)
    throw new MeshError('ARGUMENT_INVALID', 'a stream feeds one session: leave session_id out after the first message');
  if (pcm.byteLength > MAX_MESSAGE_BYTES)
    throw new MeshError(
      'BODY_TOO_LARGE',
      `a message has ${pcm.byteLength} bytes of pcm, at most ${MAX_MESSAGE_BYTES} are taken`,
    );
  const frameBytes = 2 * format.channels;
  if (pcm.byteLength % frameBytes !== 0)
    throw new MeshError(
      'AUDIO_FORMAT_INVALID',
      `pcm holds whole samples of ${frameBytes} bytes, not ${pcm.byteLength} bytes`,
    );
  const samples = pcm.byteLength / frameBytes;
  if (before + samples > maxSeconds * format.rateHz)
    throw new MeshError('AUDIO_TOO_LONG', `a stream has at most ${maxSeconds} s of audio`);
  if (samples > 0) source.push(toSamples(pcm), format.rateHz, format.channels);
  return samples;
}

/** Little-endian bytes at any offset. */
function toSamples(bytes: Uint8Array): Int16Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Int16Array.from({ length: bytes.byteLength / 2 }, (_, i) => view.getInt16(2 * i, true));
}

/** The next message, undefined at the end. @throws MeshError DEADLINE_EXCEEDED; the signal's reason */
async function nextWithin(
  messages: AsyncIterator<StreamMessage>,
  idleMs: number,
  signal: AbortSignal,
): Promise<StreamMessage | undefined> {
  signal.throwIfAborted();
  let timer: NodeJS.Timeout | undefined;
  let onAbort: (() => void) | undefined;
  const interrupted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    const idle = `nothing came for ${idleMs} ms; end the stream when there is no more audio`;
    timer = setTimeout(() => reject(new MeshError('DEADLINE_EXCEEDED', idle)), idleMs);
  });
  try {
    const next = await Promise.race([messages.next(), interrupted]);
    return next.done ? undefined : next.value;
  } finally {
    clearTimeout(timer);
    if (onAbort !== undefined) signal.removeEventListener('abort', onAbort);
  }
}
