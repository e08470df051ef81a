import wrtc from '@roamhq/wrtc';
import { serveParent } from '@talkmesh/service-kit/child';
import { advertise } from '../sdp.js';
import type { Change, PeerAnswer, PeerCommand, PeerReport } from './messages.js';

const { nonstandard } = wrtc;
const BRIGHT = 128;
const LOUD = 400;
const SENT_RATE_HZ = 48_000;
const KEPT_LUMAS = 500;

let connection = new wrtc.RTCPeerConnection({ bundlePolicy: 'max-bundle' });
const held: unknown[] = [];
const flashes: Change[] = [];
const beeps: Change[] = [];
const lumas: number[] = [];
const seen = { frames: 0, firstMs: 0, lastMs: 0, width: 0, height: 0, luma: 0, audioBlocks: 0, loudBlocks: 0 };
const tone = { hz: 0, amplitude: 0, sample: 0 };
let sending: NodeJS.Timeout | undefined;

function note(changes: Change[], on: boolean): void {
  if (changes.at(-1)?.on !== on) changes.push({ atMs: performance.now(), on });
}

function watch(track: MediaStreamTrack): void {
  const sink = new nonstandard.RTCVideoSink(track);
  held.push(sink);
  sink.onframe = ({ frame }: { frame: { width: number; height: number; data: Uint8Array } }) => {
    const atMs = performance.now();
    const middle = frame.data.subarray((frame.height >> 1) * frame.width, ((frame.height >> 1) + 1) * frame.width);
    const luma = middle.reduce((sum, value) => sum + value, 0) / middle.length;
    if (seen.frames++ === 0) seen.firstMs = atMs;
    Object.assign(seen, { lastMs: atMs, width: frame.width, height: frame.height, luma });
    lumas.push(Math.round(luma));
    if (lumas.length > KEPT_LUMAS) lumas.shift();
    note(flashes, luma > BRIGHT);
  };
}

function hear(track: MediaStreamTrack): void {
  const sink = new nonstandard.RTCAudioSink(track);
  held.push(sink);
  sink.ondata = ({ samples }: { samples: Int16Array }) => {
    const loud = samples.some((sample) => Math.abs(sample) > LOUD);
    seen.audioBlocks++;
    if (loud) seen.loudBlocks++;
    note(beeps, loud);
  };
}

function startSending(): void {
  const source = new nonstandard.RTCAudioSource();
  const track = source.createTrack();
  held.push(source, track);
  connection.addTrack(track, new wrtc.MediaStream());
  const startMs = performance.now();
  let blocks = 0;
  sending = setInterval(() => {
    for (; blocks * 10 <= performance.now() - startMs; blocks++)
      source.onData({ samples: toneBlock(), sampleRate: SENT_RATE_HZ });
  }, 10);
}

function toneBlock(): Int16Array {
  const { hz, amplitude } = tone;
  return Int16Array.from({ length: SENT_RATE_HZ / 100 }, () =>
    Math.round(amplitude * Math.sin((2 * Math.PI * hz * tone.sample++) / SENT_RATE_HZ)),
  );
}

async function offer({ receive, sendAudio, relay }: Extract<PeerCommand, { op: 'offer' }>): Promise<string> {
  if (relay !== undefined) {
    held.push(connection);
    connection = new wrtc.RTCPeerConnection({
      bundlePolicy: 'max-bundle',
      iceTransportPolicy: 'relay',
      iceServers: [{ ...relay, urls: [...relay.urls] }],
    });
  }
  connection.addEventListener('track', ({ track }) => {
    held.push(track);
    if (track.kind === 'video') watch(track);
    else hear(track);
  });
  for (const kind of receive) connection.addTransceiver(kind, { direction: 'recvonly' });
  if (sendAudio) startSending();
  return describe();
}

/** Makes an offer and waits for its candidates. */
async function describe(options: { iceRestart?: boolean } = {}): Promise<string> {
  await connection.setLocalDescription(await connection.createOffer(options));
  const hasAll = (): boolean =>
    connection.iceGatheringState === 'complete' && /^a=candidate:/m.test(connection.localDescription?.sdp ?? '');
  while (!hasAll()) await new Promise((resolve) => setTimeout(resolve, 5));
  return advertise(connection.localDescription?.sdp ?? '', ['127.0.0.1']);
}

const report = (): PeerReport => {
  const { firstMs, lastMs, ...rest } = seen;
  return { state: connection.connectionState, ...rest, spanMs: lastMs - firstMs, lumas, flashes, beeps };
};

function close(): void {
  clearInterval(sending);
  connection.close();
}

serveParent<PeerCommand, PeerAnswer, never>({
  onRequest: async (command) => {
    if (command.op === 'offer') return { sdp: await offer(command) };
    if (command.op === 'restart') return { sdp: await describe({ iceRestart: true }) };
    if (command.op === 'report') return { report: report() };
    if (command.op === 'accept') await connection.setRemoteDescription({ type: 'answer', sdp: command.sdp });
    else if (command.op === 'tone') Object.assign(tone, { hz: command.hz, amplitude: command.amplitude });
    else close();
    return { done: true };
  },
  onStop: close,
});
