/** The node is drained in the middle of a call, and takes pods again. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ServiceName } from '@talkmesh/contracts';
import { disturbedCall, gatewayOf, placementOf } from '../calls.js';
import type { ClusterObject, Kubectl } from '../kubectl.js';
import { NODE_NAME } from '../node/worker-node.js';
import { type Check, inNamespace, RELEASE, timed } from './check.js';
import { CALL_SECONDS, podsOf, referenceFrames, scale, workerAfter } from './rolled-calls.js';

const DRAIN_AT_FRAME = 25;
/** kubectl asks every 5 s again for an eviction that a disruption budget refuses. */
const REFUSED_MS = 12_000;
const WAIT_MS = 60_000;
const POLL_MS = 200;

const selectorOfAll = (services: readonly ServiceName[]): string =>
  `app.kubernetes.io/instance=${RELEASE},app.kubernetes.io/component in (${services.join()})`;

/** Cordons the node, begins to evict the pods of these services, runs `meanwhile`, and lets pods on the node again. Resolves when the old ones are gone. */
async function drained(
  kubectl: Kubectl,
  services: readonly ServiceName[],
  meanwhile: () => Promise<void>,
): Promise<void> {
  const flags = ['--timeout=180s', '--delete-emptydir-data', `--pod-selector=${selectorOfAll(services)}`];
  const eviction = kubectl.kubectl('drain', NODE_NAME, ...flags);
  // Its error is thrown where it is awaited.
  eviction.catch(() => {});
  try {
    await meanwhile();
  } finally {
    await kubectl.kubectl('uncordon', NODE_NAME);
  }
  await eviction;
}

/** Pods of the services that nothing ends yet. */
async function remaining(kubectl: Kubectl, services: readonly ServiceName[]): Promise<ClusterObject[]> {
  const { items } = await kubectl.get('pods', inNamespace, `--selector=${selectorOfAll(services)}`);
  return items.filter(({ metadata }: ClusterObject) => metadata.deletionTimestamp === undefined);
}

/** @throws Error when `condition` is not true in time */
async function waitFor(what: string, condition: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + WAIT_MS; !(await condition()); await sleep(POLL_MS))
    if (Date.now() > end) throw new Error(`${what}: not after ${WAIT_MS / 1000} s`);
}

/** With two pods of a kind only one may be missing, so the second is evicted when the first has been replaced. */
const budget: Check = {
  name: 'the node is drained in a call: of two vae-decode pods the second goes only when the first is replaced',
  async run(kubectl) {
    const mesh = await gatewayOf(kubectl);
    const expected = await referenceFrames(mesh);
    await scale(kubectl, 'vae-decode', 2);
    const pods = await podsOf(kubectl, 'vae-decode');
    const { frames, framesSha256, result } = await disturbedCall(mesh, {
      seconds: CALL_SECONDS,
      atFrame: DRAIN_AT_FRAME,
      event: () => timed(() => drained(kubectl, ['vae-decode'], () => requireOneToStay(kubectl, pods))),
    });
    if (framesSha256 !== expected) throw new Error('the frames differ from those of an undisturbed call');
    await scale(kubectl, 'vae-decode', 1);
    return `both were gone after ${result.seconds} s; ${frames} frames as in an undisturbed call, every sample once`;
  },
};

async function requireOneToStay(kubectl: Kubectl, pods: readonly string[]): Promise<void> {
  const staying = async (): Promise<number> =>
    (await remaining(kubectl, ['vae-decode'])).filter(({ metadata }) => pods.includes(metadata.name)).length;
  await waitFor('a pod is evicted', async () => (await staying()) < pods.length);
  await sleep(REFUSED_MS);
  const stayed = await staying();
  if (pods.length !== 2 || stayed !== 1)
    throw new Error(`${stayed} of ${pods.length} pods stayed while none could be replaced`);
}

const ALONE = ['audio-ingest', 'audio-llm-bridge', 'score-model', 'vae-decode'] as const;

/** The only pod of a kind keeps its sessions until a new one is ready. */
const alone: Check = {
  name: `the node is drained in a call: its only ${ALONE.join(', ')} go`,
  async run(kubectl) {
    const mesh = await gatewayOf(kubectl);
    const { frames, result } = await disturbedCall(mesh, {
      seconds: CALL_SECONDS,
      atFrame: DRAIN_AT_FRAME,
      async event() {
        const old = await placementOf(mesh);
        const { seconds } = await timed(() => drained(kubectl, ALONE, () => requirePending(kubectl)));
        for (const service of ALONE) await workerAfter(mesh, service, old[service] ?? '');
        return seconds;
      },
    });
    return `gone after ${result} s; new ones continued with ${frames} frames, every sample once`;
  },
};

const requirePending = (kubectl: Kubectl): Promise<void> =>
  waitFor('pods wait for a node', async () => {
    const pods = await remaining(kubectl, ALONE);
    return pods.length === ALONE.length && pods.every(({ status }) => status.phase === 'Pending');
  });

/** In order: they share one release. */
export const drains: readonly Check[] = [budget, alone];
