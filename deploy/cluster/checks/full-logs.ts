/** The volume of the containers' logs becomes full, and has room again. */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { runProgram } from '../../docker/proof/program.js';
import { gatewayOf, makeCall } from '../calls.js';
import type { Kubectl } from '../kubectl.js';
import { type Check, inNamespace, nameOf } from './check.js';
import { CALL_SECONDS, referenceFrames } from './rolled-calls.js';

/** A volume of its own on this node, as on many (namespaces.sh). */
const FOLDER = '/var/log/pods';
const FILL = join(FOLDER, 'fill');
const LOGGED_MS = 20_000;
const POLL_MS = 500;

/** Bytes that are free in FOLDER. */
async function freeBytes(): Promise<number> {
  const text = await runProgram('stat', ['--file-system', '--format=%a %S', FOLDER]);
  const [blocks = 0, size = 0] = text.trim().split(' ').map(Number);
  return blocks * size;
}

/** Lines that the gateway has logged since `time` and that the node has kept. */
async function linesSince(kubectl: Kubectl, time: string): Promise<number> {
  const flags = ['--all-containers', `--since-time=${time}`];
  const text = await kubectl.kubectl('logs', inNamespace, `deployment/${nameOf('gateway')}`, ...flags);
  return text.split('\n').filter((line) => line !== '').length;
}

export const fullLogs: Check = {
  name: 'a call is as always while the volume of logs is full, and logs go on once it has room',
  async run(kubectl) {
    const mesh = await gatewayOf(kubectl);
    const expected = await referenceFrames(mesh);
    const free = await freeBytes();
    await writeFile(FILL, Buffer.alloc(free));
    try {
      const left = await freeBytes();
      if (left > 0) throw new Error(`${left} bytes of the volume of logs are still free`);
      const { framesSha256 } = await makeCall(mesh, { seconds: CALL_SECONDS });
      if (framesSha256 !== expected) throw new Error('the frames differ from those of an undisturbed call');
    } finally {
      await rm(FILL, { force: true });
    }
    const time = new Date().toISOString();
    await makeCall(mesh, { seconds: 2 });
    for (const end = Date.now() + LOGGED_MS; (await linesSince(kubectl, time)) === 0; await sleep(POLL_MS))
      if (Date.now() > end) throw new Error('the gateway logs nothing since the volume has room again');
    return `${Math.round(free / 1024)} KiB were filled; the frames are those of an undisturbed call`;
  },
};
