// An agent of LiveKit Agents for tests, driven over IPC (AgentCommand, AgentEvent in livekit-agents.ts). Plain JavaScript, because the packages that it
// needs are not among this repository's: their folder is in the argument.
import { createRequire } from 'node:module';
import { join } from 'node:path';

const { folder, url, token, avatar, baseHz, slopeHz } = JSON.parse(process.argv[2]);
const require = createRequire(join(folder, 'package.json'));
const { Room, AudioFrame, TrackKind } = require('@livekit/rtc-node');
const { voice, initializeLogger } = require('@livekit/agents');
initializeLogger({ pretty: false, level: 'error' });

const FRAME_MS = 20;
const tell = (type, more = {}) => process.send({ type, atMs: Date.now(), ...more });
const room = new Room();
await room.connect(url, token, { autoSubscribe: false, dynacast: false });
const output = new voice.DataStreamAudioOutput({
  ...{ room, destinationIdentity: avatar, sampleRate: 24_000 },
  ...{ waitRemoteTrack: TrackKind.KIND_VIDEO, waitPlaybackStart: true },
});
output.on('playbackStarted', () => tell('started'));
output.on('playbackFinished', ({ playbackPosition, interrupted }) =>
  tell('finished', { playbackPosition, interrupted }),
);

/** Samples of the segment so far. */
/** Samples of the segment so far. */
let sample = 0;
/** The pitch says which moment of the segment is heard: `momentOf` in livekit-agents.ts reads it. */
/** The pitch says which moment of the segment is heard: `momentOf` in livekit-agents.ts reads it. */
async function push(ms, rateHz) {
  const samples = (rateHz * FRAME_MS) / 1000;
  for (let sent = 0; sent < ms; sent += FRAME_MS) {
    const data = Int16Array.from({ length: samples }, (_, i) => {
      const seconds = (sample + i) / rateHz;
      return 9000 * Math.sin(2 * Math.PI * (baseHz + (slopeHz * seconds) / 2) * seconds);
    });
    sample += samples;
    await output.captureFrame(new AudioFrame(data, rateHz, 1, samples));
  }
  tell('pushed');
}

const handlers = {
  push: ({ ms, rateHz }) => push(ms, rateHz),
  flush: () => {
    sample = 0;
    output.flush();
  },
  clear: () => output.clearBuffer(),
  'call-clear': async () => {
    const call = { destinationIdentity: avatar, method: 'lk.clear_buffer', payload: '' };
    tell('answered', { answer: await room.localParticipant.performRpc(call) });
  },
};
let done = Promise.resolve();
process.on('message', (command) => {
  done = done.then(() => handlers[command.op](command));
});
process.on('disconnect', () => process.exit(0));
tell('ready');
