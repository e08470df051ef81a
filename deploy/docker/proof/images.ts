/**
 * `npm run images`: builds the image of every service with buildah, runs them with podman as user 65532 on a read-only root, and renders a
 * talk through them. Needs root and a Debian machine, no container daemon and no image registry.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { SERVICES } from '@talkmesh/contracts';
import { installPrograms, installTools } from '../../../test/support/tools.js';
import { ROOT } from '../../local/src/mesh.js';
import { BASE, ImageStore } from './image-store.js';
import { runProgram } from './program.js';

/** Programs with their Debian packages. */
const PROGRAMS = { podman: 'podman', buildah: 'buildah', runc: 'runc', mmdebstrap: 'mmdebstrap', ip: 'iproute2' };
const FOLDER = process.env['TALKMESH_IMAGES_DIR'] || join(ROOT, '.cache/images');
const say = (line: string): void => void process.stderr.write(`${line}\n`);

await installTools(say);
await installPrograms(PROGRAMS, say);
const store = new ImageStore(FOLDER);
say('base image: Debian and this machine’s Node');
await store.makeBase();
for (const service of SERVICES) {
  const begin = performance.now();
  await store.buildService(service);
  const { Config: config } = await store.inspect(service);
  assert.equal(config.User, '65532:65532', service);
  say(`${service}: built in ${Math.round((performance.now() - begin) / 1000)} s`);
}
// Without a CUDA image at hand only the refusals can be shown.
await assert.rejects(store.buildService('score-model', ['DEVICE=cuda']), /needs an image with CUDA/);
await assert.rejects(
  store.build('Dockerfile.cuda', 'localhost/talkmesh/cuda-node:proof', [`CUDA=${BASE}`]),
  /no cuDNN 9/,
);
const run = [process.execPath, ...process.execArgv, join(import.meta.dirname, 'run-services.ts'), FOLDER];
const inside = ['-c', 'ip link set lo up && exec "$@"', 'sh', ...run];
process.stdout.write(
  await runProgram('unshare', ['--mount', '--net', '--propagation', 'private', 'sh', ...inside], { show: true }),
);
