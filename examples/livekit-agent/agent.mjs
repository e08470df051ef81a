// A LiveKit agent with a face that greets in every new room: LIVEKIT_URL=… LIVEKIT_API_KEY=… LIVEKIT_API_SECRET=… TALKMESH_URL=… TALKMESH_API_KEY=… node agent.mjs dev
import { execFileSync } from 'node:child_process';
import { ReadableStream } from 'node:stream/web';
import { fileURLToPath } from 'node:url';
import { cli, defineAgent, ServerOptions, voice } from '@livekit/agents';
import { AudioFrame } from '@livekit/rtc-node';
import { AvatarSession } from '@talkmesh/livekit';

export default defineAgent({
  entry: async (ctx) => {
    await ctx.connect();
    // Here go the stt, llm and tts of your agent. This one needs no account: espeak-ng speaks.
    const session = new voice.AgentSession({});
    const avatar = new AvatarSession({ avatar: 'mia' });
    await avatar.start(session, ctx.room);
    const agent = new voice.Agent({ instructions: 'Greet the caller.' });
    await session.start({ agent, room: ctx.room, outputOptions: { audioEnabled: false } });
    await avatar.waitForJoin();
    const text = 'Hello! I am an agent with a face.';
    session.say(text, { audio: ReadableStream.from([speak(text)]) });
  },
});

function speak(text) {
  const wav = execFileSync('espeak-ng', ['--stdout', text]);
  const pcm = new Int16Array(wav.buffer.slice(wav.byteOffset + 44, wav.byteOffset + wav.length - (wav.length % 2)));
  return new AudioFrame(pcm, wav.readUInt32LE(24), 1, pcm.length);
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  cli.runApp(new ServerOptions({ agent: fileURLToPath(import.meta.url) }));
