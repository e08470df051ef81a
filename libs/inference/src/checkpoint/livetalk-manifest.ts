/** Writes what the services read of an imported LiveTalk: `model.json`, and the pictures of its avatars. */
import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { MeshError, SPEECH_RATE_HZ, type VideoManifest, videoManifest } from '@talkmesh/contracts';
import { liveTalkDescription } from '../compile/index.js';
import { decodePng } from '../model/png.js';
import { shiftedLevels } from '../score/flow-schedule.js';
import type { VideoSizes } from '../video/video-graphs.js';
import { CHECKPOINT_MANIFEST, type CheckpointManifest } from './import-checkpoint.js';
import { LIVETALK_SIZES, type LiveTalkSizes } from './livetalk-networks.js';

export interface NewAvatar {
  readonly id: string;
  readonly name: string;
  /** A PNG file of the model's width and height. */
  readonly png: Uint8Array;
}

export interface LiveTalkManifestOptions {
  /** `codec`: the decoder that the model was trained with. `taehv`: TAEW2.1, which is faster and must have been imported. */
  readonly decoder: VideoManifest['decoder']['kind'];
  /** At least one: workers try the model with it when they start. */
  readonly avatars: readonly NewAvatar[];
  readonly sizes?: LiveTalkSizes;
}

/**
 * @param folder that the import wrote
 * @throws MeshError MODEL_INVALID for a decoder that was not imported or pictures of another size
 */
export async function writeLiveTalkManifest(
  folder: string,
  { networks }: CheckpointManifest,
  { decoder, avatars, sizes = LIVETALK_SIZES }: LiveTalkManifestOptions,
): Promise<VideoManifest> {
  if (decoder === 'taehv' && networks['small-decoder'] === undefined)
    throw new MeshError(
      'MODEL_INVALID',
      `${folder} has no small decoder; import the model again with taew2_1.safetensors in its folder`,
    );
  const described = liveTalkSizes(decoder, sizes);
  const { width, height } = described;
  const files: Record<string, Uint8Array> = {
    [CHECKPOINT_MANIFEST]: await readFile(join(folder, CHECKPOINT_MANIFEST)),
  };
  for (const { id, png } of avatars) {
    const size = decodePng(png);
    if (size.width !== width || size.height !== height)
      throw new MeshError(
        'MODEL_INVALID',
        `the picture of ${id} is ${size.width}x${size.height}, not ${width}x${height}`,
      );
    files[`avatars/${id}.png`] = png;
  }
  const stated = Object.entries(files).map(([path, bytes]) => ({
    path,
    bytes: bytes.byteLength,
    sha256: sha256(bytes),
  }));
  const manifest = videoManifest.parse({
    schema: 'talkmesh.video-model/1',
    version: `${decoder}+${sha256(Buffer.from(JSON.stringify(stated))).slice(0, 8)}`,
    licence: 'Apache-2.0',
    description:
      'LiveTalk-1.3B (GAIR-NLP/LiveTalk), imported: a causal video diffusion transformer that makes every pixel.',
    latentKind: 'pixels',
    ...described,
    files: stated,
    avatars: avatars.map(({ id, name }) => ({ id, name, style: 'photograph', image: `avatars/${id}.png` })),
  } satisfies VideoManifest);
  for (const [path, bytes] of Object.entries(files)) {
    if (path === CHECKPOINT_MANIFEST) continue;
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), bytes);
  }
  await writeFile(join(folder, 'model.json'), `${JSON.stringify(manifest, undefined, 2)}\n`);
  return manifest;
}

/** What the services read of a LiveTalk's sizes. */
export function liveTalkSizes(
  decoder: LiveTalkManifestOptions['decoder'],
  sizes: LiveTalkSizes = LIVETALK_SIZES,
): VideoSizes {
  const { grid, scale, codec, fps, chunk, hearing, schedule } = sizes;
  const frames = chunk.latentFrames * chunk.temporalCompression;
  return {
    name: 'livetalk',
    ...{ fps, chunk, width: scale * grid.width, height: scale * grid.height },
    latent: { ...grid, channels: codec.latentChannels },
    audio: {
      sampleRateHz: SPEECH_RATE_HZ,
      historySamples: ((hearing.frames - frames) * SPEECH_RATE_HZ) / fps,
      encoder: { ...sizes.audio, sampleRateHz: hearing.sampleRateHz },
    },
    score: {
      dit: liveTalkDescription(sizes.score),
      schedule: shiftedLevels(schedule.steps, schedule.shift),
      // Its levels are among those that the network was distilled at.
      ...(schedule.fastSteps !== undefined && {
        tiers: { fast: { schedule: shiftedLevels(schedule.fastSteps, schedule.shift) } },
      }),
      sampler: 'renoise',
      prompt: sizes.prompt,
    },
    codec,
    decoder: decoder === 'codec' ? { kind: 'codec' } : { kind: 'taehv', sizes: sizes.smallDecoder },
  };
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
