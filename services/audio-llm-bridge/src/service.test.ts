/** Runs the bridge as a real process with a real NATS server and gRPC. The other services are replaced by bus connections under their names. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import {
  type AudioMessage,
  decodeAudio,
  type EventBody,
  encodeAudio,
  encodePlayhead,
  type MeshEvent,
  newSessionId,
} from '@talkmesh/contracts';
import { v1 } from '@talkmesh/contracts/protos';
import { callUnary, connectClient } from '@talkmesh/service-kit';
import {
  createTestContext,
  flagsOf,
  moduleUrl,
  type NatsServer,
  startNatsServer,
  type TestContext,
} from '@talkmesh/service-kit/testing';
import { joinPcm } from './pcm.js';
import { fundamentalHz, tone } from './testing/tone.js';

const MAIN = moduleUrl('./main', import.meta.url);
const folder = mkdtempSync(join(tmpdir(), 'talkmesh-bridge-'));
let nats: NatsServer;
let neighbours: Record<'audio-ingest' | 'score-model' | 'webrtc-egress', TestContext<object>>;
let bridge: Bridge;

before(async () => {
  nats = await startNatsServer();
  const context = (name: keyof typeof neighbours) => createTestContext(name, undefined, nats.url);
  const [ingest, score, egress] = await Promise.all([
    context('audio-ingest'),
    context('score-model'),
    context('webrtc-egress'),
  ]);
  neighbours = { 'audio-ingest': ingest, 'score-model': score, 'webrtc-egress': egress };
  bridge = await Bridge.start();
});

after(async () => {
  await Promise.all([...running].map((started) => started.stop()));
  for (const neighbour of Object.values(neighbours ?? {})) await neighbour[Symbol.asyncDispose]();
  await nats?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

const ENV = { TALKMESH_DRAIN_DEADLINE_MS: '200', TALKMESH_PARENT_PID: String(process.pid) };
const running = new Set<Bridge>();

class Bridge {
  readonly process: ChildProcess;
  readonly stage: InstanceType<typeof v1.StageService>;
  readonly conversation: InstanceType<typeof v1.ConversationService>;

  private constructor(process: ChildProcess, address: string) {
    this.process = process;
    this.stage = connectClient(v1.StageService, address);
    this.conversation = connectClient(v1.ConversationService, address);
    running.add(this);
  }

  static async start(env: NodeJS.ProcessEnv = {}): Promise<Bridge> {
    const child = spawn(process.execPath, [...flagsOf(MAIN), fileURLToPath(MAIN)], {
      env: { ...process.env, ...ENV, TALKMESH_NATS_URL: nats.url, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
      const entry = JSON.parse(line) as { msg: string; grpcAddress: string };
      if (entry.msg !== 'ready') continue;
      child.stdout?.resume();
      return new Bridge(child, entry.grpcAddress);
    }
    throw new Error('the bridge exited before it was ready');
  }

  async stop(): Promise<number | null> {
    running.delete(this);
    // `close` of a StageService client is the RPC of that name, so the channel is closed directly.
    this.stage.getChannel().close();
    this.conversation.close();
    if (this.process.exitCode !== null) return this.process.exitCode;
    const exit = once(this.process, 'exit');
    this.process.kill('SIGTERM');
    return (await exit)[0] as number | null;
  }
}

/** One session, with the messages that the other services would receive from the bridge. */
class Session {
  readonly id = newSessionId();
  readonly speech: AudioMessage[] = [];
  readonly events: MeshEvent[] = [];
  readonly bridge: Bridge;
  #atUs = 0;
  #sequence = 0;

  constructor(on: Bridge) {
    this.bridge = on;
  }

  static async open(provider: string, on: Bridge = bridge, input = ''): Promise<Session> {
    const session = new Session(on);
    const { bus } = neighbours['score-model'];
    bus.subscribe('speech', session.id, (payload) => session.speech.push(decodeAudio(payload)));
    bus.subscribeEvents(session.id, (event) => session.events.push(event));
    await bus.flush();
    await callUnary(on.stage, 'open', { sessionId: session.id, bridge: { provider, input } }, { deadlineMs: 5000 });
    return session;
  }

  say(text: string): Promise<{ turn: number }> {
    return callUnary(this.bridge.conversation, 'say', { sessionId: this.id, text }, { deadlineMs: 30_000 });
  }

  interrupt(): Promise<{ interrupted: boolean }> {
    return callUnary(this.bridge.conversation, 'interrupt', { sessionId: this.id }, { deadlineMs: 5000 });
  }

  command(name: 'pause' | 'resume' | 'startInput' | 'commitInput' | 'cancelInput'): Promise<object> {
    return callUnary(this.bridge.conversation, name, { sessionId: this.id }, { deadlineMs: 5000 });
  }

  hear(pcm: Int16Array, endOfTurn = false): void {
    const { bus } = neighbours['audio-ingest'];
    for (let at = 0; at < pcm.length; at += 480) {
      const header = { sessionId: this.id, epoch: 0, turn: 0, chunk: 0, mediaTimeUs: 0, deadlineUs: 0 };
      const last = endOfTurn && at + 480 >= pcm.length;
      const audio = {
        ...header,
        sequence: this.#sequence++,
        sampleRateHz: 24_000,
        pcm: pcm.slice(at, at + 480),
        fromSample: 0,
        endOfTurn: last,
      };
      bus.publish('mic', this.id, encodeAudio(audio));
    }
  }

  activity(body: EventBody): void {
    neighbours['audio-ingest'].bus.publishEvent({ sessionId: this.id, epoch: 0, turn: 0, ...body });
  }

  played(turn: number, turnPlayedMs: number): void {
    const position = { sessionId: this.id, epoch: 0, turn, chunk: 0, frame: 0, mediaTimeUs: this.#atUs, deadlineUs: 0 };
    const message = encodePlayhead({ ...position, creditChunks: 2, heldFrames: 0, turnPlayedMs });
    neighbours['webrtc-egress'].bus.publish('playhead', this.id, message);
    this.#atUs += 160_000;
  }

  async until(type: MeshEvent['type'], turn?: number): Promise<MeshEvent> {
    for (let i = 0; i < 1000; i++) {
      const event = this.events.find((e) => e.type === type && (turn === undefined || e.turn === turn));
      if (event !== undefined) return event;
      await sleep(10);
    }
    throw new Error(`no ${type} event; received: ${this.events.map((event) => event.type).join(', ')}`);
  }

  async untilEndOfSpeech(): Promise<Int16Array> {
    for (let i = 0; i < 1000 && !this.speech.some((message) => message.endOfTurn); i++) await sleep(10);
    assert.ok(this.speech.at(-1)?.endOfTurn, 'the end of the turn was not sent');
    return joinPcm(this.speech.map((message) => message.pcm));
  }
}

test('the answer of the parrot is one turn as long as what the user said, at another pitch', async () => {
  const session = await Session.open('parrot');
  session.hear(new Int16Array(12_000));
  session.activity({ type: 'speech.started' });
  session.hear(tone(180, 2000, 6000));
  session.hear(new Int16Array(12_000));
  session.activity({ type: 'speech.stopped', durationMs: 2000 });
  const answer = await session.untilEndOfSpeech();
  assert.ok(Math.abs(answer.length / 24 - 2000) < 250, `${answer.length / 24} ms`);
  assert.ok(Math.abs(fundamentalHz(answer) / 180 - 2 ** (4 / 12)) < 0.03);
  assert.deepEqual(
    session.speech.map((message) => message.sequence),
    session.speech.map((_, i) => i),
  );
  assert.ok(session.speech.every((message) => message.turn === 1 && message.pcm.length <= 2400));
  session.played(1, answer.length / 24);
  const finished = await session.until('turn.finished', 1);
  assert.ok(finished.type === 'turn.finished' && !finished.interrupted);
  assert.equal(finished.speechMs, Math.round(answer.length / 24));
});

test('external audio arrives sample for sample as it was sent, with the ends of its turns', async () => {
  const session = await Session.open('external');
  const pcm = Int16Array.from({ length: 480 * 100 }, (_, i) => ((i * 7919) % 65_536) - 32_768);
  session.hear(pcm.subarray(0, 480 * 60), true);
  session.hear(pcm.subarray(480 * 60), true);
  for (let i = 0; i < 500 && session.speech.filter((message) => message.endOfTurn).length < 2; i++) await sleep(10);
  assert.deepEqual(joinPcm(session.speech.map((message) => message.pcm)), pcm);
  const samplesOf = (turn: number): number =>
    session.speech.reduce((sum, message) => sum + (message.turn === turn ? message.pcm.length : 0), 0);
  assert.deepEqual([samplesOf(1), samplesOf(2)], [480 * 60, 480 * 40]);
});

test('speech is not sent further ahead of the playhead than allowed', async () => {
  const session = await Session.open('external');
  session.hear(tone(200, 15_000, 5000), true);
  const sent = (): number => joinPcm(session.speech.map((message) => message.pcm)).length;
  for (let i = 0; i < 500 && sent() < 10_000 * 24; i++) await sleep(10);
  await sleep(300);
  assert.equal(sent(), 10_000 * 24);
  session.played(1, 8000);
  assert.equal((await session.untilEndOfSpeech()).length, 15_000 * 24);
});

test('a user who speaks over the avatar stops it at once; a cough interrupts nothing, speech that goes on does', async () => {
  const session = await Session.open('parrot');
  const { turn } = await session.say(
    'This is a rather long sentence that the user does not want to hear to its very end.',
  );
  assert.equal(turn, 1);
  session.played(1, 800);
  await session.until('turn.started', 1);
  session.activity({ type: 'speech.started' });
  const pause = await session.until('pause');
  assert.ok(pause.type === 'pause' && pause.cause === 'user-speech');
  session.activity({ type: 'speech.stopped', durationMs: 200 });
  const resume = await session.until('resume');
  assert.ok(resume.type === 'resume' && resume.cause === 'too-short');
  session.activity({ type: 'speech.started' });
  const interrupt = await session.until('interrupt', 1);
  assert.ok(interrupt.type === 'interrupt' && interrupt.cause === 'barge-in');
  const finished = await session.until('turn.finished', 1);
  assert.ok(finished.type === 'turn.finished' && finished.interrupted);
});

test('transcript and captions of a typed line show what is spoken, without its markup', async () => {
  const session = await Session.open('external');
  await session.say('# Prices\r\n\r\n* **Bold** words \u0007and `code` 😀\n\n| tea | two |\n|---|---|');
  const transcript = await session.until('transcript', 1);
  assert.ok(transcript.type === 'transcript');
  assert.equal(transcript.text, 'Prices\nBold words and code\ntea, two');
  await assert.rejects(session.say('```js\nlet a = 1;\n```\n'.slice(0, 6)), {
    reason: 'ARGUMENT_INVALID',
    message: /markup/,
  });
});

test('a typed line yields a transcript, speech and an end; an interrupt command stops it', async () => {
  const session = await Session.open('external');
  assert.deepEqual(await session.interrupt(), { interrupted: false });
  assert.deepEqual(await session.say('Hello there, nice to meet you.'), { turn: 1, cancelled: false });
  const pcm = await session.untilEndOfSpeech();
  assert.ok(pcm.length > 24_000 && pcm.some((sample) => Math.abs(sample) > 3000));
  const transcript = await session.until('transcript', 1);
  assert.ok(transcript.type === 'transcript' && transcript.text === 'Hello there, nice to meet you.');
  const queued = await session.until('turn.queued', 1);
  assert.ok(queued.type === 'turn.queued' && queued.source === 'text');
  session.played(1, 400);
  const started = await session.until('turn.started', 1);
  assert.ok(started.type === 'turn.started' && started.source === 'text');
  const caption = await session.until('caption', 1);
  assert.ok(caption.type === 'caption' && caption.text === 'Hello there, nice to meet you.');
  assert.deepEqual(await session.interrupt(), { interrupted: true });
  const interrupt = await session.until('interrupt', 1);
  assert.ok(interrupt.type === 'interrupt' && interrupt.cause === 'command');
});

test('a pause reaches the score service, and after its takeover is sent again with the unheard speech; a resume ends it', async () => {
  const session = await Session.open('external');
  assert.deepEqual(await session.command('resume'), { resumed: false });
  const pcm = tone(200, 1000, 5000);
  session.hear(pcm, true);
  await session.untilEndOfSpeech();
  session.played(1, 400);
  assert.deepEqual(await session.command('pause'), { paused: true });
  assert.deepEqual(await session.command('pause'), { paused: false });
  const pauses = (): number => session.events.filter(({ type }) => type === 'pause').length;
  for (let i = 0; i < 500 && pauses() < 2; i++) await sleep(10);
  const sent = session.speech.length;
  const flush = { type: 'flush', fromChunk: 3, cause: 'takeover' } as const;
  neighbours['score-model'].bus.publishEvent({ sessionId: session.id, epoch: 16, turn: 1, ...flush });
  for (let i = 0; i < 500 && !session.speech.slice(sent).some(({ endOfTurn }) => endOfTurn); i++) await sleep(10);
  const republished = session.speech.slice(sent);
  assert.deepEqual(joinPcm(republished.map((message) => message.pcm)), pcm.subarray(republished[0]?.fromSample));
  assert.ok((republished[0]?.fromSample ?? 0) <= 400 * 24);
  for (let i = 0; i < 500 && pauses() < 3; i++) await sleep(10);
  assert.equal(pauses(), 3);
  assert.deepEqual(await session.command('resume'), { resumed: true });
  await session.until('resume');
  assert.deepEqual(await session.interrupt(), { interrupted: true }, 'the turn was still unfinished');
});

test('push-to-talk: what is said between the commands is answered, without any voice activity', async () => {
  const session = await Session.open('parrot', bridge, 'push-to-talk');
  assert.deepEqual(await session.command('commitInput'), { committed: false });
  assert.deepEqual(await session.command('startInput'), { started: true });
  await session.until('speech.started');
  session.hear(tone(200, 1000, 5000));
  assert.deepEqual(await session.command('commitInput'), { committed: true });
  assert.ok((await session.untilEndOfSpeech()).length > 0);
  assert.deepEqual(await session.command('startInput'), { started: true });
  assert.deepEqual(await session.command('cancelInput'), { cancelled: true });
  const listening = await Session.open('parrot');
  await assert.rejects(listening.command('startInput'), { reason: 'ARGUMENT_INVALID', message: /push-to-talk/ });
  await assert.rejects(Session.open('external', bridge, 'push-to-talk'), { reason: 'ARGUMENT_INVALID' });
});

test('invalid requests are refused with their reason', async () => {
  const session = await Session.open('parrot');
  await assert.rejects(Session.open('oracle'), { reason: 'PROVIDER_UNKNOWN', message: /parrot, external/ });
  await assert.rejects(session.say(''), { reason: 'ARGUMENT_INVALID', message: /[Tt]ext/ });
  await assert.rejects(session.say('!?'), { reason: 'ARGUMENT_INVALID', message: /[Tt]ext/ });
  await assert.rejects(session.say('long '.repeat(401)), { reason: 'ARGUMENT_INVALID', message: /2000/ });
  const unopened = new Session(bridge);
  await assert.rejects(unopened.say('Hello'), { reason: 'SESSION_NOT_FOUND', message: /no session/ });
  await callUnary(bridge.stage, 'close', { sessionId: session.id, reason: 'ended' }, { deadlineMs: 5000 });
  await assert.rejects(session.say('Hello'), { reason: 'SESSION_NOT_FOUND', message: /no session/ });
});

test('without espeak-ng only typed lines are refused, with the package to install', async () => {
  const mute = await Bridge.start({ PATH: folder });
  const session = await Session.open('parrot', mute);
  await assert.rejects(session.say('Hello'), { reason: 'TTS_UNAVAILABLE', message: /apt-get install espeak-ng/ });
  session.activity({ type: 'speech.started' });
  session.hear(tone(180, 1000, 6000));
  session.activity({ type: 'speech.stopped', durationMs: 1000 });
  assert.ok((await session.untilEndOfSpeech()).length > 0);
  assert.equal(await mute.stop(), 0);
});

test('an interrupt and the end of a session end the text-to-speech process; on SIGTERM the bridge exits cleanly', async () => {
  const [command, pidFile] = [join(folder, 'slow-tts'), join(folder, 'slow-tts.pid')];
  writeFileSync(
    command,
    `#!/bin/sh\n[ "$1" = --version ] && exit 0\necho $$ > ${pidFile}\nespeak-ng --stdout 'Hello there, my friend.'\nexec sleep 60\n`,
  );
  chmodSync(command, 0o755);
  const slow = await Bridge.start({ TALKMESH_TTS_COMMAND: command });
  const gone = async (): Promise<boolean> => {
    const pid = Number(readFileSync(pidFile, 'utf8'));
    for (let i = 0; i < 200 && existsSync(`/proc/${pid}`); i++) await sleep(10);
    return !existsSync(`/proc/${pid}`);
  };
  const session = await Session.open('external', slow);
  await session.say('Hello');
  assert.deepEqual(await session.interrupt(), { interrupted: true });
  assert.ok(await gone(), 'after the interrupt');
  await session.say('Hello');
  await callUnary(slow.stage, 'close', { sessionId: session.id, reason: 'ended' }, { deadlineMs: 5000 });
  assert.ok(await gone(), 'after the session');
  assert.equal(await slow.stop(), 0);
});
