import { MeshError, pictureSize } from '@talkmesh/contracts';
import { EXIT } from '../cli-errors.js';
import { listenForEnd } from '../ending.js';
import { type Mesh, modelFolder, startMesh } from '../mesh.js';
import { readManifest, requireAvatar } from './avatars.js';
import { GatewayClient, type OwnAvatar } from './gateway-client.js';
import { parseRenderArgs, type RenderOptions } from './options.js';
import { Progress } from './progress.js';
import { type RecordingOptions, type RecordingSummary, recordTo } from './recording.js';
import { loadSpeech } from './speech.js';
import { findEncoder } from './video-file.js';

export { RENDER_HELP } from './options.js';

/** Runs `talkmesh render`. @returns the exit code @throws UsageError, MeshError */
export async function render(args: readonly string[]): Promise<number> {
  const options = parseRenderArgs(args, process.env);
  const say = options.json ? () => {} : (line: string): void => void process.stderr.write(`${line}\n`);
  if (options.remote === undefined) {
    const manifest = readManifest(modelFolder(options.model));
    if (typeof options.avatar === 'string') requireAvatar(options.avatar, manifest.avatars);
    pictureSize(manifest, options.size);
  }
  const speech = await loadSpeech(options.audioPath, options.maxSeconds);
  const encoder = await findEncoder(say);
  if (encoder.codec === 'mpeg4') say('This ffmpeg has no libx264, so the video is encoded as MPEG-4 instead of H.264.');

  let mesh: Mesh | undefined;
  using ending = listenForEnd(() => {
    mesh?.kill();
    process.exit(EXIT.failure);
  });
  const begin = performance.now();
  try {
    if (options.remote === undefined) {
      say('Starting a mesh for this render');
      mesh = await startMesh({ say, signal: ending.signal, model: modelFolder(options.model) });
    }
    const startupSeconds = (performance.now() - begin) / 1000;
    const summary = await renderOn(mesh, options, { speech, encoder, signal: ending.signal, say });
    await mesh?.stop();
    await mesh?.removeLogs();
    report(options, { ...summary, startupSeconds });
    return EXIT.ok;
  } catch (error) {
    if (ending.signal.aborted) throw new MeshError('CANCELLED', 'stopped by the user; no file was written');
    if (mesh !== undefined) say(`The logs of the services are in ${mesh.logFolder}`);
    throw error;
  } finally {
    await mesh?.stop();
  }
}

type RenderContext = Pick<RecordingOptions, 'speech' | 'encoder' | 'signal'> & { say(line: string): void };
type PictureResult = { readonly picture?: Omit<OwnAvatar, 'id'> };

/** @param mesh undefined to use options.remote */
async function renderOn(
  mesh: Mesh | undefined,
  options: RenderOptions,
  context: RenderContext,
): Promise<RecordingSummary & PictureResult> {
  using client = new GatewayClient(options.remote ?? (mesh as Mesh));
  const meshFailure = new AbortController();
  void mesh?.failed.then((error) => meshFailure.abort(error));
  const signal = AbortSignal.any([context.signal, meshFailure.signal]);
  const record = (avatar: string): Promise<RecordingSummary> => {
    const progress = options.json ? undefined : new Progress(process.stderr, context.speech.seconds);
    const onProgress = (seconds: number): void => progress?.update(seconds);
    return recordTo({ ...options, ...context, avatar, client, signal, onProgress });
  };
  if (typeof options.avatar === 'string') return await record(options.avatar);
  const { id, source, verdict } = await client.createAvatar(options.avatar, signal);
  try {
    const { landmarks } = source;
    if (landmarks !== undefined)
      context.say(`Found: mouth ${landmarks.mouth}, left eye ${landmarks.leftEye}, right eye ${landmarks.rightEye}`);
    for (const { text } of verdict.reasons) context.say(`Note: ${text}`);
    return { ...(await record(id)), picture: { source, verdict } };
  } finally {
    await client
      .deleteAvatar(id)
      .catch(() => context.say('The uploaded picture could not be deleted; the gateway deletes it when it expires.'));
  }
}

type Summary = RecordingSummary & PictureResult & { readonly startupSeconds: number };

function report(options: RenderOptions, summary: Summary): void {
  if (options.json) {
    process.stdout.write(`${JSON.stringify({ out: options.outPath, ...summary }, null, 2)}\n`);
    return;
  }
  const { seconds, frames, wallSeconds } = summary;
  const speed = (seconds / wallSeconds).toFixed(1);
  process.stderr.write(
    `Wrote ${options.outPath}: ${seconds.toFixed(2)} s, ${frames} frames, rendered in ${wallSeconds.toFixed(1)} s (${speed}x real time)\n`,
  );
}
