/** A viewer over WebRTC on the node, as a browser would be whose packets reach the pods. */
import { until } from '@talkmesh/service-kit/testing';
import { watchCall } from '../../../test/support/watch-call.js';
import { syllables } from '../../local/src/smoke.js';
import { firstAvatar } from '../calls.js';
import type { NodeCheck } from './check.js';

const SECONDS = 5;
const PATIENCE_MS = 90_000;

export const viewer: NodeCheck = {
  name: 'a viewer over WHEP sees and hears the call',
  async run(installation) {
    const mesh = await installation.gateway();
    await using call = await watchCall(mesh, await firstAvatar(mesh));
    void call.say(syllables(SECONDS).pcm);
    // The tone is loud for about three quarters of each syllable.
    const isThrough = async (): Promise<boolean> => {
      const { frames, loudBlocks } = await call.report();
      return frames > SECONDS * 10 && loudBlocks > SECONDS * 40;
    };
    await until('picture and sound of the call', isThrough, PATIENCE_MS);
    const { frames, width, height, loudBlocks, state } = await call.report();
    if (state !== 'connected') throw new Error(`the peer connection is ${state}`);
    return `${frames} frames of ${width}x${height}, ${(loudBlocks / 100).toFixed(1)} s of sound`;
  },
};
