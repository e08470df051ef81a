import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MeshError } from '@talkmesh/contracts';
import type { AgentInput, SpeechReport } from './agent-messages.js';
import type { AgentSpeech } from './agent-speech.js';
import { Speaker, type SpeakerReport } from './speaker.js';

const FORMAT = { rateHz: 24_000, channels: 1 };

class Connection {
  readonly reports: SpeakerReport[] = [];
  ended: MeshError | undefined;

  report(report: SpeakerReport): void {
    this.reports.push(report);
  }

  end(error: MeshError): void {
    this.ended = error;
  }
}

function setUp() {
  const inputs: AgentInput[] = [];
  const gone: string[] = [];
  const refuses = { current: false };
  let say: (report: SpeechReport) => void = () => assert.fail('nothing follows');
  const speaker = new Speaker({
    follow: ({ report }) => {
      say = report;
      const receive = (input: AgentInput): void => {
        if (refuses.current) throw new MeshError('RATE_LIMITED', 'too many');
        inputs.push(input);
      };
      return { receive } as AgentSpeech;
    },
    warn: () => undefined,
    graceMs: 50,
    onGone: () => gone.push('gone'),
  });
  const finished = (stream: string | undefined, seconds: number, interrupted = false) =>
    say({ type: 'finished', stream, seconds, interrupted });
  return { speaker, inputs, gone, refuses, say: (report: SpeechReport) => say(report), finished };
}

const state = ({ reports: [first] }: Connection) => (first?.type === 'ready' ? first.state : assert.fail('not ready'));

test('utterances begin with their first byte, are numbered, and end by end or clear; an end without audio is nothing', () => {
  const { speaker, inputs } = setUp();
  speaker.attach(new Connection(), FORMAT, 0);
  speaker.end();
  speaker.audio(Uint8Array.of(1));
  speaker.audio(Uint8Array.of(2));
  speaker.end();
  speaker.audio(Uint8Array.of(3));
  speaker.clear();
  speaker.audio(Uint8Array.of(4));
  assert.deepEqual(
    inputs.map((input) => ('stream' in input ? `${input.type} ${input.stream}` : input.type)),
    ['opened 1', 'audio 1', 'audio 1', 'closed 1', 'opened 2', 'audio 2', 'clear', 'opened 3', 'audio 3'],
  );
});

test('what is reported while the program is away is told to its next connection, after what it must know', () => {
  const { speaker, say, finished, gone } = setUp();
  const first = new Connection();
  speaker.attach(first, FORMAT, 0);
  speaker.audio(new Uint8Array(100));
  speaker.end();
  speaker.audio(new Uint8Array(30));
  speaker.detach(first, false);
  say({ type: 'started', stream: '1' });
  finished('1', 1.25);
  const second = new Connection();
  speaker.attach(second, FORMAT, 0);
  assert.deepEqual(state(second), { resumed: true, utterances: 2, unfinished: [1, 2], isOpen: true, openBytes: 30 });
  assert.deepEqual(second.reports.slice(1), [
    { type: 'started', utterance: 1 },
    { type: 'finished', utterance: 1, positionMs: 1250, interrupted: false },
  ]);
  assert.equal(first.reports.length, 1);
  assert.deepEqual(gone, []);
});

test('an utterance that counts as complete after a pause is closed, so that more speech is another one; one that was cut is not', () => {
  const { speaker, inputs, finished } = setUp();
  speaker.attach(new Connection(), FORMAT, 0);
  speaker.audio(Uint8Array.of(1));
  finished('1', 1, true);
  speaker.audio(Uint8Array.of(2));
  assert.equal(inputs.filter(({ type }) => type === 'opened').length, 1);
  speaker.end();
  speaker.audio(Uint8Array.of(3));
  finished('2', 1);
  speaker.audio(Uint8Array.of(4));
  assert.equal(inputs.filter(({ type }) => type === 'opened').length, 3);
});

test('numbers go on from a worker before, whose utterance has the number 0', () => {
  const { speaker, finished, inputs } = setUp();
  const connection = new Connection();
  speaker.attach(connection, FORMAT, 7);
  assert.deepEqual([state(connection).resumed, state(connection).utterances], [false, 7]);
  finished(undefined, 0.5, true);
  assert.deepEqual(connection.reports[1], { type: 'finished', utterance: 0, positionMs: 500, interrupted: true });
  speaker.audio(Uint8Array.of(1));
  assert.equal(inputs[0]?.type === 'opened' && inputs[0].stream, '8');
});

test('a newer connection replaces an older one; a connection that breaks and stays away is gone', async () => {
  const { speaker, gone } = setUp();
  const [first, second] = [new Connection(), new Connection()];
  speaker.attach(first, FORMAT, 0);
  speaker.attach(second, FORMAT, 0);
  assert.equal(first.ended?.reason, 'SESSION_EXISTS');
  speaker.detach(first, false);
  await new Promise((resolve) => setTimeout(resolve, 120));
  assert.deepEqual(gone, [], 'the newer one is there');
  speaker.detach(second, false);
  await new Promise((resolve) => setTimeout(resolve, 120));
  assert.deepEqual(gone, ['gone']);
});

test('an utterance that is refused has not begun', () => {
  const { speaker, refuses } = setUp();
  speaker.attach(new Connection(), FORMAT, 0);
  refuses.current = true;
  assert.throws(() => speaker.audio(Uint8Array.of(1)), { reason: 'RATE_LIMITED' });
  const next = new Connection();
  speaker.attach(next, FORMAT, 0);
  assert.deepEqual(state(next), { resumed: true, utterances: 0, unfinished: [], isOpen: false, openBytes: 0 });
});
