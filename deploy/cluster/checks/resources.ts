/** What the pods took to start and what they hold then, as the kubelet measures it. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClusterObject, Kubectl } from '../kubectl.js';
import { NODE_NAME } from '../node/worker-node.js';
import { type Check, NAMESPACE, RELEASE } from './check.js';

const MIB = 1024 * 1024;
/** The kubelet counts every 10 to 20 s. */
const COUNTED_MS = 60_000;

/** Statistics of the pods of the release, once the kubelet has counted each of them. @throws Error when it does not */
async function countedPods(kubectl: Kubectl): Promise<ClusterObject[]> {
  const { items } = await kubectl.get('pods', `--namespace=${NAMESPACE}`);
  for (const end = Date.now() + COUNTED_MS; ; await sleep(1000)) {
    const summary = JSON.parse(await kubectl.kubectl('get', '--raw', `/api/v1/nodes/${NODE_NAME}/proxy/stats/summary`));
    const counted = summary.pods.filter(
      ({ podRef, cpu, memory }: ClusterObject) =>
        podRef.namespace === NAMESPACE && cpu?.usageCoreNanoSeconds > 0 && memory?.rssBytes > 0,
    );
    if (counted.length === items.length) return counted;
    if (Date.now() > end) throw new Error(`the kubelet has counted ${counted.length} of ${items.length} pods`);
  }
}

export const resources: Check = {
  name: 'CPU seconds and resident MiB of each pod after its start',
  async run(kubectl) {
    const pods = await countedPods(kubectl);
    const measured = pods.map(({ podRef, cpu, memory }: ClusterObject) => {
      const name = podRef.name.replace(`talkmesh-${RELEASE}-`, '').replace(/-[0-9a-f]+-\w+$|-0$/, '');
      return `${name} ${(cpu.usageCoreNanoSeconds / 1e9).toFixed(1)} s ${Math.round(memory.rssBytes / MIB)} MiB`;
    });
    return measured.sort().join(', ');
  },
};
