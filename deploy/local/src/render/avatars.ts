import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { MeshError, type ModelManifest, modelManifest } from '@talkmesh/contracts';

/** @throws MeshError MODEL_INVALID with the file and what to do */
export function readManifest(folder: string): ModelManifest {
  const path = join(folder, 'model.json');
  const parsed = modelManifest.safeParse(readJson(path));
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new MeshError('MODEL_INVALID', `${path}: ${issue?.path.join('.')} ${issue?.message}`);
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
