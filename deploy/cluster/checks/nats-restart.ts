/** The only NATS server is replaced in the middle of a call. */
import { disturbedCall, gatewayOf } from '../calls.js';
import { type Check, inNamespace, nameOf, timed } from './check.js';
import { CALL_SECONDS, referenceFrames } from './rolled-calls.js';

const ROLL_AT_FRAME = 100;

export const natsRestart: Check = {
  name: 'a call continues after its only NATS server was replaced',
  async run(kubectl) {
    const mesh = await gatewayOf(kubectl);
    const expected = await referenceFrames(mesh);
    const server = `statefulset/${nameOf('nats')}`;
    const { frames, framesSha256, result } = await disturbedCall(mesh, {
      seconds: CALL_SECONDS,
      atFrame: ROLL_AT_FRAME,
      event: () =>
        timed(async () => {
          await kubectl.kubectl('rollout', 'restart', inNamespace, server);
          await kubectl.kubectl('rollout', 'status', inNamespace, server, '--timeout=120s');
        }),
    });
    const same = framesSha256 === expected ? 'as in' : 'other than in';
    return `${frames} frames, ${same} an undisturbed call; every sample once; a new server was ready after ${result.seconds} s`;
  },
};
