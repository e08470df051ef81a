import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { API_KEY, FakeMesh } from './testing/fake-mesh.js';

let mesh: FakeMesh;
let path: string;
let token: string;
before(async () => {
  mesh = await FakeMesh.start();
  const created = await mesh.session();
  path = `/v1/sessions/${created.session}/quality`;
  token = created.token;
});
after(() => mesh[Symbol.asyncDispose]());

const REPORT = { watchedMs: 10_000, avSkewMs: [12, -30, 200], freezes: 2, frozenMs: 500 };
const send = async (body: object, bearer = token): Promise<number> =>
  (await mesh.call('POST', path, { body, bearer })).status;
const metrics = (): Promise<string> => mesh.gateway.context.metrics.registry.metrics();

test('a report of a viewer becomes metrics of the mesh, without the session', async () => {
  const more = { jitterMs: 4, pictureDelayMs: 60, soundDelayMs: 80, firstFrameMs: 700 };
  assert.equal(await send({ ...REPORT, ...more }), 204);
  const text = await metrics();
  for (const line of [
    'talkmesh_viewer_av_skew_seconds_bucket{le="0.3",ahead="picture"} 2',
    'talkmesh_viewer_av_skew_seconds_count{ahead="sound"} 1',
    'talkmesh_viewer_delay_seconds_count{kind="picture"} 1',
    'talkmesh_viewer_delay_seconds_sum{kind="sound"} 0.08',
    'talkmesh_viewer_first_frame_seconds_sum 0.7',
    'talkmesh_viewer_jitter_seconds_sum 0.004',
    'talkmesh_viewer_watched_seconds_total 10',
    'talkmesh_viewer_frozen_seconds_total 0.5',
    'talkmesh_viewer_freezes_total 2',
  ])
    assert.ok(text.includes(`${line}\n`), `${line} is missing`);
});

test('a report may leave out what the browser does not know', async () => {
  assert.equal(await send({ ...REPORT, avSkewMs: [] }), 204);
});

test('what no viewer can have measured is refused and counts nowhere', async () => {
  const before = await metrics();
  const wrong: object[] = [
    { ...REPORT, watchedMs: -1 },
    { ...REPORT, frozenMs: 1e9 },
    { ...REPORT, freezes: 1.5 },
    { ...REPORT, avSkewMs: Array(61).fill(0) },
    { ...REPORT, avSkewMs: ['12'] },
    { ...REPORT, firstFrameMs: null },
    { ...REPORT, browser: 'Chromium' },
    { avSkewMs: [] },
  ];
  for (const body of wrong) assert.equal(await send(body), 400, JSON.stringify(body));
  const ofViewers = (text: string): string[] => text.split('\n').filter((line) => line.startsWith('talkmesh_viewer_'));
  assert.deepEqual(ofViewers(await metrics()), ofViewers(before));
});

test('only a caller of the session may report', async () => {
  const other = await mesh.session();
  assert.equal(await send(REPORT, other.token), 403);
  assert.equal(await send(REPORT, API_KEY), 204, 'also with the key that created it');
});
