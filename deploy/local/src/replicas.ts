import { MeshError, OPEN_ORDER, type WorkerName } from '@talkmesh/contracts';

/** Number of processes per worker service; 1 where none is given. */
export type Replicas = Partial<Record<WorkerName, number>>;

export const MAX_REPLICAS = 16;

/**
 * Parses a text such as `score-model=2,vae-decode=2`; an empty text means one process of each service.
 * @throws MeshError CONFIG_INVALID naming the invalid part
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
        `TALKMESH_REPLICAS: "${part}" must have the form <service>=<1 to ${MAX_REPLICAS}>; the services are ${OPEN_ORDER.join(', ')}`,
      );
    replicas[service] = number;
  }
  return replicas;
}
