/** Calls in whose middle the pods of a service are replaced, as an upgrade does. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ServiceName } from '@talkmesh/contracts';
import type { RemoteMesh } from '../../local/src/render/options.js';
import { disturbedCall, gatewayOf, makeCall, placementOf } from '../calls.js';
import type { Kubectl } from '../kubectl.js';
import { type Check, inNamespace, nameOf, selectorOf, timed } from './check.js';

/** Length of the calls that are compared with the undisturbed one. */
export const CALL_SECONDS = 15;
const ROLL_AT_FRAME = 25;
const MOVE_MS = 60_000;

let undisturbed: Promise<string> | undefined;
/** SHA-256 of the frames of a call that nothing disturbs. */
export function referenceFrames(mesh: RemoteMesh): Promise<string> {
  undisturbed ??= makeCall(mesh, { seconds: CALL_SECONDS }).then(({ framesSha256 }) => framesSha256);
  return undisturbed;
}

const rolledCall = (service: ServiceName): Check => ({
  name: `a call continues while ${service} is rolled`,
  async run(kubectl) {
    const mesh = await gatewayOf(kubectl);
    const expected = await referenceFrames(mesh);
    const before = await podsOf(kubectl, service);
    const call = await disturbedCall(mesh, {
      seconds: CALL_SECONDS,
      atFrame: ROLL_AT_FRAME,
      async event() {
        const old = (await placementOf(mesh))[service] ?? '';
        const { seconds } = await timed(() => roll(kubectl, service));
        return `new pod ready after ${seconds} s; moved from ${old} to ${await workerAfter(mesh, service, old)}`;
      },
    });
    if (call.framesSha256 !== expected) throw new Error('the frames differ from those of an undisturbed call');
    await untilGone(kubectl, before);
    return `${call.frames} frames as in an undisturbed call, every sample once; ${call.result}`;
  },
});

/** Replaces the pods of a service. Resolves when the new ones are ready and serve, while the old ones may still drain. */
async function roll(kubectl: Kubectl, service: ServiceName): Promise<void> {
  const deployment = `deployment/${nameOf(service)}`;
  await kubectl.kubectl('rollout', 'restart', inNamespace, deployment);
  await kubectl.kubectl('rollout', 'status', inNamespace, deployment, '--timeout=180s');
}

/** Resolves when the service has this many pods, and they are ready. */
export async function scale(kubectl: Kubectl, service: ServiceName, replicas: number): Promise<void> {
  const deployment = `deployment/${nameOf(service)}`;
  await kubectl.kubectl('scale', inNamespace, deployment, `--replicas=${replicas}`);
  await kubectl.kubectl('rollout', 'status', inNamespace, deployment, '--timeout=120s');
}

export const podsOf = async (kubectl: Kubectl, service: ServiceName): Promise<string[]> =>
  (await kubectl.get('pods', inNamespace, selectorOf(service))).items.map(
    ({ metadata }: { metadata: { name: string } }) => metadata.name,
  );

/** Waits until pods that drain have ended. */
export async function untilGone(kubectl: Kubectl, pods: readonly string[]): Promise<void> {
  await kubectl.kubectl('wait', inNamespace, '--for=delete', ...pods.map((pod) => `pod/${pod}`), '--timeout=120s');
}

/** Waits until the open session's stage is at another worker than `old`. @returns that worker */
export async function workerAfter(mesh: RemoteMesh, service: ServiceName, old: string): Promise<string> {
  for (const end = Date.now() + MOVE_MS; Date.now() < end; await sleep(200)) {
    const now = (await placementOf(mesh))[service] ?? old;
    if (now !== old) return now;
  }
  throw new Error(`${service} was rolled, but the session's stage stays at ${old}`);
}

const ROLLED = ['audio-ingest', 'audio-llm-bridge', 'score-model', 'vae-decode'] as const;
export const rolledCalls: readonly Check[] = ROLLED.map(rolledCall);
