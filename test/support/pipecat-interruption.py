"""A Pipecat pipeline that is interrupted: pushes speech and an InterruptionFrame through the service, and prints what came out, as one line of JSON."""

import asyncio
import json
import sys
import time

import numpy as np
from pipecat.frames.frames import (
    EndFrame,
    ErrorFrame,
    InterruptionFrame,
    OutputAudioRawFrame,
    OutputImageRawFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.workers.runner import WorkerRunner

sys.path.insert(0, sys.argv[1])
from talkmesh_video import TalkmeshVideoService  # noqa: E402

RATE_HZ = 16_000
LOUD = 1000


class Collector(FrameProcessor):
    def __init__(self):
        super().__init__()
        self.loud_at = []
        self.pictures = []
        self.others = []

    async def process_frame(self, frame, direction):
        await super().process_frame(frame, direction)
        if isinstance(frame, OutputAudioRawFrame):
            self.others.append(type(frame).__name__)
            if np.abs(np.frombuffer(frame.audio, dtype=np.int16)).max() > LOUD:
                self.loud_at.append(time.monotonic())
        elif isinstance(frame, OutputImageRawFrame):
            self.pictures.append([*frame.size, frame.format, len(frame.image)])
        await self.push_frame(frame, direction)

    async def loud(self, count):
        while len(self.loud_at) < count:
            await asyncio.sleep(0.02)


def speech(seconds):
    tone = (8000 * np.sin(np.arange(int(seconds * RATE_HZ)) * 0.1)).astype(np.int16).tobytes()
    pieces = [tone[at : at + 3200] for at in range(0, len(tone), 3200)]
    audio = [TTSAudioRawFrame(audio=piece, sample_rate=RATE_HZ, num_channels=1) for piece in pieces]
    return [TTSStartedFrame(), *audio, TTSStoppedFrame()]


async def main():
    collector = Collector()
    worker = PipelineWorker(Pipeline([TalkmeshVideoService(avatar="mia"), collector]))
    errors = []

    @worker.event_handler("on_pipeline_error")
    async def on_error(_worker, frame: ErrorFrame):
        errors.append(frame.error)

    runner = WorkerRunner()
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    await worker.queue_frames(speech(10))
    await asyncio.wait_for(collector.loud(20), 60)
    interrupted_at = time.monotonic()
    await worker.queue_frame(InterruptionFrame())
    await asyncio.sleep(2)
    silent_ms = 1000 * (max(collector.loud_at) - interrupted_at)
    before = len(collector.loud_at)
    await worker.queue_frames([*speech(1), EndFrame()])
    await asyncio.wait_for(running, 60)
    found = {
        "silentMs": silent_ms,
        "spokenMs": 40 * (len(collector.loud_at) - before),
        "pictures": len(collector.pictures),
        "picture": collector.pictures[-1],
        "audioFrames": sorted(set(collector.others)),
        "errors": errors,
    }
    print(json.dumps(found))


asyncio.run(main())
