/** Photographs of people in the public domain (test/fixtures/README.md); the places of eyes and mouths were marked by hand. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Executor } from '../executor/executor.js';
import { createOrtExecutor } from '../executor/ort-executor.js';
import { type GraphModel, loadGraphModel } from '../model/model.js';
import { decodePng } from '../model/png.js';
import { FaceDetector } from './face-detector.js';
import { FaceMesh } from './face-mesh.js';
import type { Pixels } from './picture-crop.js';
import { PortraitFinder } from './portrait.js';

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
const photo = (name: string): Pixels => decodePng(readFileSync(`${ROOT}test/fixtures/${name}-face.png`));
const HOPPER = photo('grace-hopper');
const COLLINS = photo('eileen-collins');

let executor: Executor;
let model: GraphModel;
let finder: PortraitFinder;
before(async () => {
  executor = createOrtExecutor({ threads: 1 });
  model = await loadGraphModel(`${ROOT}models/nano`);
  finder = (await PortraitFinder.load(model, executor)) as PortraitFinder;
});
after(() => executor[Symbol.asyncDispose]());

const codes = async ({ rgb }: Pixels): Promise<string[]> =>
  finder.assess(await finder.find(rgb)).reasons.map(({ code }) => code);

/** A picture of the same size in which each pixel comes from the place that `from` names; undefined is black. */
function moved({ rgb, width, height }: Pixels, from: (x: number, y: number) => [number, number] | undefined): Pixels {
  const out = new Uint8Array(rgb.length);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const [sx, sy] = from(x, y) ?? [-1, -1];
      if (sx < 0 || sy < 0 || sx >= width || sy >= height) continue;
      const at = (Math.floor(sy) * width + Math.floor(sx)) * 3;
      out.set(rgb.subarray(at, at + 3), (y * width + x) * 3);
    }
  return { rgb: out, width, height };
}

for (const [name, picture, truth] of [
  [
    'an old woman with glasses and a cap',
    HOPPER,
    [
      [133, 174],
      [96.5, 104],
      [164, 102],
    ],
  ],
  [
    'a woman who smiles',
    COLLINS,
    [
      [120, 167],
      [97, 117],
      [147, 119],
    ],
  ],
] as const)
  test(`eyes and mouth of ${name} are within 8 % of the distance of the eyes`, async () => {
    const finding = await finder.find(picture.rgb);
    const near = 0.08 * (truth[2][0] - truth[1][0]);
    for (const [i, [x, y]] of truth.entries()) {
      const [foundX, foundY] = finding.landmarks[i] as readonly [number, number];
      const off = Math.hypot(foundX - x, foundY - y);
      assert.ok(off < near, `point ${i} is ${off.toFixed(1)} pixels off`);
    }
    assert.equal(finder.assess(finding).found, true);
  });

test('a photograph fits, also one with teeth; a head that is not level is told', async () => {
  assert.deepEqual(await codes(HOPPER), []);
  assert.deepEqual(await codes(COLLINS), []);
  const angle = 0.45;
  const turned = moved(HOPPER, (x, y) => [
    128 + (x - 128) * Math.cos(angle) - (y - 128) * Math.sin(angle),
    128 + (x - 128) * Math.sin(angle) + (y - 128) * Math.cos(angle),
  ]);
  assert.ok((await codes(turned)).includes('tilted'), String(await codes(turned)));
});

test('two faces are several, a face in the background does not count, and a covered or missing face is none', async () => {
  const beside = moved(HOPPER, (x, y) => [(x % 128) * 2, (y - 64) * 2]);
  assert.deepEqual((await codes(beside))[0], 'several-faces');
  const small = moved(HOPPER, (x, y) => (x > 206 && y > 206 ? [(x - 206) * 5, (y - 206) * 5] : [x, y]));
  assert.deepEqual(await codes(small), []);
  const covered = moved(HOPPER, (x, y) => (y > 90 && y < 200 && x > 60 && x < 210 ? undefined : [x, y]));
  const { found } = finder.assess(await finder.find(covered.rgb));
  assert.equal(found, false);
});

test('the shipped drawn avatars are measured by the detector for drawn faces', async () => {
  for (const { id } of model.manifest.avatars)
    assert.deepEqual(await codes({ rgb: model.avatarImage(id), width: 256, height: 256 }), []);
});

test('the mesh of a face is the same in a picture that is moved, smaller and turned', async () => {
  const paths = model.photographPaths();
  assert.ok(paths);
  const detector = await FaceDetector.load(paths.detector, executor);
  const mesh = await FaceMesh.load(paths.mesh, executor);
  const fit = async (picture: Pixels) => {
    const [face] = await detector.find(picture, 0.5);
    assert.ok(face);
    return mesh.fit(picture, face);
  };
  const [angle, scale] = [0.25, 1.4];
  const back = (x: number, y: number): [number, number] => [
    128 + scale * ((x - 128) * Math.cos(angle) - (y - 128) * Math.sin(angle)),
    128 + scale * ((x - 128) * Math.sin(angle) + (y - 128) * Math.cos(angle)),
  ];
  const straight = await fit(COLLINS);
  const turned = await fit(moved(COLLINS, back));
  assert.ok(straight.presence > 0.99 && turned.presence > 0.99);
  assert.equal(straight.points.length, 468);
  const off = straight.points.map(([x, y], i) => {
    const [tx, ty] = turned.points[i] as readonly [number, number, number];
    const [bx, by] = back(tx, ty);
    return Math.hypot(bx - x, by - y);
  });
  const mean = off.reduce((sum, value) => sum + value, 0) / off.length;
  assert.ok(mean < 4, `${mean.toFixed(2)} pixels on average`);
});
