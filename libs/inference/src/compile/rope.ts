import type { DitDescription } from '@talkmesh/contracts';
import type { DitGeometry } from './types.js';

/** Tokens of one latent frame, row by row. */
export function slotsOf(dit: DitDescription, geometry: DitGeometry): number {
  return (geometry.height / dit.patch.size[0]) * (geometry.width / dit.patch.size[1]);
}

export function tokensOf(dit: DitDescription, geometry: DitGeometry): number {
  return geometry.latentFrames * slotsOf(dit, geometry);
}

/** Channels that the network takes: the latents and those that are given. */
export function enteringChannels({ channels, given = 0 }: DitGeometry): number {
  return channels + given;
}

/** Number of values in one token's patch: C * h * w. */
export function patchValues(dit: DitDescription, channels: number): number {
  return channels * dit.patch.size[0] * dit.patch.size[1];
}

/**
 * cos and sin for every position in the window (context chunks, then the chunk), flat [(contextChunks + 1) * T, head / 2],
 * computed in double precision. Positions are relative to the window, so they do not depend on how long the session has run.
 */
export function ropeTables(dit: DitDescription, geometry: DitGeometry): { cos: Float32Array; sin: Float32Array } {
  return ropeRows(dit, geometry, 0, (dit.rope.contextChunks + 1) * geometry.latentFrames);
}

/** The same for `frames` latent frames from number `first` of the session on, [frames * slots, head / 2]. */
export function ropeRows(
  dit: DitDescription,
  geometry: DitGeometry,
  first: number,
  frames: number,
): { cos: Float32Array; sin: Float32Array } {
  const slots = slotsOf(dit, geometry);
  const columns = geometry.width / dit.patch.size[1];
  const tokens = frames * slots;
  const angles = new Float64Array((tokens * dit.dim) / dit.heads / 2);
  let at = 0;
  for (let token = 0; token < tokens; token++) {
    const slot = token % slots;
    const position = {
      frame: first + Math.floor(token / slots),
      row: Math.floor(slot / columns),
      column: slot % columns,
    };
    for (const { axis, pairs, theta } of dit.rope.axes)
      for (let pair = 0; pair < pairs; pair++) angles[at++] = position[axis] * theta ** (-pair / pairs);
  }
  return { cos: Float32Array.from(angles, Math.cos), sin: Float32Array.from(angles, Math.sin) };
}
