/** Two hundred viewers come and go in three ways: none fails to see the avatar, none is left behind, and memory stays. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { until } from '@talkmesh/service-kit/testing';
import { TestPeer } from '@talkmesh/webrtc/testing';
import { type Mesh, startMesh } from '../../deploy/local/src/mesh.js';
import { firstAvatar } from '../support/nano.js';
import { processUse } from '../support/process-tree.js';
import { rest } from '../support/record-call.js';
import { ROOMY } from '../support/roomy.js';

const VIEWERS = 200;
const AT_A_TIME = 4;
/** The first ones fill caches and pools. */
const WARM_UP = 80;
const MOST_GROWTH = 0.1;
const PATIENCE_MS = 60_000;
const WAYS = ['hangs up', 'closes the page', 'crashes'] as const;

let mesh: Mesh;
before(async () => {
  const gone = { TALKMESH_VIEWER_GONE_MS: '3000' };
  const rates = { TALKMESH_RATE_LIMIT_PER_SECOND: '1000', TALKMESH_RATE_LIMIT_BURST: '1000' };
  mesh = await startMesh({ quiet: true, env: { ...ROOMY, gateway: rates, 'webrtc-egress': gone } });
});
after(async () => {
  await mesh?.stop();
  await mesh?.removeLogs();
});

interface Created {
  readonly session: { readonly id: string };
  readonly token: string;
  readonly whep: string;
}

/** A viewer who sees half a second of the avatar and leaves. */
async function visit(way: (typeof WAYS)[number]): Promise<void> {
  const wanted = { avatar: firstAvatar.id, provider: 'external', output: 'webrtc' };
  const { status, body } = await rest<Created>(mesh, 'POST', '/v1/sessions', wanted);
  assert.equal(status, 201, JSON.stringify(body));
  await using peer = new TestPeer();
  const answer = await fetch(new URL(body.whep, mesh.httpUrl), {
    method: 'POST',
    headers: { authorization: `Bearer ${body.token}`, 'content-type': 'application/sdp' },
    body: await peer.offer({ receive: ['video', 'audio'] }),
  });
  assert.equal(answer.status, 201);
  await peer.accept(await answer.text());
  await peer.until(({ frames }) => frames >= 12);
  if (way === 'crashes') peer.kill();
  else await peer.close();
  if (way !== 'hangs up') return;
  assert.equal((await rest(mesh, 'DELETE', `/v1/sessions/${body.session.id}`)).status, 204);
}

const open = async (): Promise<number> => {
  const { body } = await rest<{ sessions: { state: string }[] }>(mesh, 'GET', '/v1/sessions?limit=1000');
  return body.sessions.filter(({ state }) => state !== 'ended').length;
};

/** Memory of each service with its children, bytes, once all sessions are over. */
async function memory(): Promise<ReadonlyMap<string, number>> {
  await until('no session is open', async () => (await open()) === 0, PATIENCE_MS);
  return new Map(mesh.services.map(({ name, pid }) => [name, processUse(pid).residentBytes]));
}

test('200 viewers hang up, close the page or crash: all see the avatar, no session is left, memory stays', {
  timeout: 900_000,
}, async (context) => {
  let begun = 0;
  const visits = async (count: number): Promise<void> => {
    const end = begun + count;
    const one = async (): Promise<void> => {
      while (begun < end) await visit(WAYS[begun++ % WAYS.length] as (typeof WAYS)[number]);
    };
    await Promise.all(Array.from({ length: AT_A_TIME }, one));
  };
  await visits(WARM_UP);
  const early = await memory();
  await visits(VIEWERS - WARM_UP);
  const late = await memory();
  for (const [name, bytes] of early) {
    const growth = (late.get(name) ?? 0) / bytes - 1;
    context.diagnostic(`${name}: ${Math.round(bytes / 2 ** 20)} MiB, ${(100 * growth).toFixed(1)} % more at the end`);
    assert.ok(growth < MOST_GROWTH, `${name} grew by ${(100 * growth).toFixed(1)} %`);
  }
});
