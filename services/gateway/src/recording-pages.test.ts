import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Metadata } from '@grpc/grpc-js';
import { type MeshError, newSessionId } from '@talkmesh/contracts';
import { v1 } from '@talkmesh/contracts/protos';
import { callUnary, connectClient } from '@talkmesh/service-kit';
import { type Place, pageOf } from './recording-pages.js';
import { API_KEY, FakeMesh } from './testing/fake-mesh.js';

const OTHER_KEY = 'another-key-of-the-test-987654';
const ADMIN_KEY = 'admin-key-of-the-test-0123456789';
let mesh: FakeMesh;
let folder: string;
let sessions: InstanceType<typeof v1.SessionService>;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'talkmesh-recordings-'));
  mesh = await FakeMesh.start({
    TALKMESH_API_KEYS: `shop:${API_KEY},other:${OTHER_KEY},ops/admin:${ADMIN_KEY}`,
    TALKMESH_RECORDINGS_FOLDER: folder,
  });
  sessions = connectClient(v1.SessionService, mesh.gateway.grpcAddress);
});
after(async () => {
  sessions.close();
  await mesh[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

async function record(owner: string, createdAtMs: number): Promise<string> {
  const sessionId = newSessionId();
  await mkdir(join(folder, sessionId));
  const session = { v: 1, sessionId, owner, createdAtMs };
  await writeFile(join(folder, sessionId, 'session.json'), JSON.stringify(session));
  return sessionId;
}

interface ListAnswer {
  readonly ids: readonly string[];
  readonly next: string | undefined;
}
type Query = { readonly limit?: number; readonly cursor?: string };
type List = (query: Query, bearer?: string) => Promise<ListAnswer>;
interface Listed {
  readonly recordings: readonly { readonly sessionId: string }[];
  readonly nextCursor?: string;
}

const answerOf = ({ recordings, nextCursor = '' }: Listed): ListAnswer => ({
  ids: recordings.map(({ sessionId }) => sessionId),
  next: nextCursor === '' ? undefined : nextCursor,
});
const overRest: List = async (query, bearer = API_KEY) => {
  const entries = Object.entries(query).map(([name, value]) => [name, String(value)] as [string, string]);
  const { status, body } = await mesh.call<Listed & { reason?: string; detail?: string }>(
    'GET',
    `/v1/recordings?${new URLSearchParams(entries)}`,
    { bearer },
  );
  if (status !== 200) throw Object.assign(new Error(body.detail), { reason: body.reason });
  return answerOf(body);
};
const overGrpc: List = async (query, bearer = API_KEY) => {
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${bearer}`);
  return answerOf(await callUnary<object, Listed>(sessions, 'listRecordings', query, { deadlineMs: 5000, metadata }));
};

for (const [name, list] of [
  ['REST', overRest],
  ['gRPC', overGrpc],
] as const)
  test(`${name}: recordings are listed in pages, newest first, each once, and only those of the key`, async () => {
    const mine: string[] = [];
    for (let i = 0; i < 105; i++) mine.unshift(await record('shop', 1_000 + i));
    const others = [await record('other', 1_050), await record('other', 5_000)];

    const first = await list({});
    assert.deepEqual(first.ids, mine.slice(0, 100), 'a hundred, for those who ask for no pages');
    const rest = await list({ cursor: first.next ?? '' });
    assert.deepEqual([rest.ids, rest.next], [mine.slice(100), undefined]);
    assert.deepEqual(await list({ limit: 105 }), { ids: mine, next: undefined });
    assert.deepEqual((await list({}, OTHER_KEY)).ids, [...others].reverse());
    assert.equal((await list({ limit: 1000 }, ADMIN_KEY)).ids.length, 107);

    const page = await list({ limit: 40 });
    const newer = await record('shop', 9_000);
    await rm(join(folder, mine[39] as string), { recursive: true });
    await rm(join(folder, mine[50] as string), { recursive: true });
    const next = await list({ limit: 40, cursor: page.next ?? '' });
    const expected = mine.slice(40, 81).filter((id) => id !== mine[50]);
    assert.deepEqual(next.ids, expected, 'what came and went moves no other recording');
    assert.deepEqual((await list({ limit: 1 })).ids, [newer]);

    const isWrong = ({ reason, message }: MeshError): boolean => {
      assert.equal(reason, 'ARGUMENT_INVALID', message);
      return /cursor|limit/i.test(message);
    };
    for (const wrong of [{ limit: 1001 }, { cursor: 'nonsense' }, { cursor: 'x'.repeat(300) }])
      await assert.rejects(list(wrong), isWrong, JSON.stringify(wrong));
    if (name === 'REST') await assert.rejects(list({ limit: 0 }), isWrong);
    await rm(folder, { recursive: true });
    await mkdir(folder);
  });

test('recordings of one millisecond have an order too, so that no page repeats or leaves out one', () => {
  const all = Array.from({ length: 25 }, (): Place => ({ sessionId: newSessionId(), createdAtMs: 7 }));
  const found: string[] = [];
  let cursor: string | undefined;
  do {
    const { page, nextCursor } = pageOf(all, { limit: 10, cursor });
    found.push(...page.map(({ sessionId }) => sessionId));
    cursor = nextCursor;
  } while (cursor !== undefined);
  assert.equal(found.length, 25);
  assert.deepEqual(new Set(found), new Set(all.map(({ sessionId }) => sessionId)));
});
