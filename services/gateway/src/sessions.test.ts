import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { MeshError, OPEN_ORDER } from '@talkmesh/contracts';
import { until } from '@talkmesh/service-kit/testing';
import { API_KEY, FakeMesh } from './testing/fake-mesh.js';

let mesh: FakeMesh;
before(async () => {
  mesh = await FakeMesh.start({
    TALKMESH_CREATE_DEADLINE_MS: '3000',
    TALKMESH_OPEN_DEADLINE_MS: '400',
    TALKMESH_CLOSE_DEADLINE_MS: '300',
  });
});
after(() => mesh[Symbol.asyncDispose]());

type Problem = { reason: string; detail: string; retryable: boolean; retryAfterMs?: number; status: number };

/** Replaces the behaviour of one worker during a test. */
async function during<K extends keyof T, T extends object>(
  target: T,
  key: K,
  value: T[K],
  run: () => Promise<void>,
): Promise<void> {
  const before = target[key];
  target[key] = value;
  try {
    await run();
  } finally {
    target[key] = before;
  }
}

const create = (body: object = { avatar: 'ada' }) => mesh.call<Problem>('POST', '/v1/sessions', { body });
const heldAnywhere = (): number => OPEN_ORDER.reduce((sum, service) => sum + mesh.workers[service].opened.size, 0);

test('a session opens every stage once, consumers first, with sizes and rates of the manifest', async () => {
  const order: string[] = [];
  for (const service of OPEN_ORDER)
    mesh.workers[service].onOpen = async () => {
      order.push(service);
    };
  const answer = await mesh.call<Record<string, unknown>>('POST', '/v1/sessions', { body: { avatar: 'ada', seed: 5 } });
  assert.equal(answer.status, 201);
  const { id } = answer.body['session'] as { id: string };
  assert.equal(answer.headers.get('location'), `/v1/sessions/${id}`);
  assert.deepEqual(
    [answer.body['whip'], answer.body['whep'], answer.body['events']],
    [`/v1/whip/${id}`, `/v1/whep/${id}`, `/v1/sessions/${id}/events`],
  );
  assert.deepEqual(order, [...OPEN_ORDER]);
  const opened = (service: (typeof OPEN_ORDER)[number]) => mesh.workers[service].opened.get(id);
  assert.deepEqual(opened('webrtc-egress')?.egress, {
    sink: 'SINK_WEBRTC',
    width: 64,
    height: 64,
    fps: 25,
    livekit: null,
    disclosure: { label: 'AI-generated', badge: false },
    recording: null,
  });
  assert.deepEqual(opened('score-model')?.score, { avatar: 'ada', seed: 5, unpaced: false, quality: 'balanced' });
  assert.deepEqual(opened('vae-decode')?.decode, { avatar: 'ada', size: 64 });
  assert.equal(opened('audio-llm-bridge')?.bridge?.provider, 'parrot');
  assert.deepEqual(opened('audio-ingest')?.ingest, { vad: true, room: null });

  const session = await mesh.call('GET', `/v1/sessions/${id}`);
  assert.deepEqual(answer.body['session'], session.body);
  assert.equal(session.body['state'], 'open');
  assert.equal(session.body['seed'], 5);
  assert.deepEqual(session.body['placement'], Object.fromEntries(OPEN_ORDER.map((s) => [s, mesh.workers[s].id])));
  const list = await mesh.call<{ sessions: { id: string }[] }>('GET', '/v1/sessions');
  assert.deepEqual(
    list.body.sessions.map((s) => s.id),
    [id],
  );

  assert.equal((await mesh.call('DELETE', `/v1/sessions/${id}`)).status, 204);
  assert.equal(heldAnywhere(), 0);
  for (const service of OPEN_ORDER)
    assert.deepEqual(mesh.workers[service].closed.at(-1), { sessionId: id, reason: 'ended' });
  assert.equal((await mesh.call('DELETE', `/v1/sessions/${id}`)).status, 204, 'ending twice succeeds');
  const ended = await mesh.call('GET', `/v1/sessions/${id}`);
  assert.equal(ended.body['state'], 'ended');
  assert.deepEqual((await mesh.call<{ sessions: unknown[] }>('GET', '/v1/sessions')).body.sessions, []);
  const say = await mesh.call<Problem>('POST', `/v1/sessions/${id}/say`, { body: { text: 'hi' } });
  assert.deepEqual([say.status, say.body.reason], [410, 'SESSION_ENDED']);
});

test('a recording is unpaced, an external provider disables voice detection, and seeds differ', async () => {
  const first = await mesh.session({ output: 'record', provider: 'external' });
  const second = await mesh.session();
  const { 'score-model': score, 'webrtc-egress': egress, 'audio-ingest': ingest } = mesh.workers;
  assert.equal(egress.opened.get(first.session)?.egress?.sink, 'SINK_RECORD');
  assert.equal(score.opened.get(first.session)?.score?.unpaced, true);
  assert.deepEqual(ingest.opened.get(first.session)?.ingest, { vad: false, room: null });
  const seeds = [first, second].map(({ session }) => score.opened.get(session)?.score?.seed ?? -1);
  for (const seed of seeds) assert.ok(Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32, String(seed));
  assert.notEqual(seeds[0], seeds[1]);
  for (const { session } of [first, second]) await mesh.call('DELETE', `/v1/sessions/${session}`);
});

test('the error of an invalid request names every wrong field', async () => {
  for (const [body, status, reason, expected] of [
    [{ avatar: 'unknown' }, 404, 'AVATAR_NOT_FOUND', /ada, bo/],
    [{}, 400, 'ARGUMENT_INVALID', /avatar/],
    [{ avatar: 'ada', seed: -1, output: 'fax', more: 1 }, 400, 'ARGUMENT_INVALID', /seed.*output|output.*seed/],
    [{ avatar: '../etc' }, 400, 'ARGUMENT_INVALID', /avatar/],
  ] as const) {
    const answer = await create(body);
    assert.deepEqual([answer.status, answer.body.reason, answer.body.retryable], [status, reason, false]);
    assert.match(answer.body.detail, expected);
    assert.match(answer.headers.get('content-type') ?? '', /^application\/problem\+json/);
  }
  const text = await mesh.call<Problem>('POST', '/v1/sessions', { body: '{"avatar":' });
  assert.deepEqual([text.status, text.body.reason], [400, 'ARGUMENT_INVALID']);
  assert.equal(heldAnywhere(), 0);
});

test('without a ready worker the error is NO_WORKER with retryAfterMs, and opened stages are closed', async () => {
  await mesh.workers['vae-decode'].register({ state: 'draining' });
  const answer = await create();
  await mesh.workers['vae-decode'].register({ state: 'ready' });
  assert.deepEqual([answer.status, answer.body.reason, answer.body.retryable], [503, 'NO_WORKER', true]);
  assert.equal(answer.headers.get('retry-after'), '2');
  assert.match(answer.body.detail, /vae-decode/);
  assert.equal(heldAnywhere(), 0);
  assert.equal(mesh.workers['webrtc-egress'].closed.at(-1)?.reason, 'failed');
});

test('a worker of another model is not called', async () => {
  await mesh.workers['score-model'].register({ model: 'other@1' });
  const answer = await create();
  await mesh.workers['score-model'].register({ model: 'nano@9' });
  assert.equal(answer.body.reason, 'NO_WORKER');
});

test('the least loaded worker is tried first, then the next; SESSION_LIMIT when all are full', async () => {
  const second = await mesh.addWorker({ service: 'score-model', capacity: 1 });
  const first = mesh.workers['score-model'];
  await first.register({ sessions: 3, capacity: 4 });
  const a = await mesh.session();
  assert.ok(second.opened.has(a.session), 'the empty one');
  // The registry still reports it as empty; only its refusal shows that it is full.
  const b = await mesh.session();
  assert.ok(first.opened.has(b.session), 'the next one');
  await during(
    first,
    'onOpen',
    () => Promise.reject(new MeshError('SESSION_LIMIT', 'full')),
    async () => {
      const refused = await create();
      assert.deepEqual([refused.status, refused.body.reason, refused.body.retryable], [429, 'SESSION_LIMIT', true]);
      assert.ok(Number(refused.headers.get('retry-after')) >= 1);
    },
  );
  for (const { session } of [a, b]) await mesh.call('DELETE', `/v1/sessions/${session}`);
  await second.leaveRegistry();
  await first.register();
  assert.equal(heldAnywhere() + second.opened.size, 0);
});

test('after a dead worker the next one is tried', async () => {
  const dead = await mesh.addWorker({ service: 'audio-ingest' });
  await dead.die();
  await dead.register();
  await mesh.workers['audio-ingest'].register({ sessions: 3 });
  const { session } = await mesh.session();
  assert.ok(mesh.workers['audio-ingest'].opened.has(session));
  await mesh.call('DELETE', `/v1/sessions/${session}`);
  await dead.leaveRegistry();
  await mesh.workers['audio-ingest'].register();
});

test('after a worker that hangs the next one is tried, and the first is asked to close what it may have opened', async () => {
  const slow = await mesh.addWorker({ service: 'vae-decode' });
  slow.onOpen = () => new Promise((resolve) => setTimeout(resolve, 600));
  await mesh.workers['vae-decode'].register({ sessions: 3 });
  const { session } = await mesh.session();
  assert.ok(mesh.workers['vae-decode'].opened.has(session));
  await until('a close for the slow one', () => slow.closed.some((closed) => closed.sessionId === session));
  await mesh.call('DELETE', `/v1/sessions/${session}`);
  await slow.leaveRegistry();
  await mesh.workers['vae-decode'].register();
});

test('a refusal of an invalid request is returned at once and opened stages are closed', async () => {
  const bridge = mesh.workers['audio-llm-bridge'];
  await during(
    bridge,
    'onOpen',
    () => Promise.reject(new MeshError('PROVIDER_UNKNOWN', 'providers are parrot, external')),
    async () => {
      const answer = await create({ avatar: 'ada', provider: 'oracle' });
      assert.deepEqual([answer.status, answer.body.reason], [400, 'PROVIDER_UNKNOWN']);
      assert.match(answer.body.detail, /parrot/);
    },
  );
  assert.equal(heldAnywhere(), 0);
  const list = await mesh.call<{ sessions: unknown[] }>('GET', '/v1/sessions');
  assert.deepEqual(list.body.sessions, []);
});

test('details of a broken worker are not disclosed to the caller', async () => {
  await during(
    mesh.workers['score-model'],
    'onOpen',
    () => Promise.reject(new Error('secret path /x')),
    async () => {
      const answer = await create();
      assert.deepEqual([answer.status, answer.body.reason], [503, 'NO_WORKER']);
      assert.doesNotMatch(JSON.stringify(answer.body), /secret/);
    },
  );
  assert.equal(heldAnywhere(), 0);
});

test('a session that is ended while it opens is closed on every worker', async () => {
  let reached: (id: string) => void = () => undefined;
  const opening = new Promise<string>((resolve) => {
    reached = resolve;
  });
  const go = { now: (): void => undefined };
  const bridge = mesh.workers['audio-llm-bridge'];
  const slowly = async (request: { sessionId: string }): Promise<void> => {
    reached(request.sessionId);
    await new Promise<void>((resolve) => {
      go.now = resolve;
    });
  };
  await during(bridge, 'onOpen', slowly, async () => {
    const creating = create();
    const id = await opening;
    const ended = await mesh.call('DELETE', `/v1/sessions/${id}`);
    assert.equal(ended.status, 204);
    go.now();
    const answer = await creating;
    assert.deepEqual([answer.status, answer.body.reason], [410, 'SESSION_ENDED']);
  });
  assert.equal(heldAnywhere(), 0);
});

test('when the caller disconnects while the session opens, every stage is closed', async () => {
  const stop = new AbortController();
  const egress = mesh.workers['vae-decode'];
  const slowly = (): Promise<void> => {
    stop.abort();
    return new Promise((resolve) => setTimeout(resolve, 100));
  };
  await during(egress, 'onOpen', slowly, async () => {
    const gone = fetch(`${mesh.gateway.url}/v1/sessions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' },
      body: '{"avatar":"ada"}',
      signal: stop.signal,
    });
    await assert.rejects(gone);
    await until('nothing is left', async () => {
      const { body } = await mesh.call<{ sessions: unknown[] }>('GET', '/v1/sessions');
      return body.sessions.length === 0 && heldAnywhere() === 0;
    });
  });
});

test('a stage that does not close in time does not delay the others', async () => {
  const { session } = await mesh.session();
  await during(
    mesh.workers['score-model'],
    'onClose',
    () => new Promise((resolve) => setTimeout(resolve, 500)),
    async () => {
      assert.equal((await mesh.call('DELETE', `/v1/sessions/${session}`)).status, 204);
      const { body } = await mesh.call<{ placement: object }>('GET', `/v1/sessions/${session}`);
      assert.deepEqual(Object.keys(body.placement), ['score-model'], 'the record still names it');
    },
  );
  await until('closed late', () => heldAnywhere() === 0);
});

test('say, interrupt, pause, resume and push-to-talk reach the bridge of the session', async () => {
  const { session, token } = await mesh.session();
  const say = await mesh.call('POST', `/v1/sessions/${session}/say`, { body: { text: ' hello ' }, bearer: token });
  assert.deepEqual([say.status, say.body], [200, { turn: 7, cancelled: false }]);
  assert.deepEqual(mesh.workers['audio-llm-bridge'].said.at(-1), { sessionId: session, text: 'hello' });
  const interrupt = await mesh.call('POST', `/v1/sessions/${session}/interrupt`, { bearer: token });
  assert.deepEqual([interrupt.status, interrupt.body], [200, { interrupted: true }]);
  const ask = async (verb: 'pause' | 'resume'): Promise<unknown> =>
    (await mesh.call('POST', `/v1/sessions/${session}/${verb}`, { bearer: token })).body;
  assert.deepEqual(
    [await ask('resume'), await ask('pause'), await ask('pause'), await ask('resume')],
    [{ resumed: false }, { paused: true }, { paused: false }, { resumed: true }],
  );
  for (const [verb, answer] of Object.entries({
    start: { started: true },
    commit: { committed: true },
    cancel: { cancelled: false },
  })) {
    const { status, body } = await mesh.call('POST', `/v1/sessions/${session}/input/${verb}`, { bearer: token });
    assert.deepEqual([status, body], [200, answer]);
  }
  for (const text of ['', '   ', 'x'.repeat(2001)]) {
    const refused = await mesh.call<Problem>('POST', `/v1/sessions/${session}/say`, { body: { text }, bearer: token });
    assert.deepEqual([refused.status, refused.body.reason], [400, 'ARGUMENT_INVALID']);
  }
  const missing = new MeshError('TTS_UNAVAILABLE', 'install espeak-ng');
  await during(
    mesh.workers['audio-llm-bridge'],
    'onSay',
    () => Promise.reject(missing),
    async () => {
      const refused = await mesh.call<Problem>('POST', `/v1/sessions/${session}/say`, {
        body: { text: 'hi' },
        bearer: token,
      });
      assert.deepEqual(
        [refused.status, refused.body.reason, refused.body.detail],
        [424, 'TTS_UNAVAILABLE', 'Install espeak-ng.'],
      );
    },
  );
  await mesh.call('DELETE', `/v1/sessions/${session}`, { bearer: token });
});

test('a draining gateway refuses new sessions and serves open ones', async () => {
  const leaving = await mesh.addGateway();
  const { session } = await mesh.session();
  const events = await fetch(`${leaving.url}/v1/sessions/${session}/events`, {
    headers: { authorization: `Bearer ${API_KEY}` },
  });
  leaving.context.drain();
  assert.match(
    await events.text(),
    /^retry: 1000/,
    'event streams are closed, so that subscribers reconnect to another gateway',
  );
  const refused = await mesh.call<Problem>('POST', '/v1/sessions', { body: { avatar: 'ada' }, gateway: leaving });
  assert.deepEqual([refused.status, refused.body.reason, refused.body.retryable], [503, 'DRAINING', true]);
  assert.ok(refused.headers.get('retry-after'));
  const known = await mesh.call('GET', `/v1/sessions/${session}`, { gateway: leaving });
  assert.equal(known.status, 200);
  await mesh.call('DELETE', `/v1/sessions/${session}`, { gateway: leaving });
  assert.equal(heldAnywhere(), 0);
});

test('the session limit holds when several gateways create sessions at the same moment', async () => {
  const [one, two] = [
    await mesh.addGateway({ TALKMESH_MAX_SESSIONS: '2' }),
    await mesh.addGateway({ TALKMESH_MAX_SESSIONS: '2' }),
  ];
  const body = { avatar: 'bo' };
  const answers = await Promise.all(
    [one, two, one, two].map((gateway) =>
      mesh.call<{ session: { id: string }; reason?: string }>('POST', '/v1/sessions', { body, gateway }),
    ),
  );
  const made = answers.filter((answer) => answer.status === 201);
  assert.ok(made.length <= 2, `${made.length} were admitted`);
  for (const answer of answers)
    if (answer.status !== 201) assert.deepEqual([answer.status, answer.body.reason], [429, 'SESSION_LIMIT']);
  for (const { body } of made) await mesh.call('DELETE', `/v1/sessions/${body.session.id}`);
  assert.equal(heldAnywhere(), 0);
});

test('statistics come from every stage; one that does not answer is left out', async () => {
  const [one, two] = [await mesh.session(), await mesh.session()];
  const stats = () =>
    mesh.call<{ stages: Record<string, { chunk: number; p50Ms: number }> }>(
      'GET',
      `/v1/sessions/${one.session}/stats`,
      { bearer: one.token },
    );
  const all = (await stats()).body.stages;
  assert.deepEqual(Object.keys(all), [...OPEN_ORDER]);
  assert.deepEqual([all['score-model']?.chunk, all['score-model']?.p50Ms], [3, 1.5]);
  await mesh.workers['audio-ingest'].die();
  assert.deepEqual(
    Object.keys((await stats()).body.stages),
    OPEN_ORDER.filter((service) => service !== 'audio-ingest'),
  );
  for (const { session } of [one, two]) await mesh.call('DELETE', `/v1/sessions/${session}`);
});
