import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  decodeAudio,
  decodeEvent,
  decodeFrame,
  decodeLatent,
  decodePlayhead,
  encodeAudio,
  encodeEvent,
  encodeFrame,
  encodeLatent,
  encodePlayhead,
  MeshError,
  modelManifest,
  newSessionId,
  parseSubject,
  sessionRecord,
  subjectOf,
  workerRecord,
} from '@talkmesh/contracts';
import { v1 } from '@talkmesh/contracts/protos';
import { decodePng, encodeSafetensors, openWeights } from '@talkmesh/inference';
import { createFixtureVideo } from '@talkmesh/inference/testing';
import { encodeWav, parseWav } from '@talkmesh/media';
import { advertise, limitVideo, parseOffer, RemoteCandidates } from '@talkmesh/webrtc';
import {
  Auth,
  decodePicture,
  isProxyTrust,
  PictureError,
  parseApiKeys,
  pictures,
  readClientMessage,
  readHeader,
  schemas,
} from '../../services/gateway/src/testing/index.js';
import { seededRandom } from '../support/seeded-random.js';
import { mutate } from './mutate.js';

/** Every parser of bytes and text from outside gets this many changed inputs. The seed is fixed, so a failure can be repeated. */
const INPUTS = 10_000;
const SEED = 20_260_101;
/** Limits for one input and for all inputs of a parser; they only have to tell a hang and a leak from work. */
const MAX_CPU_SECONDS = 2;
const MAX_GROWTH_BYTES = 300_000_000;
const PNG_PIXELS = 4096;

const text = (value: string): Buffer => Buffer.from(value);
const json = (value: unknown): Buffer => text(JSON.stringify(value));
const { createSessionBody, sayBody, beaconBody, createAvatarBody } = schemas;

/** A refusal is an error that says what is wrong with the input; anything else is a fault of the parser. */
const isRefusal = (error: unknown): boolean =>
  (error instanceof MeshError && error.reason !== 'INTERNAL') || error instanceof PictureError;

interface Counts {
  accepted: number;
  refused: number;
}

async function fuzz(
  samples: readonly Uint8Array[],
  parse: (input: Buffer) => unknown,
  isExpected: (error: unknown) => boolean = isRefusal,
): Promise<Counts> {
  for (const sample of samples) await parse(Buffer.from(sample));
  const random = seededRandom(SEED);
  const counts: Counts = { accepted: 0, refused: 0 };
  const before = process.memoryUsage().rss;
  for (let i = 0; i < INPUTS; i++) {
    const input = mutate(samples, random);
    const cpu = process.cpuUsage();
    try {
      await parse(input);
      counts.accepted += 1;
    } catch (error) {
      if (!isExpected(error)) throw new Error(`input ${i}: ${input.toString('base64')}`, { cause: error });
      counts.refused += 1;
    }
    const { user, system } = process.cpuUsage(cpu);
    assert.ok((user + system) / 1e6 < MAX_CPU_SECONDS, `input ${i} took too long: ${input.toString('base64')}`);
  }
  assert.ok(process.memoryUsage().rss - before < MAX_GROWTH_BYTES, 'memory is bounded');
  assert.ok(counts.refused > INPUTS / 100, `${counts.refused} inputs were refused: the changes reach the checks`);
  return counts;
}

const isSyntaxError = (error: unknown): boolean => error instanceof SyntaxError || isRefusal(error);
/** A schema accepts or refuses and never throws; text that is no JSON is refused before. */
const accepts = (schema: { safeParse(value: unknown): { success: boolean; error?: unknown } }) => (input: Buffer) => {
  const { success, error } = schema.safeParse(JSON.parse(input.toString()));
  if (!success) throw new MeshError('ARGUMENT_INVALID', 'refused by the schema', { cause: error });
};

const sessionId = newSessionId();
const header = { sessionId, epoch: 3, turn: 2, chunk: 7, mediaTimeUs: 480_000, deadlineUs: 0 };
const flags = { speaking: true, degraded: false, held: false, endOfTurn: false, endsIdle: false };
const pcm = Int16Array.from({ length: 64 }, (_, i) => 100 * i);

test('NATS messages: audio, latent, frame, playhead', async () => {
  const audio = encodeAudio({ ...header, sequence: 1, sampleRateHz: 24_000, pcm, fromSample: 480, endOfTurn: false });
  const values = Float32Array.from({ length: 32 }, (_, i) => i / 7);
  const latent = encodeLatent({
    ...{
      ...header,
      ...flags,
      part: 0,
      parts: 1,
      values,
      pcm,
      steps: 2,
      speechSamples: 64,
      turnSamples: 480,
      closedTurn: 1,
    },
  });
  const size = { width: 8, height: 8, i420: new Uint8Array(96).fill(77) };
  const frame = encodeFrame({ ...header, ...flags, ...size, frame: 1, framesInChunk: 12, pcm, turnSamples: 64 });
  const playhead = encodePlayhead({ ...header, frame: 3, creditChunks: 2, heldFrames: 1, turnPlayedMs: 40 });
  await fuzz([audio], decodeAudio);
  await fuzz([latent], decodeLatent);
  await fuzz([frame], decodeFrame);
  await fuzz([playhead], decodePlayhead);
});

test('events and subjects', async () => {
  const head = { id: 'a.1', sessionId, epoch: 1, turn: 2 };
  await fuzz(
    [
      encodeEvent({ ...head, type: 'transcript', role: 'avatar', text: 'caf\u00e9 \u{1f642}', final: true }),
      encodeEvent({ ...head, type: 'session.ended', cause: 'hung-up' }),
      encodeEvent({ ...head, type: 'error', service: 'vae-decode', reason: 'INTERNAL', message: 'm' }),
    ],
    decodeEvent,
  );
  await fuzz([text(subjectOf(sessionId, 'mic')), text(subjectOf(sessionId, 'event'))], (input) => {
    if (parseSubject(input.toString()) === undefined) throw new MeshError('MESSAGE_MALFORMED', 'no subject');
  });
});

test('records of workers and sessions in NATS', async () => {
  const place = { instanceId: 'score-1', grpcAddress: '127.0.0.1:1' };
  const worker = {
    ...place,
    service: 'score-model',
    version: '1',
    state: 'ready',
    sessions: 0,
    capacity: 4,
    model: 'nano@1',
  };
  const session = { id: sessionId, owner: 'shop', state: 'open', avatar: 'mia', provider: 'parrot', output: 'webrtc' };
  await fuzz([json(worker)], accepts(workerRecord), isSyntaxError);
  const placement = { 'score-model': place };
  await fuzz([json({ ...session, seed: 1, createdAtMs: 1, placement })], accepts(sessionRecord), isSyntaxError);
});

test('bodies of REST', async () => {
  const face = { mouth: [10, 20], leftEye: [5, 5], rightEye: [15, 5] };
  await fuzz(
    [json({ avatar: 'mia', provider: 'parrot', output: 'record', seed: 7 })],
    accepts(createSessionBody),
    isSyntaxError,
  );
  await fuzz([json({ text: 'hello' })], accepts(sayBody), isSyntaxError);
  await fuzz([json({ token: 'a.b.c' })], accepts(beaconBody), isSyntaxError);
  await fuzz(
    [
      json({ image: 'iVBORw0KGgo=', name: 'Me', landmarks: face }),
      json({ image: 'AAAA', crop: { left: 1, top: 2, side: 90 } }),
    ],
    accepts(createAvatarBody),
    isSyntaxError,
  );
});

test('messages of the avatar socket', async () => {
  const start = json({ type: 'start', avatar: 'mia', rate: 16_000, channels: 2, video: 'i420', maxSeconds: 60 });
  await fuzz(
    [start, json({ type: 'clear' }), json({ type: 'end' })],
    (input) => void readClientMessage(input.toString()),
  );
});

test('tokens, API keys and the proxy setting', async () => {
  const { keys: apiKeys } = parseApiKeys('shop:key-of-the-fuzzer-0123456789');
  const auth = new Auth({ secrets: { apiKeys, tokenSecrets: ['s'.repeat(32)] }, tokenTtlMs: 60_000 });
  const { token } = await auth.issue(sessionId);
  const good = [text(`Bearer ${token}`), text('Bearer key-of-the-fuzzer-0123456789')];
  const accepted = new Set<string>();
  await fuzz(good, async (input) => {
    const header = input.toString('latin1');
    await auth.identify(header);
    accepted.add(header.replace(/^bearer +/i, ''));
  });
  // base64url of 32 bytes has two unused bits, so a few spellings of a signature are one signature (RFC 4648, 3.5).
  for (const credential of accepted)
    assert.ok(
      credential === 'key-of-the-fuzzer-0123456789' || credential.slice(0, -1) === token.slice(0, -1),
      `forged: ${credential}`,
    );
  await fuzz([text('shop:0123456789abcdef, ops/admin:0123456789abcdef')], (input) => {
    if (parseApiKeys(input.toString()).problems.length > 0) throw new MeshError('CONFIG_INVALID', 'refused');
  });
  await fuzz([text('10.0.0.0/8, fd00::/8, loopback')], (input) => {
    if (!isProxyTrust(input.toString())) throw new MeshError('CONFIG_INVALID', 'refused');
  });
});

test('SDP offers', async () => {
  const policy = new RemoteCandidates(['private']);
  const offer = text(
    [
      ...['v=0', 'o=- 1 2 IN IP4 127.0.0.1', 's=-', 't=0 0', 'a=group:BUNDLE 0 1', 'a=ice-ufrag:abcd'],
      ...['a=ice-pwd:abcdefghijklmnopqrstuvwx', `a=fingerprint:sha-256 ${'AB:'.repeat(31)}AB`, 'a=setup:actpass'],
      ...['m=audio 9 UDP/TLS/RTP/SAVPF 111', 'c=IN IP4 0.0.0.0', 'a=mid:0', 'a=rtcp-mux', 'a=rtpmap:111 opus/48000/2'],
      ...['m=video 9 UDP/TLS/RTP/SAVPF 96', 'c=IN IP4 0.0.0.0', 'a=mid:1', 'a=rtcp-mux', 'a=rtpmap:96 VP8/90000'],
      ...['a=recvonly', 'a=candidate:1 1 udp 2122260223 10.0.0.1 4444 typ host', ''],
    ].join('\r\n'),
  );
  await fuzz([offer], (input) => {
    const { sdp } = parseOffer(input.toString());
    const filtered = policy.filter(limitVideo(sdp, { maxKbps: 1500, startKbps: 800 }));
    assert.doesNotMatch(filtered, /^a=candidate:\S+ \S+ tcp /im);
    advertise(filtered, ['192.0.2.1']);
  });
});

test('protos of every request', async () => {
  const services = [v1.SessionService, v1.AudioIngest, v1.RecordService, v1.StageService, v1.PictureService];
  const methods = services.flatMap(({ service }) => Object.values(service));
  const fields = {
    ...{ sessionId, avatar: 'mia', provider: 'parrot', text: 'hello', seed: 7, pcm: Buffer.alloc(32) },
    ...{ instanceId: 'i', epoch: 3, rgb: Buffer.alloc(48), landmarks: [1, 2, 3, 4, 5, 6], sdp: 'v=0', reason: 'r' },
  };
  // The first byte of an input chooses the method.
  const samples = methods.map((method, index) =>
    Buffer.concat([Buffer.of(index), method.requestSerialize(fields as never)]),
  );
  assert.ok(samples.length > 10);
  await fuzz(
    samples,
    (input) => methods[(input[0] ?? 0) % methods.length]?.requestDeserialize(input.subarray(1)),
    // grpc-js answers errors of protobufjs with INTERNAL, and no handler is called.
    (error) =>
      error instanceof RangeError || (error instanceof Error && /wire type|illegal|invalid/.test(error.message)),
  );
});

test('WAV files', async () => {
  const wav = encodeWav(pcm, 24_000);
  await fuzz([wav], (input) => parseWav(input, { maxSeconds: 60 }));
});

test('headers of pictures', async () => {
  await fuzz([pictures.png(), pictures.jpg(6), pictures.PROGRESSIVE_JPEG], readHeader);
});

test('PNG files of a model', async () => {
  await fuzz([pictures.png(), pictures.png({ colour: 6 })], decodePng);
});

test('PNG and JPEG files', async () => {
  const samples = [
    pictures.png(),
    pictures.png({ depth: 16 }),
    pictures.jpg(6),
    pictures.PROGRESSIVE_JPEG,
    pictures.CMYK_JPEG,
  ];
  await fuzz(samples, (input) => decodePicture(input, PNG_PIXELS));
});

test('manifests of models', async () => {
  const manifest = readFileSync(new URL('../../models/nano/model.json', import.meta.url));
  await using video = await createFixtureVideo('codec');
  const samples = [manifest, readFileSync(join(video.folder, 'model.json'))];
  await fuzz(samples, accepts(modelManifest), isSyntaxError);
});

let folder = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'talkmesh-fuzz-'));
});
after(() => rm(folder, { recursive: true }));

test('headers of safetensors files', async () => {
  const file = encodeSafetensors([
    { name: 'a.weight', dims: [2, 3], values: new Float32Array(6) },
    { name: 'b', dims: [4], values: new Float32Array(4) },
  ]);
  await fuzz([file], async (input) => {
    writeFileSync(join(folder, 'f.safetensors'), input);
    await openWeights(folder, ['f.safetensors']);
  });
});
