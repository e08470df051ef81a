/** The kernel ends a worker in the middle of a call, because its container has no memory left. */
import { disturbedCall } from '../calls.js';
import { type Installation, inNamespace, type NodeCheck, selectorOf } from './check.js';
import { CALL_SECONDS, referenceFrames } from './rolled-calls.js';

const SERVICE = 'vae-decode';
const FILL_AT_FRAME = 25;
/** Each is smaller than the service, so the kernel ends the service first when all of them together exceed the limit. */
const FILL = `
const { spawn } = require('node:child_process');
const hold = "Buffer.alloc(60 << 20, 1); setTimeout(() => {}, 60_000)";
for (let i = 0; i < 24; i++) spawn(process.execPath, ['-e', 'globalThis.held = ' + hold], { stdio: 'ignore' });
setTimeout(() => {}, 60_000);`;

export const outOfMemory: NodeCheck = {
  name: `a call continues after ${SERVICE} was ended for want of memory`,
  async run(installation) {
    const { kubectl } = installation;
    const mesh = await installation.gateway();
    const expected = await referenceFrames(mesh);
    const [pod, before] = await stateOf(installation);
    const summary = await disturbedCall(mesh, {
      seconds: CALL_SECONDS,
      atFrame: FILL_AT_FRAME,
      async event() {
        // The command ends with the container.
        await kubectl.kubectl('exec', inNamespace, pod, '--', 'node', '-e', FILL).catch(() => {});
        await kubectl.kubectl('wait', inNamespace, '--for=condition=Ready', `pod/${pod}`, '--timeout=90s');
      },
    });
    const [, after, reason] = await stateOf(installation);
    if (after !== before + 1 || reason !== 'OOMKilled')
      throw new Error(
        `the container restarted ${after - before} times, last with ${reason}, instead of once with OOMKilled`,
      );
    if (summary.framesSha256 !== expected) throw new Error('the frames differ from those of an undisturbed call');
    return `${summary.frames} frames as in an undisturbed call, every sample once; the container was restarted once, OOMKilled`;
  },
};

/** Name of the service's pod, restarts of its container, and why it ended last. */
async function stateOf({ kubectl }: Installation): Promise<[pod: string, restarts: number, reason: string]> {
  const { items } = await kubectl.get('pods', inNamespace, selectorOf(SERVICE));
  const [{ metadata, status }] = items;
  const [container] = status.containerStatuses;
  return [metadata.name, container.restartCount, container.lastState.terminated?.reason ?? 'nothing'];
}
