/**
 * Property: after any mix of lines, interrupts, pauses, gaps in the event stream and bridges that die, a client that folds the events
 * knows which turns wait and which one is heard.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AT_REST, type CallEvent, type CallProgress, progressAfter } from '@talkmesh/client';
import { type AudioMessage, type MeshEvent, newSessionId, type PlayheadMessage } from '@talkmesh/contracts';
import { Conversation } from './conversation.js';
import type { ConversationOutput } from './conversation-messages.js';
import { stateOfConversation } from './takeover.js';
import { CONVERSATION_OPTIONS } from './testing/conversation-options.js';

const sessionId = newSessionId();
const FRAME_MS = 40;
const OPTIONS = { ...CONVERSATION_OPTIONS, aheadMs: 2000 };

/** Random numbers below `n` from a seed (Park and Miller, 1988). */
function randomFrom(seed: number): (n: number) => number {
  let state = seed;
  return (n) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % n;
  };
}

interface Speech {
  readonly turn: number;
  sentMs: number;
  heardMs: number;
  ended: boolean;
}

/** What the listener hears: speech that was sent is played in order, unless it is cut or paused. */
class Ear {
  #speech: Speech[] = [];
  #paused = false;
  #mediaMs = 0;

  take(message: AudioMessage): void {
    const known = this.#speech.find(({ turn }) => turn === message.turn);
    const speech = known ?? { turn: message.turn, sentMs: 0, heardMs: 0, ended: false };
    if (known === undefined) this.#speech.push(speech);
    speech.sentMs = Math.max(speech.sentMs, (message.fromSample + message.pcm.length) / 24);
    speech.ended ||= message.endOfTurn;
  }

  obey(event: MeshEvent): void {
    if (event.type === 'interrupt') this.#speech = this.#speech.filter(({ turn }) => turn > event.turn);
    if (event.type === 'pause') this.#paused = true;
    if (event.type === 'resume' || event.type === 'interrupt') this.#paused = false;
  }

  /** Plays one frame. */
  play(): PlayheadMessage {
    this.#mediaMs += FRAME_MS;
    const next = this.#paused ? undefined : this.#speech.find(({ sentMs, heardMs }) => heardMs < sentMs);
    if (next !== undefined) next.heardMs = Math.min(next.sentMs, next.heardMs + FRAME_MS);
    return {
      ...{ sessionId, epoch: 0, chunk: 0, frame: 0, deadlineUs: 0, creditChunks: 2, heldFrames: 0 },
      ...{ turn: next?.turn ?? 0, turnPlayedMs: next?.heardMs ?? 0, mediaTimeUs: this.#mediaMs * 1000 },
    };
  }

  /** Turns of which some was heard, and which are not over. */
  get audible(): number[] {
    return this.#speech.flatMap(({ turn, sentMs, heardMs, ended }) =>
      heardMs > 0 && !(ended && heardMs === sentMs) ? [turn] : [],
    );
  }
}

/** A bridge, a listener and a client whose event stream may be away. */
class World {
  conversation = new Conversation(OPTIONS, 0);
  readonly ear = new Ear();
  readonly speech: AudioMessage[] = [];
  readonly events: MeshEvent[] = [];
  playhead: PlayheadMessage | undefined;
  progress: CallProgress = AT_REST;
  #received = 0;
  isConnected = true;

  carryOut(outputs: readonly ConversationOutput[]): void {
    for (const output of outputs) {
      if (output.kind === 'speech') {
        const { epoch, turn, sequence, mediaTimeUs, pcm, fromSample, endOfTurn } = output;
        const header = { sessionId, chunk: 0, deadlineUs: 0, sampleRateHz: 24_000 };
        const message = { ...header, epoch, turn, sequence, mediaTimeUs, pcm, fromSample, endOfTurn };
        this.speech.push(message);
        this.ear.take(message);
      } else if (output.kind === 'event') {
        const envelope = { v: 2, id: `bridge.${this.events.length}`, sessionId, epoch: output.epoch, atMs: 0 } as const;
        const event: MeshEvent = { ...envelope, turn: output.turn, ...output.body };
        this.events.push(event);
        this.ear.obey(event);
        // The score service reports a pause as soon as it has carried it out.
        if (event.type === 'pause' || event.type === 'resume' || event.type === 'interrupt') this.#report(event);
      }
    }
    if (this.isConnected) this.receive();
  }

  #report(event: Extract<MeshEvent, { readonly type: 'pause' | 'resume' | 'interrupt' }>): void {
    const envelope = { v: 2, id: `score.${this.events.length}`, sessionId, epoch: 0, turn: 0, atMs: 0 } as const;
    if (event.type === 'pause') this.events.push({ ...envelope, type: 'turn.paused', heardMs: 0, cause: event.cause });
    else {
      const cause = event.type === 'resume' ? event.cause : 'interrupt';
      this.events.push({ ...envelope, type: 'turn.resumed', heardMs: 0, cause });
    }
  }

  /** The client receives what it missed. */
  receive(): void {
    const missed: CallEvent[] = this.events.slice(this.#received);
    this.progress = missed.reduce(progressAfter, this.progress);
    this.#received = this.events.length;
  }

  tick(): void {
    this.playhead = this.ear.play();
    this.carryOut(this.conversation.handle({ kind: 'playhead', playhead: this.playhead }, 0));
  }

  /** A bridge that took over learns that a turn is over when the playhead stays outside of it for three seconds. */
  settle(): void {
    for (let i = 0; i < 80; i += 1) this.tick();
  }

  /** Another bridge takes over; lines that were only begun are lost. */
  takeOver(): void {
    this.conversation = new Conversation(OPTIONS, 0);
    this.carryOut(this.conversation.takeOver(stateOfConversation(this.speech, this.events, this.playhead)));
  }
}

test('what the client shows equals what is heard, in 150 random calls', () => {
  let [heard, cut, taken] = [0, 0, 0];
  for (let seed = 1; seed <= 150; seed += 1) {
    const random = randomFrom(seed);
    const world = new World();
    let growing: string[] = [];
    for (let step = 0; step < 120; step += 1) {
      const { conversation } = world;
      const choice = random(20);
      if (choice < 3) {
        const response = `line-${step}`;
        const { turn, outputs } = conversation.beginText(response);
        world.carryOut(outputs);
        if (turn !== undefined) growing.push(response);
      } else if (choice < 9 && growing[0] !== undefined) {
        const [response] = growing;
        const pcm = new Int16Array((1 + random(40)) * 480).fill(1);
        world.carryOut(conversation.handle({ kind: 'output', output: { kind: 'speech', response, pcm } }, 0));
        const text = 'so it goes on and on, word after word';
        const transcript = { kind: 'transcript', role: 'avatar', text, final: false, response } as const;
        world.carryOut(conversation.handle({ kind: 'output', output: transcript }, 0));
      } else if (choice < 11 && growing[0] !== undefined) {
        const response = growing.shift() as string;
        world.carryOut(conversation.handle({ kind: 'output', output: { kind: 'end', response } }, 0));
      } else if (choice === 11) {
        world.carryOut(conversation.interrupt(0));
        growing = [];
        cut += 1;
      } else if (choice === 12) world.carryOut(conversation.pause(true));
      else if (choice === 13) {
        world.carryOut(conversation.pause(false));
        world.settle();
      } else if (choice === 14) world.isConnected = false;
      else if (choice === 15) {
        world.isConnected = true;
        world.receive();
      } else if (choice === 16 && random(4) === 0) {
        world.takeOver();
        world.settle();
        growing = [];
        taken += 1;
      } else for (let i = random(30); i > 0; i -= 1) world.tick();
      world.tick();
      if (!world.isConnected) continue;
      const shown = world.progress.turns.filter(({ audible }) => audible).map(({ turn }) => turn);
      if (!world.progress.paused) assert.deepEqual(shown, world.ear.audible, `seed ${seed}, step ${step}`);
      assert.equal(world.progress.paused, world.conversation.paused, `seed ${seed}, step ${step}`);
      const waiting = world.progress.turns.filter(({ audible }) => !audible).map(({ turn }) => turn);
      const running = world.conversation.running.filter(({ started }) => !started).map(({ number }) => number);
      assert.deepEqual(waiting, running, `seed ${seed}, step ${step}`);
      heard += shown.length;
    }
    for (const event of world.events) {
      const before = (type: string): boolean =>
        world.events.some((other) => other.type === type && other.turn === event.turn);
      if (event.type === 'turn.finished') assert.ok(before('turn.started'), `turn ${event.turn} of seed ${seed}`);
      if (event.type === 'turn.cancelled') assert.ok(!before('turn.started'), `turn ${event.turn} of seed ${seed}`);
    }
  }
  assert.ok(heard > 500 && cut > 100 && taken > 30, `the calls were lively: ${heard} ${cut} ${taken}`);
});
