/** Lengths of a chunk: a deployment chooses one of those that its model does, the same for all its services. */
import { z } from 'zod';
import { MeshError } from './errors.js';
import type { ModelManifest } from './manifest.js';

export const CHUNK_LENGTH_SETTING = 'TALKMESH_CHUNK_LATENT_FRAMES';

/** Shape of the setting; 0: the model's own length. */
export const chunkLatentFrames = z.coerce.number().int().min(0).max(64).default(0);

/** All lengths of a chunk that a model does, latent frames; its own first. */
export function chunkLengths(manifest: ModelManifest): number[] {
  const others = 'chunkLengths' in manifest ? (manifest.chunkLengths ?? []) : [];
  return [manifest.chunk.latentFrames, ...others.map(({ latentFrames }) => latentFrames)];
}

/**
 * The manifest of a model for a length of its chunks. Another length than the model's own is part of the version: so services of different lengths are
 * kept apart as those of different versions are.
 * @param latentFrames 0: the model's own length
 * @throws MeshError CONFIG_INVALID with the lengths that there are
 */
export function withChunkLength<M extends ModelManifest>(manifest: M, latentFrames: number): M {
  if (latentFrames === 0 || latentFrames === manifest.chunk.latentFrames) return manifest;
  const other =
    'chunkLengths' in manifest
      ? manifest.chunkLengths?.find((length) => length.latentFrames === latentFrames)
      : undefined;
  if (other === undefined || !('graphs' in manifest))
    throw new MeshError(
      'CONFIG_INVALID',
      `${manifest.name} has no chunks of ${latentFrames} latent frames; set ${CHUNK_LENGTH_SETTING} to ${chunkLengths(manifest).join(' or ')}`,
    );
  const { version, chunk, graphs } = manifest;
  return {
    ...manifest,
    version: `${version}${version.includes('+') ? '.' : '+'}chunk${latentFrames}`,
    chunk: { ...chunk, latentFrames },
    graphs: { audio: graphs.audio, ...other.graphs },
  };
}
