import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  CHUNK_LENGTH_SETTING,
  chunkLatentFrames,
  MeshError,
  type ModelManifest,
  modelManifest,
  withChunkLength,
} from '@talkmesh/contracts';

/**
 * The manifest of a model, for the length of chunks that the environment chooses.
 * @throws MeshError MODEL_INVALID with the file and what to do; CONFIG_INVALID for a length that the model does not do
 */
export function readManifest(folder: string, env: NodeJS.ProcessEnv = process.env): ModelManifest {
  const path = join(folder, 'model.json');
  const parsed = modelManifest.safeParse(readJson(path));
  if (parsed.success) return withChunkLength(parsed.data, chosenLength(env));
  const issue = parsed.error.issues[0];
  throw new MeshError('MODEL_INVALID', `${path}: ${issue?.path.join('.')} ${issue?.message}`);
}

/** 0: the model's own. @throws MeshError CONFIG_INVALID */
export function chosenLength(env: NodeJS.ProcessEnv): number {
  const text = env[CHUNK_LENGTH_SETTING];
  const parsed = chunkLatentFrames.safeParse(text === '' ? undefined : text);
  if (parsed.success) return parsed.data;
  throw new MeshError('CONFIG_INVALID', `${CHUNK_LENGTH_SETTING}=${text} is not a number of latent frames, such as 3`);
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    const why = (cause as Error).message;
    throw new MeshError('MODEL_INVALID', `${path} cannot be read (${why}); set TALKMESH_MODEL to a model folder`, {
      cause,
    });
  }
}

/** @throws MeshError AVATAR_NOT_FOUND with the ids of all avatars */
export function requireAvatar(id: string, avatars: readonly { readonly id: string }[]): void {
  if (avatars.some((avatar) => avatar.id === id)) return;
  const known = avatars.map((avatar) => avatar.id).join(', ');
  throw new MeshError('AVATAR_NOT_FOUND', `there is no avatar "${id}"; available: ${known}`);
}
