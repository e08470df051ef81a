import { flashHeadTensors } from '../compile/index.js';
import type { WantedNetwork } from './find-networks.js';
import { liveTalkNetworks } from './livetalk-networks.js';

/** The files that FlashHead-1.3B Pro needs (Soul-AILab/SoulX-FlashHead, README.md). Codec and audio encoder are those of LiveTalk. */
export function flashHeadNetworks(): WantedNetwork[] {
  return [
    {
      name: 'score',
      about: 'the weights in Model_Pro of Soul-AILab/SoulX-FlashHead-1_3B',
      anchor: 'patch_embedding.weight',
      variants: [new Map([...flashHeadTensors()].map(([name, { dims }]) => [name, dims]))],
    },
    ...liveTalkNetworks().filter(({ name }) => name === 'codec' || name === 'audio'),
  ];
}
