/**
 * Runs the six images as one mesh and renders a talk through it. Started by images.ts in a network namespace of its own, which has only
 * a loopback interface, so that nothing is opened on the machine's network.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SERVICES, type ServiceName } from '@talkmesh/contracts';
import { encodeWav } from '@talkmesh/media';
import { startNatsServer } from '@talkmesh/service-kit/testing';
import { formatTable, type Row } from '../../../test/bench/table.js';
import { talkmesh } from '../../../test/support/cli.js';
import { speak } from '../../../test/support/speech.js';
import { ROOT } from '../../local/src/mesh.js';
import { portsOf, ServiceContainer } from './container.js';
import { ImageStore } from './image-store.js';

const CONTAINER_UID = 65_532;
const MIB = 1024 * 1024;
const say = (line: string): void => void process.stderr.write(`${line}\n`);

const [folder] = process.argv.slice(2);
assert.ok(folder !== undefined, 'Name the folder of the images');
const store = new ImageStore(folder);
const apiKey = randomBytes(24).toString('hex');
await using nats = await startNatsServer();
const env = {
  TALKMESH_NATS_URL: nats.url,
  TALKMESH_API_KEYS: apiKey,
  TALKMESH_TOKEN_SECRET: randomBytes(32).toString('hex'),
  TALKMESH_DRAIN_DEADLINE_MS: '2000',
};
/** The gateway is ready when it has found the workers, so it starts last. */
const order: readonly ServiceName[] = [...SERVICES].sort((a, b) => Number(a === 'gateway') - Number(b === 'gateway'));
const containers = new Map<ServiceName, ServiceContainer>();
const rows: Row[] = [];
try {
  for (const [index, service] of order.entries()) {
    const begin = performance.now();
    const container = await ServiceContainer.start(store, service, portsOf(index), env);
    containers.set(service, container);
    await container.ready();
    rows.push({ ...(await checked(service, container)), 'ready s': (performance.now() - begin) / 1000 });
    say(`${service} is ready`);
  }
  const gateway = containers.get('gateway') as ServiceContainer;
  rows.push(await renderThrough(gateway));
  for (const [service, container] of containers) assert.equal(await container.stop(), 0, `${service} drains and exits`);
} finally {
  for (const container of containers.values()) await container.remove();
}
process.stdout.write(`${formatTable('Images', rows)}\n`);
process.exit(0);

/** What every image promises. @returns what was measured */
async function checked(service: ServiceName, container: ServiceContainer): Promise<Row> {
  await container.healthcheck();
  const { uid, residentKib, command } = await container.process();
  assert.equal(uid, CONTAINER_UID, `${service} does not run as root`);
  assert.doesNotMatch(command, /tsx|\.ts\b/, `${service} runs compiled JavaScript`);
  const write = ['node', '-e', 'require("node:fs").writeFileSync("/app/written", "")'];
  await assert.rejects(container.exec(write), /EROFS/, `${service} has a read-only root`);
  const installed = ['node', '-p', 'require("node:fs").readdirSync("/app/node_modules").join()'];
  assert.doesNotMatch(
    await container.exec(installed),
    /\b(tsx|typescript|esbuild)\b/,
    `${service} has production packages only`,
  );
  const image = await store.inspect(service);
  return { image: service, MiB: Math.round(image.Size / MIB), 'RSS MiB': Math.round(residentKib / 1024) };
}

async function renderThrough({ ports }: ServiceContainer): Promise<Row> {
  const work = await mkdtemp(join(tmpdir(), 'talkmesh-images-'));
  try {
    const wav = join(work, 'speech.wav');
    await writeFile(wav, encodeWav(speak('Six containers say this sentence together.'), 24_000));
    const address = ['--url', `http://127.0.0.1:${ports.http}`, '--grpc', `127.0.0.1:${ports.grpc}`, '--key', apiKey];
    const files = [
      '--picture',
      join(ROOT, 'test/fixtures/unseen-avatar.jpg'),
      '--audio',
      wav,
      '--out',
      join(work, 'talk.mp4'),
    ];
    const begin = performance.now();
    const { code, stdout, stderr } = await talkmesh(['render', ...files, ...address, '--json']);
    assert.equal(code, 0, stderr);
    const { frames } = JSON.parse(stdout) as { frames: number };
    assert.ok(frames > 25, `${frames} frames`);
    say(`a talk of ${frames} frames was rendered through the containers`);
    return { image: `a talk of ${frames} frames`, 'ready s': (performance.now() - begin) / 1000 };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
