/** The container of a stage runs out of memory in the middle of a call. */
import type { ServiceName } from '@talkmesh/contracts';
import { disturbedCall, gatewayOf, placementOf } from '../calls.js';
import type { ClusterObject, Kubectl } from '../kubectl.js';
import { type Check, inNamespace, nameOf, selectorOf, timed } from './check.js';
import { CALL_SECONDS, referenceFrames, workerAfter } from './rolled-calls.js';

const AT_FRAME = 25;
/** The kernel ends the process that holds most. Each of these holds less than the service, and all of them more than the limit of 1 GiB. */
const HOGS = 40;
const HOG_MIB = 30;
const FILL = `for i in $(seq ${HOGS}); do perl -e '$size = ${HOG_MIB} << 20; $held = "x" x $size; sleep 60' & done; wait`;

const exhaustedCall = (service: ServiceName): Check => ({
  name: `a call continues after ${service} ran out of memory`,
  async run(kubectl) {
    const mesh = await gatewayOf(kubectl);
    const expected = await referenceFrames(mesh);
    const call = await disturbedCall(mesh, {
      seconds: CALL_SECONDS,
      atFrame: AT_FRAME,
      async event() {
        const old = (await placementOf(mesh))[service] ?? '';
        const before = await restartsOf(kubectl, service);
        // Ends with the container, so its exit code says nothing.
        await kubectl.succeeds('exec', inNamespace, `deployment/${nameOf(service)}`, '--', 'sh', '-c', FILL);
        const { result, seconds } = await timed(() => workerAfter(mesh, service, old));
        await requireKilled(kubectl, service, before);
        return `moved to ${result} ${seconds} s after the kernel had ended it`;
      },
    });
    if (call.framesSha256 !== expected) throw new Error('the frames differ from those of an undisturbed call');
    return `${call.frames} frames as in an undisturbed call, every sample once; ${call.result}`;
  },
});

async function containerOf(kubectl: Kubectl, service: ServiceName): Promise<ClusterObject> {
  const { items } = await kubectl.get('pods', inNamespace, selectorOf(service));
  return items[0].status.containerStatuses[0];
}

const restartsOf = async (kubectl: Kubectl, service: ServiceName): Promise<number> =>
  (await containerOf(kubectl, service)).restartCount;

async function requireKilled(kubectl: Kubectl, service: ServiceName, before: number): Promise<void> {
  const { restartCount, lastState } = await containerOf(kubectl, service);
  const reason = lastState.terminated?.reason;
  if (restartCount !== before + 1 || reason !== 'OOMKilled')
    throw new Error(`the container ended ${restartCount - before} times, for the reason ${reason}`);
}

export const exhausted: readonly Check[] = [exhaustedCall('vae-decode')];
