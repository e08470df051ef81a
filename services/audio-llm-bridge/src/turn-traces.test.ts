/** What a turn's trace shows when the bridge that leads the turn is lost or drained. Two bridges in this process, with a real NATS server. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  decodeAudio,
  decodeEvent,
  type EventBody,
  encodeAudio,
  encodePlayhead,
  type MeshEvent,
  newSessionId,
} from '@talkmesh/contracts';
import { withSpan } from '@talkmesh/service-kit';
import {
  createTestContext,
  type NatsServer,
  RecordedSpans,
  startNatsServer,
  type TestContext,
  TestWorker,
  until,
} from '@talkmesh/service-kit/testing';
import { parseConfig } from './config.js';
import { startBridge } from './service.js';

const PATIENCE_MS = 30_000;
const SAMPLES = 4800;
const SPEECH_MS = SAMPLES / 24;

let nats: NatsServer;
let peers: Record<'audio-ingest' | 'score-model' | 'webrtc-egress', TestContext<object>>;
before(async () => {
  nats = await startNatsServer();
  const peer = (name: keyof typeof peers) => createTestContext(name, undefined, nats.url);
  peers = {
    'audio-ingest': await peer('audio-ingest'),
    'score-model': await peer('score-model'),
    'webrtc-egress': await peer('webrtc-egress'),
  };
});
after(async () => {
  for (const peer of Object.values(peers ?? {})) await peer[Symbol.asyncDispose]();
  await nats?.[Symbol.asyncDispose]();
});

interface Sender {
  readonly traceId: string;
  readonly spanId: string;
}
function senderOf(traceparent = ''): Sender {
  const [, traceId = '', spanId = ''] = traceparent.split('-');
  return { traceId, spanId };
}

const startWorker = async () => {
  const config = { ...parseConfig({}), natsUrl: nats.url, instanceId: '' };
  return TestWorker.start(await createTestContext('audio-llm-bridge', config, nats.url), startBridge);
};

/** One session through which the product speaks, as the bridge's neighbours know it. */
class Session {
  readonly id = newSessionId();
  readonly events: MeshEvent[] = [];
  /** Span of the bridge that sent the each message of speech, and whether that is the last of its turn. */
  readonly speech: { readonly turn: number; readonly isEnd: boolean; readonly sender: Sender }[] = [];
  #atUs = 0;
  #sequence = 0;

  static async open(on: Awaited<ReturnType<typeof startWorker>>): Promise<Session> {
    const session = new Session();
    const { bus } = peers['score-model'];
    bus.subscribe('speech', session.id, (payload, { headers }) => {
      const { turn, endOfTurn: isEnd } = decodeAudio(payload);
      session.speech.push({ turn, isEnd, sender: senderOf(headers?.get('traceparent')) });
    });
    bus.subscribe('event', session.id, (payload) => void session.events.push(decodeEvent(payload)));
    await bus.flush();
    await session.continueOn(on, false);
    return session;
  }

  async continueOn(bridge: Awaited<ReturnType<typeof startWorker>>, takeOver = true): Promise<void> {
    const options = { options: 'bridge', bridge: { provider: 'external' } as never } as const;
    await bridge.open({ sessionId: this.id, takeOver, ...options });
  }

  /** The product speaks a piece of a turn, in a span of its own. */
  speak(endOfTurn: boolean): Sender {
    const at = { sessionId: this.id, epoch: 0, turn: 0, chunk: 0, mediaTimeUs: 0, deadlineUs: 0, fromSample: 0 };
    const audio = { ...at, sampleRateHz: 24_000, pcm: new Int16Array(SAMPLES), endOfTurn, sequence: this.#sequence++ };
    return withSpan('hear', {}, (span) => {
      peers['audio-ingest'].bus.publish('mic', this.id, encodeAudio(audio));
      return span.spanContext();
    });
  }

  played(turn: number, turnPlayedMs: number, heldFrames = 0): void {
    const at = { sessionId: this.id, epoch: 0, turn, chunk: 0, frame: 0, mediaTimeUs: this.#atUs, deadlineUs: 0 };
    const message = encodePlayhead({ ...at, creditChunks: 2, heldFrames, turnPlayedMs });
    peers['webrtc-egress'].bus.publish('playhead', this.id, message, { 'webrtc-egress': 5 });
    this.#atUs += 160_000;
  }

  has = (type: EventBody['type'], turn: number): boolean =>
    this.events.some((event) => event.type === type && event.turn === turn);

  /** @returns the span of the bridge that has sent speech of the turn, or its end */
  async sent(turn = 1, isEnd = false): Promise<Sender> {
    const find = () => this.speech.find((sent) => sent.turn === turn && (!isEnd || sent.isEnd));
    await until('speech', () => find() !== undefined, PATIENCE_MS);
    return (find() as (typeof this.speech)[number]).sender;
  }

  told = (type: EventBody['type'], turn = 1): Promise<void> => until(type, () => this.has(type, turn), PATIENCE_MS);
}

const shown = (spans: RecordedSpans) =>
  spans.named('turn').map((span) => ({
    ...{ traceId: span.spanContext().traceId, parent: span.parentSpanContext?.spanId },
    ...{ outcome: span.attributes['talkmesh.outcome'], takenOver: span.attributes['talkmesh.taken_over'] },
    ...{ turn: span.attributes['talkmesh.turn'], marks: span.events.map(({ name }) => name) },
  }));

test('a turn whose bridge is killed is closed in its trace by the next bridge, below the span that was lost', async () => {
  using spans = new RecordedSpans();
  await using lost = await startWorker();
  await using next = await startWorker();
  const session = await Session.open(lost);
  const heard = session.speak(true);
  const sender = await session.sent(1, true);
  assert.equal(sender.traceId, heard.traceId);
  await peers['score-model'].bus.flush();
  await lost.die();
  await session.continueOn(next);
  session.played(1, SPEECH_MS / 2);
  await session.told('turn.started');
  session.played(1, SPEECH_MS);
  await session.told('turn.finished');
  const { traceId, spanId: parent } = sender;
  const marks = ['first frame played'];
  assert.deepEqual(shown(spans), [{ traceId, parent, outcome: 'played', takenOver: true, turn: 1, marks }]);
  const [span] = spans.named('turn');
  assert.equal(span?.attributes['talkmesh.webrtc-egress_ms'], 5);
  assert.equal(span?.attributes['talkmesh.transport_ms'], undefined, 'only the lost bridge knew when the turn began');
  assert.equal(spans.named('reply').length, 1, 'the next bridge has asked nothing of its provider');
});

test('a turn that is truncated, and one of which nothing was sent, are closed too', async () => {
  using spans = new RecordedSpans();
  await using lost = await startWorker();
  await using next = await startWorker();
  const session = await Session.open(lost);
  session.speak(false);
  const { traceId, spanId: parent } = await session.sent();
  await lost.die();
  const queued = withSpan('turn', {}, (span) => {
    const event = { sessionId: session.id, epoch: 0, turn: 2, type: 'turn.queued', source: 'external' } as const;
    peers['audio-ingest'].bus.publishEvent(event);
    return span.spanContext();
  });
  await session.told('turn.queued', 2);
  spans.clear();
  await session.continueOn(next);
  await session.told('turn.cancelled', 2);
  session.played(1, SPEECH_MS);
  await session.told('turn.finished');
  const takenOver = true;
  assert.deepEqual(shown(spans), [
    { traceId: queued.traceId, parent: queued.spanId, outcome: 'cancelled', takenOver, turn: 2, marks: [] },
    {
      ...{ traceId, parent, outcome: 'interrupted', takenOver, turn: 1 },
      marks: ['speech truncated', 'first frame played'],
    },
  ]);
});

test('a drained bridge ends its span of the turn as moved, and the next one closes the turn below it', async () => {
  using spans = new RecordedSpans();
  await using drained = await startWorker();
  await using next = await startWorker();
  await using last = await startWorker();
  const session = await Session.open(drained);
  const heard = session.speak(true);
  const first = await session.sent(1, true);
  await drained.service.worker?.close(session.id, 'moved');
  await session.continueOn(next);
  await next.service.worker?.close(session.id, 'moved');
  await session.continueOn(last);
  session.played(1, SPEECH_MS);
  await session.told('turn.finished');
  const { traceId } = heard;
  assert.deepEqual(
    shown(spans).map(({ marks: _, ...span }) => span),
    [
      { traceId, parent: heard.spanId, outcome: 'moved', takenOver: undefined, turn: 1 },
      { traceId, parent: first.spanId, outcome: 'moved', takenOver: true, turn: 1 },
      { traceId, parent: first.spanId, outcome: 'played', takenOver: true, turn: 1 },
    ],
  );
  assert.equal(spans.named('turn')[0]?.spanContext().spanId, first.spanId);
});

test('a session that ends in the middle of a turn ends its span as interrupted; a finished turn is not taken over', async () => {
  using spans = new RecordedSpans();
  await using bridge = await startWorker();
  await using next = await startWorker();
  const session = await Session.open(bridge);
  session.speak(true);
  await session.sent(1, true);
  session.played(1, SPEECH_MS);
  await session.told('turn.finished');
  session.speak(false);
  await session.sent(2);
  await bridge.service.worker?.close(session.id, 'moved');
  await session.continueOn(next);
  await next.service.worker?.close(session.id, 'ended');
  assert.deepEqual(
    shown(spans).map(({ turn, outcome }) => [turn, outcome]),
    [
      [1, 'played'],
      [2, 'moved'],
      [2, 'interrupted'],
    ],
  );
});

test('a late turn is exported by the next bridge too, where nothing else is', async () => {
  using spans = new RecordedSpans(0);
  await using bridge = await startWorker();
  await using next = await startWorker();
  const session = await Session.open(bridge);
  session.speak(false);
  await session.sent();
  session.played(1, 10, 0);
  session.played(1, 20, 3);
  // What the bridge confirms to have received includes the held frames.
  for (const { bus } of [peers['webrtc-egress'], bridge.context]) await bus.flush();
  session.speak(true);
  await session.sent(1, true);
  await bridge.service.worker?.close(session.id, 'moved');
  await session.continueOn(next);
  session.played(1, 2 * SPEECH_MS);
  await session.told('turn.finished');
  assert.deepEqual(
    shown(spans).map(({ outcome }) => outcome),
    ['moved', 'played'],
  );
});

test('speech that is republished after a restart of NATS tells the next bridge the trace of its turn', async () => {
  using spans = new RecordedSpans();
  await using lost = await startWorker();
  await using next = await startWorker();
  const session = await Session.open(lost);
  session.speak(true);
  const { traceId, spanId: parent } = await session.sent(1, true);
  await nats.kill();
  await nats.start();
  const { bus } = peers['score-model'];
  const retained = () => bus.readBack('speech', session.id, { deadlineMs: 5000 }).catch(() => []);
  await until('speech to be retained again', async () => (await retained()).length > 0, PATIENCE_MS);
  await until(
    'the reconnection',
    () => next.context.bus.connected && peers['webrtc-egress'].bus.connected,
    PATIENCE_MS,
  );
  await lost.die();
  await session.continueOn(next);
  session.played(1, SPEECH_MS);
  await session.told('turn.finished');
  assert.deepEqual(
    shown(spans).map(({ marks: _, ...span }) => span),
    [{ traceId, parent, outcome: 'played', takenOver: true, turn: 1 }],
  );
});
