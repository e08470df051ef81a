import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { MeshError, SPEECH_RATE_HZ } from '@talkmesh/contracts';
import { EXIT, UsageError } from './cli-errors.js';
import { GatewayClient, type RecordedFrame } from './render/gateway-client.js';
import { type RemoteMesh, remoteMesh, wholeNumber } from './render/options.js';
import { recordSession, type SessionSummary } from './render/recorded-session.js';
import type { Speech } from './render/speech.js';

export const SMOKE_HELP = `talkmesh smoke --url http://HOST:PORT --grpc HOST:PORT --key KEY | --key-file FILE
  Makes a short call through a running mesh: sends a tone as speech, and fails unless every frame comes back, the picture
  moves and the sound is the one that was sent. It needs no other program.
  --key-file FILE     file with API keys, separated by commas or spaces; the first is used
  --avatar NAME       (default: the first of the mesh)
  --seconds N         length of the call, 1 to 60 (default 3)`;

/** The picture of a face that speaks changes with almost every frame. */
const MIN_MOVING_SHARE = 0.5;
const TONE_HZ = 150;
const SYLLABLES_PER_SECOND = 3;
const AMPLITUDE = 9000;

/** Runs `talkmesh smoke`. @returns the exit code @throws UsageError, MeshError */
export async function smoke(args: readonly string[]): Promise<number> {
  const { remote, avatar, seconds } = parseSmokeArgs(args, process.env);
  const summary = await callOnce(remote, { avatar, seconds, signal: AbortSignal.timeout(seconds * 10_000 + 60_000) });
  const { frames, firstFrameMs, moving } = summary;
  process.stdout.write(
    `The call is good: ${frames} frames, ${moving} of them moving, the sound is complete; the first frame came after ${Math.round(firstFrameMs)} ms.\n`,
  );
  return EXIT.ok;
}

export interface SmokeOptions {
  /** Undefined takes the first of the mesh. */
  readonly avatar: string | undefined;
  readonly seconds: number;
  readonly signal: AbortSignal;
}

/** Makes one call. @throws MeshError when it cannot be made, or when frames or sound are not what they should be */
export async function callOnce(
  remote: RemoteMesh,
  { avatar, seconds, signal }: SmokeOptions,
): Promise<SessionSummary & { readonly moving: number }> {
  using client = new GatewayClient(remote);
  const chosen = avatar ?? (await client.avatars(signal)).avatars[0]?.id;
  if (chosen === undefined) throw new MeshError('AVATAR_NOT_FOUND', 'the model of this mesh has no avatars');
  const speech = syllables(seconds);
  const check = new CallCheck(speech);
  const summary = await recordSession(
    { client, avatar: chosen, seed: 0, badge: false, speech, signal },
    async (frame) => check.take(frame),
  );
  return { ...summary, moving: check.finish() };
}

/** Compares a call with what a good one would be. */
export class CallCheck {
  readonly #speech: Speech;
  readonly #heard: Buffer[] = [];
  #previous: Uint8Array | undefined;
  #frames = 0;
  #moving = 0;

  constructor(speech: Speech) {
    this.#speech = speech;
  }

  take({ i420, width, height, pcm, index }: RecordedFrame): void {
    if (i420.length === 0 || i420.length !== (width * height * 3) / 2)
      throw new MeshError(
        'MESSAGE_MALFORMED',
        `frame ${index} has ${i420.length} bytes, which is not ${width}x${height}`,
      );
    if (this.#previous !== undefined && Buffer.compare(this.#previous, i420) !== 0) this.#moving += 1;
    this.#previous = i420;
    this.#heard.push(Buffer.from(pcm));
    this.#frames += 1;
  }

  /** @returns the number of frames that differ from the one before. @throws MeshError */
  finish(): number {
    if (this.#moving < this.#frames * MIN_MOVING_SHARE)
      throw new MeshError(
        'INTERNAL',
        `the picture stands still: only ${this.#moving} of ${this.#frames} frames differ from the one before; read the logs of score-model and vae-decode`,
      );
    const { pcm } = this.#speech;
    const sent = Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength);
    const at = firstDifference(sent, Buffer.concat(this.#heard));
    if (at !== undefined)
      throw new MeshError(
        'INTERNAL',
        `the sound differs from what was sent after ${(at / 2 / SPEECH_RATE_HZ).toFixed(3)} s; read the logs of audio-ingest and audio-llm-bridge`,
      );
    return this.#moving;
  }
}

/** @returns the index of the first byte of `sent` that `heard` does not have at the same place */
function firstDifference(sent: Buffer, heard: Buffer): number | undefined {
  for (let at = 0; at < sent.length; at++) if (sent[at] !== heard[at]) return at;
  return undefined;
}

/** A buzz that rises and falls like syllables do, without a speech synthesizer. */
export function syllables(seconds: number): Speech {
  const pcm = Int16Array.from({ length: seconds * SPEECH_RATE_HZ }, (_, sample) => {
    const time = sample / SPEECH_RATE_HZ;
    const phase = (time * TONE_HZ) % 1;
    const loudness = Math.sin(Math.PI * time * SYLLABLES_PER_SECOND) ** 2;
    return Math.round(AMPLITUDE * loudness * (2 * phase - 1));
  });
  return { pcm, seconds };
}

function parseSmokeArgs(
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): { remote: RemoteMesh; avatar: string | undefined; seconds: number } {
  const { values } = parseArgs({
    args: [...args],
    options: {
      url: { type: 'string' },
      grpc: { type: 'string' },
      key: { type: 'string' },
      'key-file': { type: 'string' },
      avatar: { type: 'string' },
      seconds: { type: 'string', default: '3' },
    },
  });
  const key = values.key ?? keyIn(values['key-file']) ?? env['TALKMESH_API_KEY'];
  const remote = remoteMesh(values.url, values.grpc, key);
  if (remote === undefined) throw new UsageError(`--url is missing\n\n${SMOKE_HELP}`);
  const seconds = wholeNumber('--seconds', values.seconds, 60);
  if (seconds === 0) throw new UsageError('--seconds must be at least 1');
  return { remote, avatar: values.avatar, seconds };
}

function keyIn(file: string | undefined): string | undefined {
  if (file === undefined) return undefined;
  try {
    return readFileSync(file, 'utf8')
      .split(/[\s,]+/)
      .find((key) => key !== '');
  } catch (error) {
    throw new UsageError(`--key-file ${file} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
}
