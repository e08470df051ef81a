import { readFile, stat } from 'node:fs/promises';
import { MeshError, SPEECH_RATE_HZ } from '@talkmesh/contracts';
import { mixDown, parseWav, Resampler, toPcm16 } from '@talkmesh/media';
import { UsageError } from '../cli-errors.js';

export interface Speech {
  /** Mono, 24 kHz. */
  readonly pcm: Int16Array;
  readonly seconds: number;
}

/** 192 kHz stereo float64. A file with more bytes is too long in every accepted format, so it need not be read. */
const MAX_BYTES_PER_SECOND = 192_000 * 2 * 8;
const MAX_HEADER_BYTES = 1_048_576;

/** @throws UsageError, MeshError AUDIO_FORMAT_INVALID, AUDIO_EMPTY, AUDIO_TOO_LONG; the message names the file */
export async function loadSpeech(path: string, maxSeconds: number): Promise<Speech> {
  try {
    const { size } = await stat(path);
    if (size === 0) throw new MeshError('AUDIO_EMPTY', 'the file is empty');
    if (size > maxSeconds * MAX_BYTES_PER_SECOND + MAX_HEADER_BYTES)
      throw new MeshError(
        'AUDIO_TOO_LONG',
        `${Math.round(size / 1e6)} MB is more than ${maxSeconds / 60} minutes of audio`,
      );
    const wav = parseWav(await readFile(path), { maxSeconds });
    const resampler = new Resampler(wav.sampleRateHz, SPEECH_RATE_HZ);
    const body = resampler.push(mixDown(wav.samples));
    const tail = resampler.flush();
    const pcm = new Int16Array(body.length + tail.length);
    pcm.set(toPcm16(body));
    pcm.set(toPcm16(tail), body.length);
    return { pcm, seconds: wav.seconds };
  } catch (error) {
    if (error instanceof MeshError) throw new MeshError(error.reason, `--audio ${path}: ${hint(error)}`);
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    throw new UsageError(
      `--audio ${path}: ${code === 'ENOENT' ? 'there is no such file' : `cannot be read (${code})`}`,
    );
  }
}

const hint = (error: MeshError): string =>
  error.reason === 'AUDIO_TOO_LONG' ? `${error.message}; raise --max-minutes, or divide the file` : error.message;
