import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import type { FromListener } from './room-messages.js';
import { type ListenerHost, RoomMicrophone } from './room-microphone.js';
import type { AudioSource, IngestSession } from './session.js';

type Listener = Parameters<ListenerHost['open']>[2];

function setUp() {
  const heard: string[] = [];
  const listeners: Listener[] = [];
  const source: AudioSource = {
    push: (pcm, rateHz) => heard.push(`${pcm.length} samples at ${rateHz}`),
    endTurn: () => {},
    release: () => heard.push('released'),
  };
  const session = {
    claim: (kind: string) => {
      heard.push(`claimed as ${kind}`);
      return source;
    },
    heardOf: (participant: string, track: string) => heard.push(`speaker ${participant}/${track}`),
    failed: (reason: string) => heard.push(reason),
  } as unknown as IngestSession;
  const host: ListenerHost = {
    open: async (_id, _request, listener) => {
      listeners.push(listener);
      return {};
    },
    post: () => true,
    close: async () => undefined,
  };
  const microphone = new RoomMicrophone({
    ...{ host, session, url: 'ws://rooms', token: 't', rejoinMs: 1000 },
    setup: { identity: '', attributes: {}, avatar: 'mia' },
  });
  const say = (body: FromListener) => listeners.at(-1)?.onMessage({ type: 'media', body });
  const audio = () => say({ type: 'audio', pcm: new Int16Array(480), sampleRateHz: 24_000 });
  return { heard, listeners, microphone, say, audio };
}

test('the session has a source while there is sound, and none while the track is muted or gone', async () => {
  const { heard, microphone, say, audio } = setUp();
  await microphone.join(true);
  say({ type: 'speaker', participant: 'anna', track: 'TR_1' });
  audio();
  audio();
  say({ type: 'paused' });
  audio();
  await microphone.close();
  audio();
  assert.deepEqual(heard, [
    'speaker anna/TR_1',
    ...['claimed as room', '480 samples at 24000', '480 samples at 24000', 'released'],
    ...['claimed as room', '480 samples at 24000', 'released'],
  ]);
});

test('a crash of the child ends the source, and the room is joined again', async () => {
  const { heard, listeners, microphone, audio } = setUp();
  await microphone.join(true);
  audio();
  listeners[0]?.onLost();
  assert.deepEqual(heard.slice(2), ['released', 'speaker /']);
  while (listeners.length < 2) await new Promise((resolve) => setTimeout(resolve, 10));
  await microphone.close();
});

test('a room that cannot be heard any more is told', async () => {
  const { heard, listeners, microphone } = setUp();
  await microphone.join(true);
  listeners[0]?.onState('failed', 'removed');
  assert.deepEqual(heard, ['speaker /', 'ROOM_REFUSED']);
});

test('a listener that was replaced is told, unless its session is closed soon because another worker took it over', async (t) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.after(() => mock.timers.reset());
  const [kept, moved] = [setUp(), setUp()];
  for (const { microphone, listeners, audio } of [kept, moved]) {
    await microphone.join(true);
    audio();
    listeners[0]?.onState('failed', 'replaced');
  }
  const before = ['claimed as room', '480 samples at 24000', 'released'];
  assert.deepEqual(kept.heard, before);
  await moved.microphone.close();
  mock.timers.tick(60_000);
  assert.deepEqual(kept.heard, [...before, 'speaker /', 'ROOM_REFUSED']);
  assert.deepEqual(moved.heard, before);
});
