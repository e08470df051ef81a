import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { ownPictures } from '@talkmesh/chunk-worker';
import { AVATARS_BUCKET, MAX_AVATAR_TTL_MS, MeshError, PICTURES_BUCKET } from '@talkmesh/contracts';
import { type NewOwnAvatar, OwnAvatars } from './own-avatars.js';
import { API_KEY, FakeMesh } from './testing/fake-mesh.js';
import { findFace } from './testing/fake-worker.js';
import { CMYK_JPEG, jpg, plainPng, png } from './testing/pictures.js';

const OTHER_KEY = 'another-key-of-the-test-987654';

interface Made {
  readonly id: string;
  readonly image: string;
  readonly landmarks: Record<string, [number, number]>;
  readonly source: { width: number; height: number; crop: { left: number; top: number; side: number } };
  readonly verdict: { fits: boolean; reasons: { code: string; text: string }[] };
  readonly expiresAtMs: number;
  readonly detail?: string;
  readonly reason?: string;
}

let mesh: FakeMesh;
before(async () => {
  mesh = await FakeMesh.start({
    TALKMESH_API_KEYS: `${API_KEY},${OTHER_KEY}`,
    TALKMESH_MAX_PICTURE_BYTES: '200000',
    TALKMESH_MAX_PICTURE_PIXELS: '1000000',
    TALKMESH_MAX_AVATARS: '3',
    TALKMESH_PICTURE_DEADLINE_MS: '60000',
  });
});
after(() => mesh[Symbol.asyncDispose]());

const decoder = () => mesh.workers['vae-decode'];
beforeEach(async () => {
  decoder().onInspect = findFace;
  decoder().inspected.length = 0;
  for (const bearer of [API_KEY, OTHER_KEY])
    for (const { id, style } of await list(bearer))
      if (style === 'own') await mesh.call('DELETE', `/v1/avatars/${id}`, { bearer });
});

const list = async (bearer = API_KEY) =>
  (await mesh.call<{ avatars: { id: string; style: string; image: string }[] }>('GET', '/v1/avatars', { bearer })).body
    .avatars;

async function upload(
  file: Buffer,
  type: string,
  bearer = API_KEY,
): Promise<{ status: number; body: Made; headers: Headers }> {
  const response = await fetch(`${mesh.gateway.url}/v1/avatars`, {
    method: 'POST',
    headers: { authorization: `Bearer ${bearer}`, 'content-type': type },
    body: new Uint8Array(file),
  });
  return { status: response.status, body: (await response.json()) as Made, headers: response.headers };
}
const json = (file: Buffer, more: object = {}, bearer = API_KEY) =>
  mesh.call<Made>('POST', '/v1/avatars', { body: { image: file.toString('base64'), ...more }, bearer });
const photo = (): Buffer => plainPng(200, 100);

test('an uploaded picture is listed, served, usable in a session, and deletable', async () => {
  const made = await upload(photo(), 'image/png');
  assert.equal(made.status, 201, made.body.detail);
  const { id, image, verdict, source } = made.body;
  assert.match(id, /^own-[0-9a-f]{16}$/);
  assert.equal(made.headers.get('location'), `/v1/avatars/${id}`);
  assert.deepEqual([source.width, source.height, verdict.fits], [200, 100, true]);
  assert.equal(decoder().inspected[0]?.rgb.length, 64 * 64 * 3, 'what is looked at has the size of the model');

  const picture = await fetch(`${mesh.gateway.url}${image}`);
  assert.deepEqual([picture.status, picture.headers.get('content-type')], [200, 'image/png']);
  assert.equal(picture.headers.get('cache-control'), 'private, no-store');
  assert.equal(Buffer.from(await picture.arrayBuffer()).readUInt32BE(16), 64);

  assert.ok((await list()).some((avatar) => avatar.id === id && avatar.style === 'own'));
  const { session } = await mesh.session({ avatar: id });
  assert.equal(decoder().opened.get(session)?.decode?.avatar, id);
  const forWorkers = ownPictures(mesh.gateway.context.bus);
  assert.equal((await forWorkers(id))?.landmarks?.length, 3);

  assert.equal((await mesh.call('DELETE', `/v1/avatars/${id}`)).status, 204);
  assert.equal((await fetch(`${mesh.gateway.url}${image}`)).status, 404);
  assert.equal(await forWorkers(id), undefined);
  assert.equal(
    (await mesh.call<Made>('POST', '/v1/sessions', { body: { avatar: id } })).body.reason,
    'AVATAR_NOT_FOUND',
  );
  assert.equal((await mesh.call('DELETE', `/v1/avatars/${id}`)).status, 404);
});

/** Finds a red mouth, a green left eye and a blue right eye. */
function dotsIn(rgb: Buffer): number[] {
  const sums = [0, 1, 2].map(() => ({ x: 0, y: 0, weight: 0 }));
  for (let i = 0; i < rgb.length / 3; i++) {
    const pixel = [...rgb.subarray(3 * i, 3 * i + 3)];
    sums.forEach((sum, c) => {
      const weight = Math.max(0, (pixel[c] as number) - Math.max(...pixel.filter((_, other) => other !== c)) - 40);
      sum.x += weight * ((i % 64) + 0.5);
      sum.y += weight * (Math.floor(i / 64) + 0.5);
      sum.weight += weight;
    });
  }
  return sums.flatMap(({ x, y, weight }) => [x / weight, y / weight]);
}

test('the square is refined until eyes and mouth are where the model expects them', async () => {
  decoder().onInspect = async ({ rgb }) => findFace({ landmarks: dotsIn(rgb) });
  const dots = [
    { x: 280, y: 150, colour: [255, 0, 0] },
    { x: 260, y: 120, colour: [0, 255, 0] },
    { x: 300, y: 120, colour: [0, 0, 255] },
  ];
  const { status, body } = await upload(plainPng(400, 300, { dots }), 'image/png');
  assert.equal(status, 201, body.detail);
  const looks = decoder().inspected.length;
  assert.ok(looks >= 2 && looks <= 4, `${looks} looks`);
  // The test model has 16 of 64 pixels between the eyes, and 12 from the eyes to the mouth.
  const { crop } = body.source;
  assert.ok(Math.abs(crop.side - 160) < 4, `${crop.side}`);
  const usual = { mouth: [32, 40], leftEye: [24, 28], rightEye: [40, 28] };
  for (const [part, [x, y]] of Object.entries(body.landmarks)) {
    const [u, v] = usual[part as 'mouth'] as [number, number];
    assert.ok(Math.hypot(x - u, y - v) < 1, `${part} at ${x}, ${y}`);
  }
});

test('landmarks or boxes of the caller replace detected ones; the verdict is still returned', async () => {
  decoder().onInspect = async ({ landmarks }) => ({
    ...(await findFace({ landmarks })),
    landmarks: [1, 1, 2, 2, 3, 3],
    fits: false,
    reasons: [{ code: 'landmarks-moved', text: 'elsewhere' }],
  });
  const landmarks = { mouth: [100, 60], leftEye: [90, 40], rightEye: [110, 40] };
  const { status, body } = await json(photo(), { landmarks, name: 'Me' });
  assert.equal(status, 201, body.detail);
  assert.deepEqual(body.verdict.reasons[0]?.code, 'landmarks-moved');
  const { crop } = body.source;
  const [x, y] = body.landmarks['mouth'] as [number, number];
  assert.ok(
    Math.abs(crop.left + (x * crop.side) / 64 - 100) < 0.1 && Math.abs(crop.top + (y * crop.side) / 64 - 60) < 0.1,
  );
  const box = ([cx, cy]: number[]) => [(cx as number) - 6, (cy as number) - 4, (cx as number) + 6, (cy as number) + 4];
  const boxes = { mouth: box([100, 60]), leftEye: box([90, 40]), rightEye: box([110, 40]) };
  const second = await json(photo(), { boxes });
  assert.deepEqual(second.body.landmarks, body.landmarks);
  const crop2 = { left: 50, top: 0, side: 100 };
  const third = await json(photo(), { landmarks, crop: crop2 });
  assert.deepEqual(third.body.source.crop, crop2);
  for (const wrong of [
    { landmarks: { ...landmarks, mouth: [500, 60] } },
    { landmarks: { ...landmarks, leftEye: [120, 40] } },
    { landmarks: { mouth: [1, 2] } },
    { landmarks, crop: { left: 0, top: 0, side: 20 } },
    { boxes: { ...boxes, mouth: [10, 10, 5, 5] } },
    { eyes: 3 },
  ])
    assert.equal((await json(photo(), wrong)).status, 400, JSON.stringify(wrong));
});

test('a picture without a face or with several is refused with advice', async () => {
  decoder().onInspect = async () => ({
    ...(await findFace({ landmarks: [] })),
    found: false,
    fits: false,
    reasons: [{ code: 'no-face', text: 'no face was found' }],
  });
  const none = await upload(photo(), 'image/png');
  assert.deepEqual([none.status, none.body.reason], [422, 'FACE_NOT_FOUND']);
  assert.match(none.body.detail ?? '', /No face was found.*landmarks/);
  assert.ok(decoder().inspected.length >= 4, 'parts of the picture were looked at too');
  decoder().onInspect = async () => ({
    ...(await findFace({ landmarks: [] })),
    found: false,
    reasons: [{ code: 'several-faces', text: 'there is more than one face' }],
  });
  assert.match((await upload(photo(), 'image/png')).body.detail ?? '', /more than one face/);
  assert.deepEqual(
    (await list()).filter(({ style }) => style === 'own'),
    [],
    'nothing is kept',
  );
});

test('a model without a landmark detector requires landmarks and reports that it did not check', async () => {
  decoder().onInspect = async () => {
    throw new MeshError('TOOL_MISSING', 'no finder');
  };
  assert.equal((await upload(photo(), 'image/png')).body.reason, 'FACE_NOT_FOUND');
  const landmarks = { mouth: [100, 60], leftEye: [90, 40], rightEye: [110, 40] };
  const { body } = await json(photo(), { landmarks });
  assert.deepEqual([body.verdict.fits, body.verdict.reasons[0]?.code], [false, 'not-checked']);
});

test('a busy or broken decoder is reported as such', async () => {
  decoder().onInspect = async () => {
    throw new MeshError('RATE_LIMITED', 'busy');
  };
  assert.equal((await upload(photo(), 'image/png')).status, 429);
  decoder().onInspect = async () => {
    throw new Error('boom');
  };
  assert.deepEqual((await upload(photo(), 'image/png')).body.reason, 'NO_WORKER');
});

test('files of every supported kind are accepted, all others refused with the right status', async () => {
  for (const [file, type] of [
    [png({ depth: 16 }), 'image/png'],
    [png({ colour: 6, transparentFrom: 5 }), 'image/png'],
    [jpg(6), 'image/jpeg'],
    [CMYK_JPEG, 'image/jpeg'],
    [jpg(), 'image/png'],
    [plainPng(1, 1), 'image/png'],
  ] as const) {
    const { status, body } = await upload(file, type);
    assert.equal(status, 201, body.detail);
    await mesh.call('DELETE', `/v1/avatars/${body.id}`);
  }
  assert.equal((await upload(Buffer.from('GIF89a'), 'image/gif')).status, 415);
  assert.equal((await upload(Buffer.from('GIF89a;'), 'image/png')).status, 415);
  assert.equal((await json(Buffer.from('<svg/>'))).status, 415);
  assert.equal((await mesh.call('POST', '/v1/avatars', { body: { image: 'not base64!' } })).status, 400);
  assert.equal((await mesh.call('POST', '/v1/avatars', { body: {} })).status, 400);
  const cut = await upload(png().subarray(0, 80), 'image/png');
  assert.deepEqual([cut.status, cut.body.reason], [422, 'PICTURE_INVALID']);
  const huge = png();
  huge.writeUInt32BE(50_000, 16);
  assert.equal((await upload(huge, 'image/png')).status, 422);
  const heavy = await upload(Buffer.concat([png(), Buffer.alloc(210_000)]), 'image/png');
  assert.deepEqual([heavy.status, heavy.body.reason], [413, 'BODY_TOO_LARGE']);
  assert.equal((await upload(Buffer.alloc(400_000), 'image/jpeg')).status, 413);
});

test('pictures belong to an API key, never to a session token; their number is limited', async () => {
  const mine = (await upload(photo(), 'image/png')).body;
  assert.equal((await mesh.call('GET', `/v1/avatars/${mine.id}`)).status, 200);
  assert.equal((await mesh.call('GET', `/v1/avatars/${mine.id}`, { bearer: OTHER_KEY })).status, 404);
  assert.equal((await mesh.call('DELETE', `/v1/avatars/${mine.id}`, { bearer: OTHER_KEY })).status, 404);
  assert.ok(!(await list(OTHER_KEY)).some(({ style }) => style === 'own'));
  const { token } = await mesh.session();
  assert.ok(!(await list(token)).some(({ style }) => style === 'own'));
  const forbidden = await upload(photo(), 'image/png', token);
  assert.equal(forbidden.status, 403);

  const theirs = (await upload(photo(), 'image/png', OTHER_KEY)).body;
  assert.notEqual(theirs.id, mine.id, 'the same picture of another owner is another avatar');
  assert.equal((await upload(photo(), 'image/png')).body.id, mine.id, 'and of the same one the same');
  assert.equal((await upload(plainPng(200, 100, { shade: 90 }), 'image/png')).status, 201);
  const over = await upload(plainPng(200, 100, { shade: 50 }), 'image/png');
  assert.deepEqual([over.status, over.body.reason], [429, 'AVATAR_LIMIT']);
  assert.match(over.body.detail ?? '', /TALKMESH_MAX_AVATARS/);
});

test('an expired picture is not found by any caller and is removed from NATS', async () => {
  const { bus, log } = mesh.gateway.context;
  const [pictures, records] = await Promise.all(
    [PICTURES_BUCKET, AVATARS_BUCKET].map((name) => bus.kv(name as 'talkmesh_pictures', { ttlMs: MAX_AVATAR_TTL_MS })),
  );
  assert.ok(pictures !== undefined && records !== undefined);
  const own = new OwnAvatars({ idKey: 'k', pictures, records, ttlMs: 60_000, maxAvatars: 9, maxAvatarsPerKey: 0, log });
  const avatar: NewOwnAvatar = {
    owner: 'owner-1',
    name: 'x',
    size: 64,
    png: png(),
    landmarks: [
      [1, 2],
      [3, 4],
      [5, 6],
    ],
    picture: { width: 24, height: 16 },
    crop: { left: 0, top: 0, side: 16 },
    verdict: { fits: true, reasons: [] },
  };
  const longAgo = Date.now() - 120_000;
  const { id } = await own.create(avatar, longAgo);
  assert.equal((await own.get(id, 'owner-1', longAgo + 59_000)).id, id);
  await assert.rejects(own.get(id), { reason: 'AVATAR_NOT_FOUND', message: /expired/ });
  await assert.rejects(own.png(id), { reason: 'AVATAR_NOT_FOUND' });
  assert.equal(await ownPictures(bus)(id), undefined);
  assert.notEqual(await pictures.get(id), undefined, 'still there until the sweep');
  await own.sweep();
  assert.equal(await pictures.get(id), undefined);
  assert.equal(await records.get(id), undefined);
  own.stop();
});

test('the OpenAPI document describes own pictures', async () => {
  const { body } = await mesh.call<{ paths: Record<string, Record<string, { requestBody: { content: object } }>> }>(
    'GET',
    '/openapi.json',
    { bearer: undefined },
  );
  const { content } = body.paths['/v1/avatars']?.['post']?.requestBody ?? { content: {} };
  assert.deepEqual(Object.keys(content), ['application/json', 'image/png', 'image/jpeg']);
  assert.ok(body.paths['/v1/avatars/{id}']?.['delete']);
});
