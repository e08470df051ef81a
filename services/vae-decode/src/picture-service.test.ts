import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { type Landmarks, MeshError } from '@talkmesh/contracts';
import { v1 } from '@talkmesh/contracts/protos';
import type { PortraitFinder, PortraitFinding } from '@talkmesh/inference';
import { callUnary, closeClient, connectClient } from '@talkmesh/service-kit';
import { pictureService } from './picture-service.js';

type Finder = Pick<PortraitFinder, 'find' | 'assess'>;
type Answer = { landmarks: number[]; found: boolean; fits: boolean; reasons: object[]; kinds: Record<string, number> };

const FACE: Landmarks = [
  [32, 40],
  [24, 28],
  [40, 28],
];
const FINDING: PortraitFinding = {
  landmarks: FACE,
  confidence: [1, 0.5, 1],
  kinds: { fits: 0.75, none: 0.25 },
  mouthOpen: 0,
  blink: 0,
  yaw: 0,
  pitch: 0,
  distance: 1,
};
const closing: (() => void)[] = [];
after(() => {
  for (const close of closing) close();
});

async function serving(
  finder: Finder | undefined,
): Promise<(rgb: Uint8Array, landmarks?: number[]) => Promise<Answer>> {
  const server = new Server();
  const { definition, implementation } = pictureService(finder);
  server.addService(definition, implementation);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  const client = connectClient(v1.PictureService, `127.0.0.1:${port}`);
  closing.push(() => {
    closeClient(client);
    server.forceShutdown();
  });
  return (rgb, landmarks = []) => callUnary(client, 'inspectPicture', { rgb, landmarks }, { deadlineMs: 5000 });
}

test('a picture goes to the finder as it is; finding and verdict come back', async () => {
  const seen: [Uint8Array, Landmarks | undefined][] = [];
  const inspect = await serving({
    find: async (rgb) => {
      seen.push([rgb, undefined]);
      return FINDING;
    },
    assess: (_finding, given) => {
      seen.push([new Uint8Array(), given]);
      return { found: true, fits: false, reasons: [{ code: 'mouth-open', text: 'open' }] };
    },
  });
  const answer = await inspect(Uint8Array.of(1, 2, 3), [1, 2, 3, 4, 5, 6]);
  assert.deepEqual([...(seen[0]?.[0] ?? [])], [1, 2, 3]);
  assert.deepEqual(seen[1]?.[1], [
    [1, 2],
    [3, 4],
    [5, 6],
  ]);
  assert.deepEqual(answer.landmarks, FACE.flat());
  assert.deepEqual([answer.found, answer.fits], [true, false]);
  assert.deepEqual(answer.reasons, [{ code: 'mouth-open', text: 'open' }]);
  assert.deepEqual(answer.kinds, { fits: 0.75, none: 0.25 });
});

test('no finder, wrong size, half of the landmarks: each has its reason', async () => {
  const without = await serving(undefined);
  await assert.rejects(without(new Uint8Array(3)), { reason: 'TOOL_MISSING', message: /no portrait finder/ });
  const inspect = await serving({
    find: async () => {
      throw new MeshError('ARGUMENT_INVALID', 'another size');
    },
    assess: () => ({ found: false, fits: false, reasons: [] }),
  });
  await assert.rejects(inspect(new Uint8Array(3)), { reason: 'ARGUMENT_INVALID' });
  await assert.rejects(inspect(new Uint8Array(3), [1, 2]), { reason: 'ARGUMENT_INVALID', message: /six numbers/ });
});

test('calls do not starve behind pictures: the fifth at once is sent away', async () => {
  let release = (): void => undefined;
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const inspect = await serving({
    find: async () => {
      await held;
      return FINDING;
    },
    assess: () => ({ found: true, fits: true, reasons: [] }),
  });
  const waiting = Array.from({ length: 4 }, () => inspect(new Uint8Array(3)));
  // One connection keeps the order of its calls.
  await assert.rejects(inspect(new Uint8Array(3)), { reason: 'RATE_LIMITED' });
  release();
  assert.equal((await Promise.all(waiting)).length, 4);
  assert.equal((await inspect(new Uint8Array(3))).fits, true);
});
