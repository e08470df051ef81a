import { MeshError, OPEN_ORDER, type WorkerName } from '@talkmesh/contracts';

/** How many processes of each worker service run. */
export type Replicas = Partial<Record<WorkerName, number>>;

export const MAX_REPLICAS = 16;

/**
 * `score-model=2,vae-decode=2` as numbers; empty: one of each.
 * @throws MeshError CONFIG_INVALID naming what is wrong
 */
export function parseReplicas(text: string): Replicas {
  const replicas: Replicas = {};
  for (const part of text.split(',').map((item) => item.trim())) {
    if (part === '') continue;
    const [, name, count] = /^([a-z-]+)=(\d{1,3})$/.exec(part) ?? [];
    const service = OPEN_ORDER.find((known) => known === name);
    const number = Number(count);
    if (service === undefined || number < 1 || number > MAX_REPLICAS)
      throw new MeshError(
        'CONFIG_INVALID',
        `TALKMESH_REPLICAS: "${part}" is not <service>=<1 to ${MAX_REPLICAS}>; services are ${OPEN_ORDER.join(', ')}`,
      );
    replicas[service] = number;
  }
  return replicas;
}
