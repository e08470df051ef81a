import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ServiceName } from '@talkmesh/contracts';
import type { Mesh } from '../../deploy/local/src/mesh.js';

/** Samples of a service's /metrics, by name with labels as they are printed. */
export type Samples = ReadonlyMap<string, number>;

/** Reads /metrics of a running service; its address is in its log's `ready` line. @param instanceId which one, of several workers */
export async function readMetrics(mesh: Mesh, service: ServiceName, instanceId?: string): Promise<Samples> {
  const ofAny = (): string[] => readdirSync(mesh.logFolder).filter((name) => name.startsWith(service));
  const files = instanceId === undefined ? [`${service}.log`] : ofAny();
  const lines = files.flatMap((name) => readFileSync(join(mesh.logFolder, name), 'utf8').split('\n'));
  const isOfInstance = (line: string): boolean => instanceId === undefined || line.includes(`"${instanceId}"`);
  const ready = lines.filter((line) => line.includes('"msg":"ready"') && isOfInstance(line)).at(-1);
  if (ready === undefined) throw new Error(`${service} has not reported that it is ready`);
  const { adminAddress } = JSON.parse(ready) as { adminAddress: string };
  const answer = await fetch(`http://${adminAddress}/metrics`, { signal: AbortSignal.timeout(10_000) });
  const samples = new Map<string, number>();
  for (const line of (await answer.text()).split('\n')) {
    const space = line.lastIndexOf(' ');
    if (!line.startsWith('#') && space > 0) samples.set(line.slice(0, space), Number(line.slice(space + 1)));
  }
  return samples;
}

/** Sum of all samples of one metric whose labels contain the given text. */
export function total(samples: Samples, name: string, labels = ''): number {
  let sum = 0;
  for (const [key, value] of samples)
    if ((key === name || key.startsWith(`${name}{`)) && key.includes(labels)) sum += value;
  return sum;
}
