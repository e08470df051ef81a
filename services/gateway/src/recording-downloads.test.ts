import assert from 'node:assert/strict';
import { appendFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readlink, rename, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { newSessionId } from '@talkmesh/contracts';
import { createLogger } from '@talkmesh/service-kit';
import { until } from '@talkmesh/service-kit/testing';
import { recordingCalls } from './grpc/recording-calls.js';
import { Recordings } from './recordings.js';
import { StreamLimits } from './stream-limits.js';
import { FakeMesh } from './testing/fake-mesh.js';

const ADMIN_KEY = 'admin-key-of-the-test-0123456789';
const MEGABYTE = 2 ** 20;
let [mesh, folder]: [FakeMesh, string] = [undefined as never, ''];
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'talkmesh-downloads-'));
  mesh = await FakeMesh.start({
    ...{ TALKMESH_API_KEYS: `ops/admin:${ADMIN_KEY}`, TALKMESH_RECORDINGS_FOLDER: folder },
  });
});
after(async () => {
  await mesh?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

/** A part that is being recorded. @returns the session, and the path of the video */
async function recording(bytes: number): Promise<[string, string]> {
  const sessionId = newSessionId();
  const own = join(folder, sessionId);
  await mkdir(own);
  const facts = {
    ...{ sessionId, part: 1, avatar: 'ada', model: 'nano@1', provider: 'parrot', label: '', sides: 'avatar' },
    ...{ format: 'mp4', width: 256, height: 256, fps: 25, startedAtMs: 1000 },
  };
  const session = { v: 1, sessionId, owner: 'x', createdAtMs: Date.now() };
  await writeFile(join(own, 'session.json'), JSON.stringify(session));
  await writeFile(join(own, '1.open.json'), JSON.stringify({ v: 1, facts, frames: 50, bytes }));
  await writeFile(join(own, '1.mp4'), Buffer.alloc(bytes, 1));
  return [sessionId, join(own, '1.mp4')];
}

async function openFiles(path: string): Promise<number> {
  const links = (await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => ''));
  return (await Promise.all(links)).filter((target) => target.startsWith(path)).length;
}

test('a part that grows while it is sent leaves the connection in order for the next request', async () => {
  const [sessionId, path] = await recording(MEGABYTE);
  const request = (more: string): string =>
    `GET /v1/sessions/${sessionId}/recording/1 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${ADMIN_KEY}\r\n${more}\r\n`;
  let isGrowing = true;
  const grow = (): void => {
    appendFileSync(path, Buffer.alloc(10_000, 2));
    if (isGrowing) setImmediate(grow);
  };
  const { hostname, port } = new URL(mesh.gateway.url);
  const socket = connect(Number(port), hostname);
  grow();
  socket.write(request('') + request('range: bytes=0-9\r\nconnection: close\r\n'));
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  isGrowing = false;
  const all = Buffer.concat(chunks);
  const head = all.indexOf('\r\n\r\n');
  const length = Number(/content-length: (\d+)/.exec(all.subarray(0, head).toString().toLowerCase())?.[1]);
  assert.ok(length >= MEGABYTE, `${length}`);
  assert.equal(
    all.subarray(head + 4 + length, head + 4 + length + 12).toString(),
    'HTTP/1.1 206',
    'the next answer follows',
  );
  await until('the file is closed', async () => (await openFiles(path)) === 0);
});

test('a part is sent as it was when it was opened, also an empty one, and one that is replaced or deleted', async () => {
  const recordings = new Recordings({ folder, ttlMs: 3_600_000, log: createLogger({ level: 'fatal' } as never) });
  recordings.stop();
  const [sessionId, path] = await recording(3);
  const video = await recordings.openVideo(sessionId, 1, undefined);
  await writeFile(`${path}.whole`, 'the whole video');
  await rename(`${path}.whole`, path);
  assert.deepEqual([video.bytes, await text(video.read())], [3, '\u0001\u0001\u0001']);
  await rm(path);
  await assert.rejects(recordings.openVideo(sessionId, 1, undefined), { reason: 'NOT_FOUND' });
  const [empty, emptyPath] = await recording(0);
  const url = `/v1/sessions/${empty}/recording/1`;
  const answer = await mesh.call<string>('GET', url, { bearer: ADMIN_KEY });
  assert.deepEqual([answer.status, answer.headers.get('content-length')], [200, '0']);
  assert.equal((await mesh.call('GET', url, { bearer: ADMIN_KEY, headers: { range: 'bytes=5-' } })).status, 416);
  assert.equal(await openFiles(emptyPath), 0);
});

/** The caller of a download over gRPC, which takes a message when it is told to. */
class TestCall extends Writable {
  readonly metadata = {};
  readonly request: { readonly sessionId: string; readonly part: number };
  cancelled = false;
  received = 0;
  take: () => void = () => undefined;

  constructor(sessionId: string) {
    super({ objectMode: true, highWaterMark: 1 });
    this.request = { sessionId, part: 1 };
    this.on('error', () => undefined);
  }

  override _write(message: { readonly data: Buffer }, _: string, done: () => void): void {
    this.received += message.data.length;
    this.take = done;
  }

  cancel(): void {
    this.cancelled = true;
    this.emit('cancelled');
  }
}

test('a download over gRPC that is slow, or cancelled at any time, leaves no listener, open file or place behind', async () => {
  const recordings = new Recordings({ folder, ttlMs: 3_600_000, log: createLogger({ level: 'fatal' } as never) });
  recordings.stop();
  const limits = new StreamLimits({ perSession: 1, perOwner: 1, total: 1 });
  let identified = (): void => undefined;
  const identify = () =>
    new Promise<object>((resolve) => {
      identified = () => resolve({ kind: 'key', name: 'ops', owner: 'ops', isAdmin: true });
    });
  const audit = { record: () => undefined };
  const { download } = recordingCalls({ recordings, audit, limits, access: { identify } } as never);
  const [sessionId, path] = await recording(MEGABYTE);
  const start = (): TestCall => {
    const call = new TestCall(sessionId);
    download(call as never);
    return call;
  };
  const slow = start();
  identified();
  await until('the first message', () => slow.received > 0);
  const refused = start();
  const refusal = new Promise<{ details?: string }>((resolve) => refused.once('error', resolve));
  identified();
  assert.match((await refusal).details ?? '', /he session has 1 streams open/);
  while (slow.received < MEGABYTE) {
    const before = slow.received;
    slow.take();
    await until('the next message', () => slow.received > before);
    assert.ok(slow.listenerCount('cancelled') <= 1, 'one listener');
  }
  slow.take();
  await until('the end', () => slow.writableFinished);
  const stuck = start();
  identified();
  await until('the message that is not taken', () => stuck.received > 0);
  stuck.cancel();
  await until('the file is closed', async () => (await openFiles(path)) === 0);
  const early = start();
  early.cancel();
  identified();
  await until('what is done with it', async () => {
    await new Promise((resolve) => setTimeout(resolve, 100));
    return (await openFiles(path)) === 0;
  });
  assert.equal(early.received, 0, 'a caller that has gone away gets nothing');
  limits.open(`${sessionId} recording`, 'x')();
});
