/** What the pods took to start and what they hold then, as the kubelet measures it. */
import type { ClusterObject } from '../kubectl.js';
import { NODE_NAME } from '../node/worker-node.js';
import { type Check, NAMESPACE, RELEASE } from './check.js';

const MIB = 1024 * 1024;

export const resources: Check = {
  name: 'CPU seconds and resident MiB of each pod after its start',
  async run(kubectl) {
    const summary = JSON.parse(await kubectl.kubectl('get', '--raw', `/api/v1/nodes/${NODE_NAME}/proxy/stats/summary`));
    const pods = summary.pods.filter(({ podRef }: ClusterObject) => podRef.namespace === NAMESPACE);
    const measured = pods.map(({ podRef, cpu, memory }: ClusterObject) => {
      const name = podRef.name.replace(`talkmesh-${RELEASE}-`, '').replace(/-[0-9a-f]+-\w+$|-0$/, '');
      return `${name} ${(cpu.usageCoreNanoSeconds / 1e9).toFixed(1)} s ${Math.round(memory.rssBytes / MIB)} MiB`;
    });
    if (measured.length === 0) throw new Error('the kubelet knows no pod of the release');
    return measured.sort().join(', ');
  },
};
