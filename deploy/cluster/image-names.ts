/** Names of the images that the node runs; no registry is asked for them. */
import type { ServiceName } from '@talkmesh/contracts';

export const REGISTRY = 'localhost';
export const TAG = 'proof';
export const NATS_IMAGE = `${REGISTRY}/talkmesh/nats:${TAG}`;
export const imageOf = (service: ServiceName): string => `${REGISTRY}/talkmesh/${service}:${TAG}`;
export const PAUSE_IMAGE = `${REGISTRY}/talkmesh/pause:${TAG}`;

/** What the chart must be told about it. */
export const imageFlags: readonly string[] = [
  `--set=image.registry=${REGISTRY},image.tag=${TAG},image.pullPolicy=Never`,
  `--set=nats.image=${NATS_IMAGE}`,
];
