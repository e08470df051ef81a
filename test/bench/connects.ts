import assert from 'node:assert/strict';
import { OPEN_ORDER } from '@talkmesh/contracts';
import { until } from '@talkmesh/service-kit/testing';
import { type Mesh, startMesh } from '../../deploy/local/src/mesh.js';
import { firstAvatar } from '../support/nano.js';
import { processUse } from '../support/process-tree.js';
import { rest } from '../support/record-call.js';
import { ROOMY } from '../support/roomy.js';
import { type Created, connectPeer } from '../support/watch-call.js';
import type { Row } from './table.js';

const AT_A_TIME = 4;
/** Share of the viewers that fill caches and pools before memory is measured. */
const WARM_UP = 0.4;
const PATIENCE_MS = 60_000;
const WAYS = ['hangs up', 'closes the page', 'crashes'] as const;

/** A viewer who sees half a second of the avatar and leaves. */
async function visit(mesh: Mesh, way: (typeof WAYS)[number]): Promise<void> {
  const wanted = { avatar: firstAvatar.id, provider: 'external', output: 'webrtc' };
  const { status, body } = await rest<Created>(mesh, 'POST', '/v1/sessions', wanted);
  assert.equal(status, 201, JSON.stringify(body));
  await using peer = await connectPeer(mesh, body, 'whep');
  await peer.until(({ frames }) => frames >= 12);
  if (way === 'crashes') peer.kill();
  else await peer.close();
  if (way !== 'hangs up') return;
  assert.equal((await rest(mesh, 'DELETE', `/v1/sessions/${body.session.id}`)).status, 204);
}

const open = async (mesh: Mesh): Promise<number> => {
  const { body } = await rest<{ sessions: { state: string }[] }>(mesh, 'GET', '/v1/sessions?limit=1000');
  return body.sessions.filter(({ state }) => state !== 'ended').length;
};

/** Memory of each service with its children, bytes, once all sessions are over. */
async function memory(mesh: Mesh): Promise<ReadonlyMap<string, number>> {
  await until('no session is open', async () => (await open(mesh)) === 0, PATIENCE_MS);
  return new Map(mesh.services.map(({ name, pid }) => [name, processUse(pid).residentBytes]));
}

/**
 * Viewers come and go in three ways, in turn. @param viewers how many in all
 * @returns memory of each service. @throws Error when one does not see the avatar, or a session is left
 */
export async function measureConnects(viewers: number): Promise<Row[]> {
  const gateway = { TALKMESH_RATE_LIMIT_PER_SECOND: '1000', TALKMESH_RATE_LIMIT_BURST: '1000' };
  // A viewer that has vanished keeps its place for a while.
  const places = { TALKMESH_CAPACITY: '40', TALKMESH_VIEWER_GONE_MS: '3000' };
  const workers = Object.fromEntries(OPEN_ORDER.map((name) => [name, { ...ROOMY['score-model'], ...places }]));
  const mesh = await startMesh({ quiet: true, env: { gateway, ...workers } });
  let begun = 0;
  const visits = async (end: number): Promise<void> => {
    const one = async (): Promise<void> => {
      while (begun < end) await visit(mesh, WAYS[begun++ % WAYS.length] as (typeof WAYS)[number]);
    };
    await Promise.all(Array.from({ length: AT_A_TIME }, one));
  };
  try {
    const warm = Math.round(WARM_UP * viewers);
    await visits(warm);
    const early = await memory(mesh);
    await visits(viewers);
    const late = await memory(mesh);
    const mib = (bytes: number): number => Math.round(bytes / 2 ** 20);
    return [...early].map(([service, bytes]) => ({
      service,
      [`MiB after ${warm} viewers`]: mib(bytes),
      [`MiB after ${viewers}`]: mib(late.get(service) ?? 0),
      'x before': (late.get(service) ?? 0) / bytes,
    }));
  } finally {
    await mesh.stop();
    await mesh.removeLogs();
  }
}
