/** The judge's readings follow what a decoded frame shows, and it says so when it sees no face. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { PictureDecoderEngine } from '../decoder/picture-decoder.js';
import type { Executor } from '../executor/executor.js';
import { createOrtExecutor } from '../executor/ort-executor.js';
import { type GraphModel, loadGraphModel } from '../model/model.js';
import { eyeHeight, FaceJudge, type FacePoints, lipGap } from './face-judge.js';
import { FACES, type Face, StillFaces } from './mesh-poses.js';

const ROOT = new URL('../../../../', import.meta.url);
const PHOTOGRAPH = 'own-0000000000000001';

let executor: Executor;
let model: GraphModel;
let engine: PictureDecoderEngine;
let faces: StillFaces;
let judge: FaceJudge;
before(async () => {
  executor = createOrtExecutor({ threads: 1 });
  model = await loadGraphModel(new URL('models/nano', ROOT).pathname, {
    ownPictures: async () => ({
      png: readFileSync(new URL('test/fixtures/grace-hopper-face.png', ROOT)),
      landmarks: [
        [128, 170],
        [99, 121],
        [157, 121],
      ],
    }),
  });
  engine = await PictureDecoderEngine.load(model, executor);
  faces = await StillFaces.load(model);
  const paths = model.photographPaths();
  assert.ok(paths);
  judge = await FaceJudge.load(paths, executor);
});
after(async () => {
  await engine[Symbol.asyncDispose]();
  await executor[Symbol.asyncDispose]();
});

async function read(avatar: string, face: Face): Promise<FacePoints> {
  const points = await judge.read(await faces.frame(engine, avatar, face), model.manifest.width, model.manifest.height);
  assert.ok(points, `no face of ${avatar}`);
  return points;
}

for (const avatar of [PHOTOGRAPH, 'mia'])
  test(`${avatar}: the gap that is read grows with the opening that is shown, and closed lips have none`, async () => {
    const gaps: number[] = [];
    for (const open of [0, 0.3, 0.6, 1]) gaps.push(lipGap(await read(avatar, { open })));
    for (const [i, gap] of gaps.slice(1).entries())
      assert.ok(gap > (gaps[i] as number) + 0.005, `gaps ${gaps.map((value) => value.toFixed(3)).join(', ')}`);
    const closed = lipGap(await read(avatar, { ...FACES.closed, yaw: 0.5, roll: 0.5 }));
    assert.ok(closed < 0.02, `closed lips of a turned head: ${closed.toFixed(3)}`);
    assert.ok((gaps.at(-1) as number) > 0.2, `open mouth: ${gaps.at(-1)?.toFixed(3)}`);
  });

test('a blink is read from the lids, also when the mouth is open', async () => {
  const open = eyeHeight(await read('mia', { open: 0.8 }));
  const shut = eyeHeight(await read('mia', { open: 0.8, blink: 1 }));
  assert.ok(shut < 0.7 * open, `${shut.toFixed(3)} against ${open.toFixed(3)}`);
});

test('a face that the judge cannot see is no face, not a reading', async () => {
  const frame = await faces.frame(engine, 'bolt', FACES.ah);
  assert.equal(await judge.read(frame, model.manifest.width, model.manifest.height), undefined);
  const points = await read('mia', FACES.ah);
  assert.throws(() => lipGap(points.slice(0, 14)), /468 points/);
});
