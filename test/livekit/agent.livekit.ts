/** A LiveKit agent speaks through the avatar of a whole mesh: LiveKit's own server and agent library, and a viewer that listens. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Room } from '@livekit/rtc-node';
import { until } from '@talkmesh/service-kit/testing';
import type { Mesh } from '../../deploy/local/src/mesh.js';
import { CallTap } from '../support/call-tap.js';
import { momentOf, requireLivekitAgents, TestAgent } from '../support/livekit-agents.js';
import type { LivekitServer } from '../support/livekit-server.js';
import { rest } from '../support/record-call.js';
import { RoomMesh } from '../support/room-mesh.js';
import { endRoomLibrary, RoomViewer } from '../support/room-viewer.js';

const PATIENCE_MS = 90_000;
const BLOCK_MS = 10;
/** One video frame, the pitch's error and the block in which the sound ends. */
const HEARD_TOLERANCE_MS = 60;
/** Blocks at the end of the speech of which the pitch is measured, without the one in which it ends. */
const MEASURED_BLOCKS = 5;

let agentMesh: RoomMesh;
let server: LivekitServer;
let mesh: Mesh;
let rooms = 0;
before(async () => {
  await requireLivekitAgents((line) => process.stderr.write(`${line}\n`));
  agentMesh = await RoomMesh.start({ env: { 'webrtc-egress': { TALKMESH_LIVEKIT_AGENT_GONE_MS: '20000' } } });
  ({ server, mesh } = agentMesh);
});
after(async () => {
  await agentMesh?.[Symbol.asyncDispose]();
  await endRoomLibrary();
});

interface Created {
  readonly session: {
    readonly id: string;
    readonly provider: string;
    readonly transport: { livekit: { identity: string } };
  };
}

/** An agent, its avatar and a viewer in a room of their own. */
class Stage implements AsyncDisposable {
  readonly room: string;
  readonly agentId: string;
  readonly avatar: string;
  readonly sessionId: string;
  readonly viewer: RoomViewer;
  readonly tap: CallTap;
  agent: TestAgent;

  static async open(): Promise<Stage> {
    rooms += 1;
    const room = `agent-room-${rooms}`;
    const agentId = `agent-${rooms}`;
    const viewer = await RoomViewer.join(server.url, await server.token('caller', room));
    const livekit = { room, agent: agentId };
    const { status, body } = await rest<Created>(mesh, 'POST', '/v1/sessions', {
      avatar: 'mia',
      transport: { livekit },
    });
    assert.equal(status, 201, JSON.stringify(body));
    assert.equal(body.session.provider, 'external');
    const avatar = body.session.transport.livekit.identity;
    const agent = await joinAgent(room, agentId, avatar);
    const tap = await CallTap.open(mesh, body.session.id);
    return new Stage({ room, agentId, avatar, sessionId: body.session.id, viewer, tap, agent });
  }

  private constructor(parts: Pick<Stage, 'room' | 'agentId' | 'avatar' | 'sessionId' | 'viewer' | 'tap' | 'agent'>) {
    ({
      room: this.room,
      agentId: this.agentId,
      avatar: this.avatar,
      sessionId: this.sessionId,
      viewer: this.viewer,
      tap: this.tap,
      agent: this.agent,
    } = parts);
  }

  of(type: string): CallTap['events'] {
    return this.tap.events.filter((event) => event.type === type);
  }

  /** The moment of its segment at which the viewer heard the last speech end, milliseconds. */
  get heardUntilMs(): number {
    const { blocks } = this.viewer;
    const end = blocks.findLastIndex(({ loud }) => loud);
    const tail = blocks.slice(Math.max(0, end - MEASURED_BLOCKS), end).flatMap(({ pcm }) => [...pcm]);
    return momentOf(Int16Array.from(tail), 24_000) + BLOCK_MS / 2;
  }

  /** Resolves when the viewer has heard nothing for a second: what was sent has arrived. */
  quiet(): Promise<void> {
    const isQuiet = (): boolean => {
      const last = this.viewer.blocks.slice(-100);
      return last.length === 100 && last.every(({ loud }) => !loud);
    };
    return until('silence', isQuiet, PATIENCE_MS);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.agent[Symbol.asyncDispose]();
    await rest(mesh, 'DELETE', `/v1/sessions/${this.sessionId}`);
    await this.tap[Symbol.asyncDispose]();
    await this.viewer[Symbol.asyncDispose]();
  }
}

const joinAgent = async (room: string, identity: string, avatar: string): Promise<TestAgent> =>
  TestAgent.join({ url: server.url, token: await server.token(identity, room, {}, 'agent'), avatar });

test('segments of any rate are played to the end, one report each; between them the avatar moves in silence', async () => {
  await using stage = await Stage.open();
  const { agent, viewer } = stage;
  const rates = [24_000, 48_000, 16_000];
  const latencies: number[] = [];
  for (const [i, rateHz] of rates.entries()) {
    const askedAtMs = Date.now();
    agent.say(1000, rateHz);
    const { playbackPosition, interrupted } = await agent.next('finished', i + 1);
    latencies.push((await agent.next('started', i + 1)).atMs - askedAtMs);
    assert.deepEqual([playbackPosition, interrupted], [1, false]);
    await stage.quiet();
    const heard = stage.heardUntilMs;
    assert.ok(Math.abs(heard - 1000) < HEARD_TOLERANCE_MS, `heard until ${heard} of 1000 ms, at ${rateHz} Hz`);
  }
  console.log(`from the first sample to lk.playback_started: ${latencies.join(', ')} ms`);
  const frames = viewer.frames.length;
  await viewer.more(50);
  assert.ok(viewer.frames.length > frames, 'frames go on without speech');
});

test('a cleared segment ends where the listener heard it end; a clear with nothing to clear is answered', async () => {
  await using stage = await Stage.open();
  const { agent } = stage;
  agent.do({ op: 'call-clear' });
  assert.equal((await agent.next('answered')).answer, 'ok');
  const differences: number[] = [];
  for (const [i, afterMs] of [700, 1300, 2050].entries()) {
    agent.say(10_000);
    await agent.next('started', i + 1);
    await sleep(afterMs);
    agent.do({ op: 'clear' });
    const { playbackPosition, interrupted } = await agent.next('finished', i + 1);
    assert.equal(interrupted, true);
    await stage.quiet();
    differences.push(Math.round(playbackPosition * 1000 - stage.heardUntilMs));
    assert.ok(playbackPosition < 8, `${playbackPosition} s of 10 were played`);
  }
  console.log(`reported minus heard: ${differences.join(', ')} ms`);
  assert.ok(
    differences.every((ms) => Math.abs(ms) < HEARD_TOLERANCE_MS),
    `reported minus heard: ${differences.join(', ')} ms`,
  );
  assert.equal(agent.of('finished').length, 3, 'the clear without speech is not reported');
});

test('many short segments: one report each, with the whole position', async () => {
  await using stage = await Stage.open();
  const { agent } = stage;
  const count = 50;
  for (let i = 1; i <= count; i += 1) {
    agent.say(200);
    await agent.next('finished', i);
  }
  assert.deepEqual(
    agent.of('finished').map(({ playbackPosition, interrupted }) => [playbackPosition, interrupted]),
    Array.from({ length: count }, () => [0.2, false]),
  );
});

test('an agent that is killed in the middle of a segment: idle, its successor speaks, and without one the avatar leaves', async () => {
  await using stage = await Stage.open();
  stage.agent.do({ op: 'push', ms: 600, rateHz: 24_000 });
  await stage.agent.next('started');
  await stage.agent.kill();
  const killedAtMs = Date.now();
  await until('the turn to end', () => stage.of('turn.finished').length === 1, PATIENCE_MS);
  console.log(`turn ended ${Date.now() - killedAtMs} ms after the kill`);
  const frames = stage.viewer.frames.length;
  await until('idle frames', () => stage.viewer.frames.length > frames + 25, PATIENCE_MS);

  stage.agent = await joinAgent(stage.room, stage.agentId, stage.avatar);
  stage.agent.say(400);
  const { playbackPosition, interrupted } = await stage.agent.next('finished');
  assert.deepEqual([playbackPosition, interrupted], [0.4, false]);

  await stage.agent.kill();
  await until('the avatar to leave', () => stage.of('viewer.gone').length > 0, PATIENCE_MS);
  assert.equal(JSON.stringify(stage.of('viewer.gone')).includes('agent-gone'), true);
});

test('another agent in the room is not obeyed', async () => {
  await using stage = await Stage.open();
  await using other = await joinAgent(stage.room, 'other-agent', stage.avatar);
  stage.agent.say(2000);
  await stage.agent.next('started');
  other.say(1000);
  other.do({ op: 'call-clear' });
  assert.equal((await other.next('answered')).answer, 'reject');
  const { playbackPosition, interrupted } = await stage.agent.next('finished');
  assert.deepEqual([playbackPosition, interrupted], [2, false]);
  assert.deepEqual(other.of('finished'), []);
});

test('what others than the agent call and send is not obeyed, not kept and not logged', async () => {
  await using stage = await Stage.open();
  const stranger = new Room();
  await stranger.connect(server.url, await server.token('stranger', stage.room), {
    autoSubscribe: false,
    dynacast: false,
  });
  const { localParticipant } = stranger;
  assert.ok(localParticipant !== undefined);
  stage.agent.say(4000);
  await stage.agent.next('started');
  const call = { destinationIdentity: stage.avatar, method: 'lk.clear_buffer', payload: 'x'.repeat(1000) };
  const answers = await Promise.all(Array.from({ length: 100 }, () => localParticipant.performRpc(call)));
  assert.deepEqual([...new Set(answers)], ['reject']);
  for (let i = 0; i < 20; i += 1) {
    const attributes = { sample_rate: '24000', num_channels: '1' };
    const stream = { name: 'endless', destinationIdentities: [stage.avatar], attributes };
    const bytes = await localParticipant.streamBytes({ ...stream, topic: 'lk.audio_stream' });
    await bytes.write(new Uint8Array(30_000));
    await localParticipant.sendText('words', { topic: 'strange-topic', destinationIdentities: [stage.avatar] });
  }
  const { playbackPosition, interrupted } = await stage.agent.next('finished');
  assert.deepEqual([playbackPosition, interrupted], [4, false]);
  await stranger.disconnect();
  const log = await readFile(join(mesh.logFolder, 'webrtc-egress.log'), 'utf8');
  assert.equal(log.includes('strange-topic'), false, 'any participant could fill the log');
});
