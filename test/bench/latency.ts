/** How long a caller waits, as Chromium shows and plays it: until the avatar speaks, and until it is silent when it is interrupted. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { v1 } from '@talkmesh/contracts/protos';
import { encodeWav } from '@talkmesh/media';
import { connectClient } from '@talkmesh/service-kit';
import { until } from '@talkmesh/service-kit/testing';
import { type Mesh, startMesh } from '../../deploy/local/src/mesh.js';
import { RealtimeTestServer } from '../../services/audio-llm-bridge/src/testing/realtime-server.js';
import { SILENCE_MS } from '../../services/audio-llm-bridge/src/testing/realtime-session.js';
import { CallTap } from '../support/call-tap.js';
import { type BrowserOptions, openBrowser } from '../support/chromium.js';
import { keepMicrophone, type MediaRecording, readMedia, recordMedia, startCall } from '../support/media-recording.js';
import { firstAvatar, mouthBox } from '../support/nano.js';
import { fallsAfter, mouthLevel, passagesOf, risesAfter } from '../support/reactions.js';
import { rest } from '../support/record-call.js';
import { concatenate, silence, speak } from '../support/speech.js';
import { SpeechStream } from '../support/speech-stream.js';
import { median, percentile } from '../support/statistics.js';
import type { Row } from './table.js';

const ROUNDS = 20;
/** Above the noise that Opus decodes from silence, far below speech. */
const LOUD = 0.01;
/** 10 ms: what is quiet for so long is a pause. */
const PAUSE_SAMPLES = 240;
/** The mouth opens at most so long before the sound that it belongs to. */
const BEFORE_SOUND_MS = 250;
/** Sending speed of the speech that a product streams: faster than it is played, as language models send it. */
const SPEED = 4;

interface Call {
  readonly sessionId: string;
  readonly token: string;
  record(): Promise<MediaRecording>;
}

interface CallOptions {
  readonly provider: string;
  readonly microphone?: BrowserOptions['microphoneWav'];
  /** Settings of audio-llm-bridge. */
  readonly bridge?: NodeJS.ProcessEnv;
}

/** Reaction times by what they are, milliseconds. */
type Times = Record<string, number[]>;

export async function measureLatency(): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), 'talkmesh-latency-'));
  const times: Times = {};
  try {
    await streamedSpeech(times);
    await answered(times, folder);
    await spokenTo(times, folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return Object.entries(times).map(([name, values]) => ({
    'in Chromium': name,
    times: values.length,
    'p50 ms': median(values),
    'p95 ms': percentile(values, 0.95),
    'most ms': Math.max(...values),
  }));
}

/** A call of `<talk-mesh>` on a page of a product, as in the README. */
async function inCall(
  { provider, microphone, bridge = {} }: CallOptions,
  during: (mesh: Mesh, call: Call) => Promise<void>,
): Promise<void> {
  let token = '';
  const server = createServer((request, response) => {
    if (request.url === '/token')
      return void response.setHeader('content-type', 'application/json').end(JSON.stringify({ token }));
    const attributes = microphone === undefined ? ' microphone="off"' : '';
    response
      .setHeader('content-type', 'text/html')
      .end(`<!doctype html><script type="module" src="${mesh.httpUrl}/talk-mesh.js"></script>
        <talk-mesh avatar="${firstAvatar.id}" token-url="/token"${attributes}></talk-mesh>`);
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const env = { gateway: { TALKMESH_CORS_ORIGINS: origin }, 'audio-llm-bridge': bridge };
  const mesh = await startMesh({ quiet: true, env });
  try {
    const created = await rest<{ session: { id: string }; token: string }>(mesh, 'POST', '/v1/sessions', {
      avatar: firstAvatar.id,
      provider,
      output: 'webrtc',
    });
    token = created.body.token;
    await using browser = await openBrowser(microphone === undefined ? {} : { microphoneWav: microphone });
    const { page } = browser;
    await keepMicrophone(page);
    await page.goto(origin);
    await startCall(page);
    await recordMedia(page, mouthBox);
    await during(mesh, { sessionId: created.body.session.id, token, record: () => readMedia(page) });
  } finally {
    await mesh.stop();
    server.close();
    server.closeAllConnections();
  }
}

/** A product streams speech, which is interrupted by a command in its middle. */
async function streamedSpeech(times: Times): Promise<void> {
  const words = withoutPauses(
    speak(
      'All the world is a stage, and all the men and women merely players. They have their exits and their entrances, and one man in his time plays many parts.',
    ),
  );
  await inCall({ provider: 'external' }, async (mesh, { sessionId, token, record }) => {
    await using tap = await CallTap.open(mesh, sessionId);
    const ingest = connectClient<InstanceType<typeof v1.AudioIngest>>(v1.AudioIngest, mesh.grpcAddress);
    const rounds: { sentMs: number; cutMs: number }[] = [];
    await sleep(5000);
    for (let round = 0; round < ROUNDS; round++) {
      const sentMs = Date.now();
      const stream = new SpeechStream({ ingest, sessionId, token, words, speed: SPEED, samples: words.length });
      // Places of the interruption are spread over a chunk.
      await sleep(2200 + 24 * round);
      const cutMs = Date.now();
      await rest(mesh, 'POST', `/v1/sessions/${sessionId}/interrupt`);
      await stream.over.catch(() => undefined);
      await sleep(2200 - 24 * round);
      rounds.push({ sentMs, cutMs });
    }
    ingest.close();
    const { shown, heard, originMs } = await record();
    const open = mouthLevel(shown);
    const turns = tap.events.filter((event) => event.type === 'turn.finished');
    for (const [i, { sentMs, cutMs }] of rounds.entries()) {
      const [sent, cut] = [sentMs - originMs, cutMs - originMs];
      add(times, 'speech streamed in → sound', risesAfter(heard, LOUD, sent, cut));
      add(times, 'speech streamed in → mouth opens', risesAfter(shown, open, sent, cut));
      add(times, 'interrupt command → silence', fallsAfter(heard, LOUD, cut));
      add(times, 'interrupt command → mouth closed', fallsAfter(shown, open, cut));
      const startMs = risesAfter(heard, LOUD, sent, cut);
      const turn = turns[i];
      if (startMs === undefined || turn?.type !== 'turn.finished') continue;
      const playedMs = cut + fallsAfter(heard, LOUD, cut) - (sent + startMs);
      add(times, 'heardMs of the event against what the browser played, difference', Math.abs(turn.heardMs - playedMs));
    }
  });
}

/** A caller speaks to a model of the OpenAI Realtime protocol, which answers at once when it has heard the end of the question. */
async function answered(times: Times, folder: string): Promise<void> {
  const question = withoutEdges(speak('Tell me, how many of the apples on the table are red?'));
  const answer = withoutEdges(speak('All but one of them are red.'));
  const rounds = ROUNDS / 2;
  const round = concatenate(question, silence(4.5));
  const microphone = writeMicrophone(join(folder, 'question.wav'), round, rounds);
  const decided: number[] = [];
  await using server = await RealtimeTestServer.start({
    answer: () => {
      decided.push(Date.now());
      return { pcm: answer };
    },
  });
  const bridge = { TALKMESH_OPENAI_REALTIME_URL: server.url, TALKMESH_OPENAI_REALTIME_TRANSCRIPTION_MODEL: 'off' };
  await inCall({ provider: 'openai-realtime', microphone, bridge }, async (_mesh, { record }) => {
    await until('all answers', () => decided.length >= rounds, (60 + (rounds * round.length) / 24_000) * 1000);
    await sleep(5000);
    const { shown, heard, said, originMs } = await record();
    const open = mouthLevel(shown);
    const words = utterancesOf(said);
    for (const [i, { endMs }] of words.entries()) {
      const next = words[i + 1]?.startMs ?? endMs + 5000;
      const decidedMs = decided.map((atMs) => atMs - originMs).find((atMs) => atMs > endMs && atMs < next);
      const soundMs = risesAfter(heard, LOUD, endMs, next);
      if (decidedMs === undefined || soundMs === undefined) continue;
      // In idle motion the mouth may open a little; what counts is the opening that belongs to the sound.
      const before = Math.max(0, soundMs - BEFORE_SOUND_MS);
      const opensMs = risesAfter(shown, open, endMs + before, next);
      add(times, 'caller stops → a realtime model has heard it', decidedMs - SILENCE_MS - endMs);
      add(times, 'caller stops → sound of its answer, without its own time', soundMs - SILENCE_MS);
      add(
        times,
        'caller stops → mouth opens, without its own time',
        opensMs === undefined ? undefined : before + opensMs - SILENCE_MS,
      );
    }
  });
}

/** A caller speaks, is answered by parrot, and speaks over the answer. */
async function spokenTo(times: Times, folder: string): Promise<void> {
  const question = withoutEdges(speak('Tell me, how many of the apples on the table are red, and how many are green?'));
  const over = withoutEdges(speak('Wait, stop, I meant the oranges.'));
  const rounds = ROUNDS / 2;
  const round = concatenate(question, silence(2.4), over, silence(5.5));
  const microphone = writeMicrophone(join(folder, 'microphone.wav'), round, rounds);
  await inCall({ provider: 'parrot', microphone }, async (mesh, { sessionId, record }) => {
    await using tap = await CallTap.open(mesh, sessionId);
    const count = (media: MediaRecording): number => utterancesOf(media.said).length;
    await until(
      'the last words',
      async () => count(await record()) >= 2 * rounds,
      (60 + (rounds * round.length) / 24_000) * 1000,
    );
    await sleep(6000);
    const { shown, heard, said, originMs } = await record();
    const open = mouthLevel(shown);
    const stops = tap.events.flatMap(({ type, atMs }) => (type === 'speech.stopped' ? [atMs - originMs] : []));
    const words = utterancesOf(said);
    for (const [i, { startMs, endMs }] of words.entries()) {
      const next = words[i + 1]?.startMs ?? endMs + 5000;
      const interrupts = heard.some(({ atMs, value }) => value > LOUD && atMs > startMs - 300 && atMs < startMs);
      add(times, 'caller stops → sound of the answer', risesAfter(heard, LOUD, endMs, next));
      add(times, 'caller stops → mouth opens', risesAfter(shown, open, endMs, next));
      const stopMs = stops.find((atMs) => atMs > endMs && atMs < next);
      if (stopMs !== undefined) {
        add(times, 'caller stops → the end of the utterance is decided', stopMs - endMs);
        const opensMs = risesAfter(shown, open, stopMs, next);
        add(times, 'the end is decided → mouth opens (parrot included)', opensMs);
      }
      if (!interrupts) continue;
      add(times, 'caller speaks over the avatar → silence', fallsAfter(heard, LOUD, startMs));
      add(times, 'caller speaks over the avatar → mouth closed', fallsAfter(shown, open, startMs));
    }
  });
}

/** Writes what a caller says: nothing while the call is made, the same round several times, and nothing until it ends. @returns the path */
function writeMicrophone(path: string, round: Int16Array, rounds: number): string {
  const said = concatenate(silence(8), ...new Array<Int16Array>(rounds).fill(round), silence(60));
  writeFileSync(path, encodeWav(said, 24_000));
  return path;
}

const utterancesOf = (said: MediaRecording['said']) => passagesOf(said, LOUD, { pauseMs: 1200, leastMs: 500 });

function add(times: Times, name: string, ms: number | undefined): void {
  times[name] ??= [];
  if (ms !== undefined) times[name].push(ms);
}

/** Speech that is loud all the time, so that the end of its sound is the end of what is played and not a pause between words. */
function withoutPauses(pcm: Int16Array): Int16Array {
  const parts: Int16Array[] = [];
  for (let at = 0; at < pcm.length; at += PAUSE_SAMPLES) {
    const part = pcm.subarray(at, at + PAUSE_SAMPLES);
    if (part.some((sample) => Math.abs(sample) > 4 * LOUD * 32_768)) parts.push(part);
  }
  return concatenate(...parts);
}

/** Speech from its first loud sample to its last. */
function withoutEdges(pcm: Int16Array): Int16Array {
  const loud = LOUD * 32_768;
  const from = pcm.findIndex((sample) => Math.abs(sample) > loud);
  return pcm.slice(from, pcm.findLastIndex((sample) => Math.abs(sample) > loud) + 1);
}
