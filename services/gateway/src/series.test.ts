import { after, before, test } from 'node:test';
import { assertSeriesStayConstant } from '@talkmesh/service-kit/testing';
import { FakeMesh } from './testing/fake-mesh.js';

let mesh: FakeMesh;
before(async () => {
  mesh = await FakeMesh.start({ TALKMESH_RATE_LIMIT_PER_SECOND: '100000', TALKMESH_RATE_LIMIT_BURST: '100000' });
  for (const worker of Object.values(mesh.workers)) await worker.register({ capacity: PARALLEL + 1 });
});
after(() => mesh?.[Symbol.asyncDispose]());

/** Many at a time share their packets, which saves processor time. */
const PARALLEL = 20;

test('1,000 sessions leave as many time series as 10, also with ids and nonsense in paths', async () => {
  const session = async (index: number): Promise<string> => {
    const { session: id } = await mesh.session();
    const path = `/v1/sessions/${id}`;
    await mesh.call('GET', path);
    await mesh.call('POST', `${path}/quality`, { body: { watchedMs: 1, avSkewMs: [3], freezes: 0, frozenMs: 0 } });
    await mesh.call('GET', `/nowhere/${id}/${index}`);
    await mesh.call('POST', path, { body: { nonsense: index } });
    await mesh.call('DELETE', path);
    return id;
  };
  await assertSeriesStayConstant(mesh.gateway.context.metrics, session, PARALLEL);
});
