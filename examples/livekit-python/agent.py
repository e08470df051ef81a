"""A LiveKit agent with a face that greets in every new room: the variables of ../livekit-agent/agent.mjs, then python agent.py dev"""

import io
import subprocess
import wave

from livekit import rtc
from livekit.agents import Agent, AgentServer, AgentSession, JobContext, cli, room_io
from talkmesh_avatar import AvatarSession

server = AgentServer()


@server.rtc_session()
async def greet(ctx: JobContext) -> None:
    await ctx.connect()
    # Here go the stt, llm and tts of your agent. This one needs no account: espeak-ng speaks.
    session = AgentSession()
    avatar = AvatarSession(avatar="mia")
    await avatar.start(session, ctx.room)
    agent = Agent(instructions="Greet the caller.")
    await session.start(agent, room=ctx.room, room_options=room_io.RoomOptions(audio_output=False))
    await avatar.wait_for_join()
    text = "Hello! I am an agent with a face."
    session.say(text, audio=speak(text))


async def speak(text: str):
    wav = subprocess.run(["espeak-ng", "--stdout", text], check=True, capture_output=True).stdout
    with wave.open(io.BytesIO(wav)) as sound:
        # espeak-ng writes to a pipe, so it cannot know the length: read to the end.
        pcm = sound.readframes(len(wav) // 2)
        yield rtc.AudioFrame(pcm, sound.getframerate(), 1, len(pcm) // 2)


if __name__ == "__main__":
    cli.run_app(server)
