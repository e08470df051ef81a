"""A Pipecat pipeline with a face: TALKMESH_URL=http://127.0.0.1:8080 TALKMESH_API_KEY=KEY python bot.py talk.mp4 "Hello!" "I am a pipeline with a face." """

from __future__ import annotations

import asyncio
import io
import subprocess
import sys
import tempfile
import wave
from collections.abc import AsyncGenerator
from pathlib import Path

from pipecat.frames.frames import EndFrame, Frame, OutputAudioRawFrame, OutputImageRawFrame, TTSAudioRawFrame, TTSSpeakFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.settings import TTSSettings
from pipecat.services.tts_service import TTSService
from pipecat.workers.runner import WorkerRunner
from talkmesh_video import TalkmeshVideoService


class EspeakTTSService(TTSService):
    """Needs no account. Put your own TTS here, and the stt and llm before it."""

    def __init__(self) -> None:
        settings = TTSSettings(model=None, voice="en-us", language=None)
        super().__init__(push_start_frame=True, push_stop_frames=True, settings=settings)

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame, None]:
        espeak = ["espeak-ng", "-v", self._settings.voice, "--stdout", text]
        wav = (await asyncio.to_thread(subprocess.run, espeak, check=True, capture_output=True)).stdout
        with wave.open(io.BytesIO(wav)) as sound:
            # espeak-ng writes to a pipe, so it cannot know the length: read to the end.
            pcm, rate = sound.readframes(len(wav) // 2), sound.getframerate()
        yield TTSAudioRawFrame(audio=pcm, sample_rate=rate, num_channels=1, context_id=context_id)


class Recorder(FrameProcessor):
    """Stands where `transport.output()` stands in a bot that people talk to."""

    def __init__(self, target: str) -> None:
        super().__init__()
        self._target = target
        self._folder = tempfile.TemporaryDirectory()
        self._video = Path(self._folder.name, "video").open("wb")
        self._audio = Path(self._folder.name, "audio").open("wb")
        self._size = (0, 0)
        self._rate = 0

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, OutputImageRawFrame):
            self._size = frame.size
            self._video.write(frame.image)
        elif isinstance(frame, OutputAudioRawFrame):
            self._rate = frame.sample_rate
            self._audio.write(frame.audio)
        elif isinstance(frame, EndFrame):
            await asyncio.to_thread(self._encode)
        await self.push_frame(frame, direction)

    def _encode(self) -> None:
        for file in (self._video, self._audio):
            file.close()
        video = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{self._size[0]}x{self._size[1]}", "-r", "25", "-i", self._video.name]
        audio = ["-f", "s16le", "-ar", str(self._rate), "-ac", "1", "-i", self._audio.name]
        codecs = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac"]
        subprocess.run(["ffmpeg", "-v", "error", "-y", *video, *audio, *codecs, self._target], check=True)
        self._folder.cleanup()


async def main(target: str, *lines: str) -> None:
    pipeline = Pipeline([EspeakTTSService(), TalkmeshVideoService(avatar="mia"), Recorder(target)])
    worker = PipelineWorker(pipeline, params=PipelineParams(enable_metrics=True))
    await worker.queue_frames([*(TTSSpeakFrame(line) for line in lines), EndFrame()])
    runner = WorkerRunner()
    await runner.add_workers(worker)
    await runner.run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
