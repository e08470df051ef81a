import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Landmarks } from '@talkmesh/contracts';
import { createOrtExecutor } from '../executor/ort-executor.js';
import { loadGraphModel } from '../model/model.js';
import { createFixtureModel } from '../testing/index.js';
import {
  assessPortrait,
  landmarksOf,
  PortraitFinder,
  type PortraitFinding,
  type PortraitManifest,
} from './portrait.js';

const NANO = fileURLToPath(new URL('../../../../models/nano', import.meta.url));
const LIMITS: PortraitManifest = {
  graph: 'portrait.onnx',
  kinds: ['fits', 'none', 'several', 'upside_down', 'cut_off', 'too_small', 'unlike'],
  minFits: 0.5,
  maxDistance: 2,
  maxYaw: 1,
  maxMouthOpen: 0.4,
  maxBlink: 0.6,
  minConfidence: 0.5,
  boxes: { mouth: [80, 56, 20], eye: [48, 64, 44] },
};
const FACE: Landmarks = [
  [128, 170],
  [99, 121],
  [157, 121],
];
const finding = (change: Partial<PortraitFinding> = {}): PortraitFinding => ({
  landmarks: FACE,
  confidence: [0.9, 0.9, 0.9],
  kinds: { fits: 0.97, none: 0.03 },
  mouthOpen: 0.05,
  blink: 0.05,
  yaw: 0.1,
  pitch: 0,
  distance: 1,
  ...change,
});
const codes = (change: Partial<PortraitFinding>, given?: Landmarks): string[] =>
  assessPortrait(finding(change), LIMITS, given).reasons.map(({ code }) => code);

test('a face like those in training fits, without reasons', () => {
  assert.deepEqual(assessPortrait(finding(), LIMITS), { found: true, fits: true, reasons: [] });
});

test('each defect of a picture has its own reason', () => {
  assert.deepEqual(codes({ kinds: { none: 0.9, fits: 0.1 } }), ['no-face']);
  assert.deepEqual(codes({ kinds: { several: 0.9, fits: 0.1 } }), ['several-faces']);
  assert.deepEqual(codes({ kinds: { upside_down: 0.9, fits: 0.1 } }), ['upside-down']);
  assert.deepEqual(codes({ kinds: { cut_off: 0.9, fits: 0.1 } }), ['cut-off']);
  assert.deepEqual(codes({ kinds: { too_small: 0.9, fits: 0.1 } }), ['too-small']);
  assert.deepEqual(codes({ kinds: { unlike: 0.9, fits: 0.1 } }), ['unlike-training']);
  assert.deepEqual(codes({ confidence: [0.9, 0.2, 0.9] }), ['no-face']);
  assert.deepEqual(codes({ distance: 3 }), ['unlike-training']);
  assert.deepEqual(codes({ kinds: { fits: 0.4, unlike: 0.3, none: 0.3 } }), ['unlike-training']);
  assert.deepEqual(codes({ yaw: -1.2 }), ['turned-away']);
  assert.deepEqual(codes({ mouthOpen: 0.8, blink: 0.9 }), ['mouth-open', 'eyes-closed']);
});

test('the positions of eyes and mouth are assessed too; given ones take precedence over detected ones', () => {
  const tilted: Landmarks = [
    [128, 170],
    [100, 105],
    [150, 140],
  ];
  assert.deepEqual(codes({ landmarks: tilted }), ['tilted']);
  const long: Landmarks = [
    [128, 220],
    [99, 100],
    [157, 100],
  ];
  assert.deepEqual(codes({ landmarks: long }), ['proportions']);
  assert.deepEqual(codes({ landmarks: long }, FACE), ['landmarks-moved']);
  assert.deepEqual(codes({}, FACE), []);
});

test('a photograph is found but does not fit', () => {
  const verdict = assessPortrait(finding({ kinds: { unlike: 0.8, fits: 0.2 } }), LIMITS);
  assert.deepEqual([verdict.found, verdict.fits], [true, false]);
  assert.match(verdict.reasons[0]?.text ?? '', /photograph.*drawn faces.*poor mouth/);
});

test('landmarks must be six finite numbers', () => {
  assert.deepEqual(landmarksOf([1, 2, 3, 4, 5, 6]), [
    [1, 2],
    [3, 4],
    [5, 6],
  ]);
  for (const wrong of [[], [1, 2, 3], [1, 2, 3, 4, 5, Number.NaN]])
    assert.throws(() => landmarksOf(wrong), { reason: 'ARGUMENT_INVALID' });
});

test("nano finds its own avatars' eyes and mouths within 4 pixels, also mirrored and shifted, and accepts them", async () => {
  const model = await loadGraphModel(NANO);
  await using executor = createOrtExecutor({ threads: 1 });
  const finder = (await PortraitFinder.load(model, executor)) as PortraitFinder;
  const { width, height, avatars } = model.manifest;
  const errors: number[] = [];
  let passed = 0;
  let looked = 0;
  for (const { id, landmarks } of avatars)
    for (const [flip, dx, dy] of [
      [false, 0, 0],
      [true, 9, -6],
    ] as const) {
      const picture = shifted(model.avatarImage(id), width, height, flip, dx, dy);
      const found = await finder.find(picture);
      const truth = moved(landmarks, width, flip, dx, dy);
      errors.push(
        ...found.landmarks.map(([x, y], i) => Math.hypot(x - (truth[i]?.[0] ?? 0), y - (truth[i]?.[1] ?? 0))),
      );
      passed += finder.assess(found).fits ? 1 : 0;
      looked += 1;
    }
  errors.sort((a, b) => a - b);
  assert.ok((errors[Math.floor(errors.length / 2)] ?? 99) < 4, `median ${errors[Math.floor(errors.length / 2)]}`);
  assert.ok((errors.at(-1) ?? 99) < 14, `worst ${errors.at(-1)}`);
  assert.ok(passed >= 0.9 * looked, `${passed} of ${looked} fit`);
  await assert.rejects(finder.find(new Uint8Array(9)), { reason: 'ARGUMENT_INVALID', message: /256x256x3/ });
});

test('nano finds no face in stripes and noise, and reports a face that is upside down', async () => {
  const model = await loadGraphModel(NANO);
  await using executor = createOrtExecutor({ threads: 1 });
  const finder = (await PortraitFinder.load(model, executor)) as PortraitFinder;
  const { width, height } = model.manifest;
  const stripes = Uint8Array.from({ length: width * height * 3 }, (_, i) =>
    Math.floor(i / 3 / 9) % 2 === 0 ? 40 : 210,
  );
  let state = 1;
  const noise = Uint8Array.from({ length: width * height * 3 }, () => {
    state = (state * 16_807) % 2_147_483_647;
    return state % 256;
  });
  for (const picture of [stripes, noise]) assert.equal(finder.assess(await finder.find(picture)).found, false);
  const upright = model.avatarImage('mia');
  const down = Uint8Array.from({ length: upright.length }, (_, i) => {
    const pixel = width * height - 1 - Math.floor(i / 3);
    return upright[3 * pixel + (i % 3)] as number;
  });
  const verdict = finder.assess(await finder.find(down));
  assert.deepEqual([verdict.found, verdict.reasons[0]?.code], [false, 'upside-down']);
});

test('a model without a landmark detector loads', async () => {
  await using fixture = await createFixtureModel();
  const model = await loadGraphModel(fixture.folder);
  await using executor = createOrtExecutor({ threads: 1 });
  assert.equal(await PortraitFinder.load(model, executor), undefined);
});

function shifted(rgb: Uint8Array, width: number, height: number, flip: boolean, dx: number, dy: number): Uint8Array {
  const out = new Uint8Array(rgb.length);
  const clamp = (value: number, high: number): number => Math.min(Math.max(value, 0), high);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const u = clamp(x - dx, width - 1);
      const from = 3 * (clamp(y - dy, height - 1) * width + (flip ? width - 1 - u : u));
      out.set(rgb.subarray(from, from + 3), 3 * (y * width + x));
    }
  return out;
}

function moved([mouth, left, right]: Landmarks, width: number, flip: boolean, dx: number, dy: number): Landmarks {
  const one = ([x, y]: readonly [number, number]): [number, number] => [(flip ? width - x : x) + dx, y + dy];
  return flip ? [one(mouth), one(right), one(left)] : [one(mouth), one(left), one(right)];
}
