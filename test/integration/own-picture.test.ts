/**
 * Any picture talks: a drawn face that no training saw, off-centre in an 800x1000 JPEG (test/fixtures/unseen-avatar.jpg, drawn by
 * `talkmesh_nano.render.avatar` from seed 900501), and a photograph go through the real mesh and speak.
 */

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createOrtExecutor } from '@talkmesh/inference';
import { FaceJudge, lipGap } from '@talkmesh/inference/testing';
import { encodeWav } from '@talkmesh/media';
import { until } from '@talkmesh/service-kit/testing';
import { PNG } from 'pngjs';
import { type Mesh, startMesh } from '../../deploy/local/src/mesh.js';
import { talkmesh } from '../support/cli.js';
import { FACE_NETS, nano } from '../support/nano.js';
import { rest, startRecordCall } from '../support/record-call.js';
import { ROOMY } from '../support/roomy.js';
import { concatenate, silence, speak, talk } from '../support/speech.js';
import { mean } from '../support/statistics.js';
import { mouthOpening, readLuma } from '../support/video.js';

const DRAWN = fileURLToPath(new URL('../fixtures/unseen-avatar.jpg', import.meta.url));
/** Where the renderer put them, pixels of the picture. */
const DRAWN_TRUTH = { mouth: [340, 695.8], leftEye: [276.2, 595], rightEye: [403.8, 595] } as const;
const PHOTOGRAPH = fileURLToPath(new URL('../fixtures/grace-hopper.jpg', import.meta.url));
/** Marked by hand. */
const PHOTOGRAPH_TRUTH = { mouth: [266.3, 277.5], leftEye: [220.6, 190], rightEye: [305, 187.5] } as const;
/** Of the distance of the eyes, which is 57 pixels in the model's picture: 4 of those. */
const NEAR = 4 / 57;

/** A blank PNG of 128x128 pixels. */
const NOTHING = [
  'iVBORw0KGgoAAAANSUhEUgAAAIAAAACACAIAAABMXPacAAAAyElEQVR42u3RMQEAMAjAsDHViEAEUpEBRyqhiax+2utbAACAAAAQAAACAEAAAAgA',
  'AAEAIAAABACAAAAQAAACAEAAAAgAAAEAIAAABACAAAAQAAACAEAAAAgAAAEAIAAABACAAAAQAAACAEAAAAgAAAEAIAAAAAgAAAEAIAAABACAAAAQ',
  'AAACAEAAAAgAAAEAIAAABACAAAAQAAACAEAAAAgAAAEAIAAABACAAAAQAAACAEAAAAgAAAEAIAAABACAAAAQAAACcKEB5zQCpGNnM9cAAAAASUVO',
  'RK5CYII=',
].join('');

type Face = Record<keyof typeof DRAWN_TRUTH, [number, number]>;
interface Made {
  readonly id: string;
  readonly landmarks: Face;
  readonly source: { readonly landmarks: Face };
  readonly verdict: { readonly fits: boolean; readonly reasons: { code: string; text: string }[] };
  readonly reason?: string;
  readonly detail?: string;
}

const folder = mkdtempSync(join(tmpdir(), 'talkmesh-own-'));
const image = readFileSync(DRAWN).toString('base64');
let mesh: Mesh;
before(async () => {
  mesh = await startMesh({ quiet: true, env: ROOMY });
});
after(async () => {
  await mesh?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const make = (body: object) => rest<Made>(mesh, 'POST', '/v1/avatars', body);

/** How dark the mouth is, frame by frame: a share of its box. */
function darkness(frames: readonly Uint8Array[], scale: number): number[] {
  const [mouthX, mouthY] = usualMouth();
  const box = [Math.round(mouthX - 28) * scale, Math.round(mouthY - 14) * scale, 56 * scale, 44 * scale] as const;
  return frames.map((luma) => mouthOpening(luma, scale * nano.width, box));
}

/** How far the lips are apart, frame by frame, by landmarks in the pixels: teeth in the colour of a photograph are not dark. */
async function lipGaps(frames: readonly Uint8Array[], scale: number): Promise<number[]> {
  const size = scale * nano.width;
  await using executor = createOrtExecutor({ threads: 1 });
  const judge = await FaceJudge.load(FACE_NETS, executor);
  const gaps: number[] = [];
  const i420 = new Uint8Array((size * size * 3) / 2).fill(128);
  for (const luma of frames) {
    i420.set(luma);
    const points = await judge.read(i420, size, size);
    assert.ok(points, 'there is a face in every frame');
    gaps.push(lipGap(points));
  }
  return gaps;
}

for (const [kind, picturePath, truth, scale, openingsOf, least] of [
  ['a drawn face', DRAWN, DRAWN_TRUTH, 1, darkness, 0.04],
  ['a photograph of a person, twice as large', PHOTOGRAPH, PHOTOGRAPH_TRUTH, 2, lipGaps, 0.08],
] as const)
  test(`render --picture, ${kind}: eyes and mouth are found, and the mouth speaks`, { timeout: 240_000 }, async () => {
    const [audio, path] = [join(folder, 'a.wav'), join(folder, 'a.mp4')];
    writeFileSync(
      audio,
      encodeWav(concatenate(silence(1.2), speak('Apples and bananas, all day long.'), silence(1.2)), 24_000),
    );
    const where = ['--url', mesh.httpUrl, '--grpc', mesh.grpcAddress, '--key', mesh.apiKey];
    const size = scale * nano.width;
    const files = ['--picture', picturePath, '--size', String(size), '--audio', audio, '--out', path];
    const result = await talkmesh(['render', ...files, '--json', ...where]);
    assert.equal(result.code, 0, result.stderr);
    const { picture } = JSON.parse(result.stdout) as { picture: Pick<Made, 'source' | 'verdict'> };
    const eyesApart = truth.rightEye[0] - truth.leftEye[0];
    for (const [part, [x, y]] of Object.entries(truth) as [keyof Face, readonly [number, number]][]) {
      const [foundX, foundY] = picture.source.landmarks[part];
      const off = Math.hypot(foundX - x, foundY - y);
      assert.ok(off < NEAR * eyesApart, `${part} is ${off.toFixed(1)} pixels off`);
    }
    assert.deepEqual(picture.verdict, { fits: true, reasons: [] });

    const openings = await openingsOf(readLuma(path, size, size), scale);
    const quiet = openings.slice(0, 24);
    const widest = [...openings.slice(30, -30)].sort((a, b) => b - a).slice(0, 10);
    assert.ok(mean(widest) > mean(quiet) + least, `speaking ${mean(widest)}, silent ${mean(quiet)}`);

    const { body } = await rest<{ avatars: { style: string }[] }>(mesh, 'GET', '/v1/avatars');
    assert.ok(!body.avatars.some(({ style }) => style === 'own'), 'the picture was deleted afterwards');
  });

test('a call with an own picture goes on when the picture is deleted; a new one is refused', {
  timeout: 90_000,
}, async () => {
  const { status, body } = await make({ image });
  assert.equal(status, 201, body.detail);
  const call = await startRecordCall(mesh, body.id, talk(4));
  await until('the first frames', () => call.frames() > 5, 30_000);
  assert.equal((await rest(mesh, 'DELETE', `/v1/avatars/${body.id}`)).status, 204);
  const before = call.frames();
  await until('frames after the deletion', () => call.frames() > before + 12, 30_000);
  await call.hangUp();
  const refused = await rest<Made>(mesh, 'POST', '/v1/sessions', { avatar: body.id, output: 'record' });
  assert.deepEqual([refused.status, refused.body.reason], [404, 'AVATAR_NOT_FOUND']);
});

test('a picture with two faces is refused, whatever its shape', async () => {
  const face = PNG.sync.read(readFileSync(new URL('../fixtures/grace-hopper-face.png', import.meta.url)));
  for (const [width, height, right, down] of [
    [512, 256, 256, 0],
    [256, 512, 0, 256],
    [512, 512, 256, 128],
  ] as const) {
    const both = new PNG({ width, height });
    both.data.fill(200);
    PNG.bitblt(face, both, 0, 0, 256, 256, 0, down === 128 ? 128 : 0);
    PNG.bitblt(face, both, 0, 0, 256, 256, right, down);
    const { status, body } = await make({ image: PNG.sync.write(both).toString('base64') });
    assert.deepEqual([status, body.reason], [422, 'FACE_NOT_FOUND'], `${width}x${height}`);
    assert.match(body.detail ?? '', /more than one face/);
  }
});

test('what nano was not trained for is said: no face, and places that are not those of a face', async () => {
  const noise = await make({ image: NOTHING });
  assert.deepEqual([noise.status, noise.body.reason], [422, 'FACE_NOT_FOUND']);
  assert.match(noise.body.detail ?? '', /landmarks/);
  const forced = await make({
    image: NOTHING,
    landmarks: { mouth: [60, 90], leftEye: [40, 55], rightEye: [80, 55] },
  });
  assert.equal(forced.status, 201, 'what the user says wins');
  assert.equal(forced.body.verdict.fits, false);
  assert.ok(forced.body.verdict.reasons.length > 0);
  await rest(mesh, 'DELETE', `/v1/avatars/${forced.body.id}`);
});

function usualMouth(): readonly [number, number] {
  const all = nano.avatars.map(({ landmarks }) => landmarks[0]);
  return [mean(all.map(([x]) => x)), mean(all.map(([, y]) => y))];
}
