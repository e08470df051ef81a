"""talkmesh as the face of a Pipecat pipeline: copy this file into your project and put the service after the TTS."""

from __future__ import annotations

import asyncio
import io
import json
import os
import struct
from typing import Any

from PIL import Image
from pipecat.audio.utils import create_stream_resampler
from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    Frame,
    InterruptionFrame,
    OutputImageRawFrame,
    SpeechOutputAudioRawFrame,
    StartFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.ai_service import AIService
from pipecat.services.settings import ServiceSettings
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

RATE_HZ = 24_000
# Kind, flags, width and height or rate and channels, reserved, timestamp in microseconds, bytes.
HEADER = struct.Struct("<BBHHHQI")
JPEG, PCM = 1, 3
# Workers may be starting.
READY_SECONDS = 60
# The longest goodbye that a pipeline waits for when it ends.
GOODBYE_SECONDS = 60


class TalkmeshVideoService(AIService):
    """Takes the audio of the TTS, and pushes the avatar's pictures and speech instead, in step."""

    def __init__(self, *, avatar: str, url: str | None = None, api_key: str | None = None, **start: Any) -> None:
        """`url` and `api_key`: TALKMESH_URL and TALKMESH_API_KEY when left out. `start`: further fields of the message, such as badge."""
        super().__init__(settings=ServiceSettings(model=None))
        self._url = (url or os.environ["TALKMESH_URL"]).rstrip("/").replace("http", "ws", 1) + "/v1/avatar"
        self._api_key = api_key or os.environ["TALKMESH_API_KEY"]
        self._start_message = {"type": "start", "avatar": avatar, "rate": RATE_HZ, **start}
        self._resampler = create_stream_resampler()
        self._socket: ClientConnection | None = None
        self._reader: asyncio.Task | None = None
        self._is_speaking = False
        self._unfinished = 0
        self._silent = asyncio.Event()

    def can_generate_metrics(self) -> bool:
        return True

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        self._silent.set()
        try:
            headers = {"Authorization": f"Bearer {self._api_key}"}
            # A message is a picture or 40 ms of audio. The pipeline's own queue is the buffer.
            self._socket = await connect(self._url, additional_headers=headers, max_size=2**24, compression=None)
            await self._send(self._start_message)
            ready = json.loads(await asyncio.wait_for(self._socket.recv(), READY_SECONDS))
            if ready["type"] != "ready":
                raise ConnectionError(ready["message"])
        except Exception as error:
            await self.push_error(error_msg=f"the avatar did not start: {error}", exception=error, fatal=True)
            return
        self._reader = self.create_task(self._read(self._socket))

    async def stop(self, frame: EndFrame) -> None:
        await super().stop(frame)
        await self._end_utterance()
        try:
            await asyncio.wait_for(self._silent.wait(), GOODBYE_SECONDS)
        except TimeoutError:
            await self.push_error(error_msg=f"the avatar was still speaking after {GOODBYE_SECONDS} s")
        await self._disconnect()

    async def cancel(self, frame: CancelFrame) -> None:
        await super().cancel(frame)
        await self._disconnect()

    async def cleanup(self) -> None:
        await super().cleanup()
        await self._disconnect()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, TTSAudioRawFrame):
            await self._speak(frame)
            return
        if isinstance(frame, TTSStartedFrame):
            await self.start_ttfb_metrics()
        elif isinstance(frame, TTSStoppedFrame):
            await self._end_utterance()
        elif isinstance(frame, InterruptionFrame):
            self._is_speaking = False
            await self._send({"type": "clear"})
        await self.push_frame(frame, direction)

    async def _speak(self, frame: TTSAudioRawFrame) -> None:
        pcm = await self._resampler.resample(frame.audio, frame.sample_rate, RATE_HZ)
        if pcm and not self._is_speaking:
            self._is_speaking = True
            self._unfinished += 1
            self._silent.clear()
        await self._send(pcm)

    async def _end_utterance(self) -> None:
        if self._is_speaking:
            self._is_speaking = False
            await self._send({"type": "end"})

    async def _send(self, message: bytes | dict[str, Any]) -> None:
        if self._socket is None or not message:
            return
        try:
            await self._socket.send(message if isinstance(message, bytes) else json.dumps(message))
        except ConnectionClosed:
            pass  # _read reports it.

    async def _read(self, socket: ClientConnection) -> None:
        try:
            async for message in socket:
                await (self._report(json.loads(message)) if isinstance(message, str) else self._media(message))
        except ConnectionClosed as error:
            await self.push_error(error_msg=f"the connection to the avatar was lost: {error}", exception=error)
        finally:
            self._silent.set()

    async def _report(self, report: dict[str, Any]) -> None:
        if report["type"] == "started":
            await self.stop_ttfb_metrics()
        elif report["type"] == "finished":
            self._unfinished -= 1
            if self._unfinished == 0:
                self._silent.set()
        elif report["type"] == "error":
            await self.push_error(error_msg=report["message"])

    async def _media(self, message: bytes) -> None:
        kind, _flags, a, b, _reserved, _timestamp_us, _size = HEADER.unpack_from(message)
        payload = message[HEADER.size :]
        if kind == JPEG:
            picture = Image.open(io.BytesIO(payload)).convert("RGB")
            image = OutputImageRawFrame(image=picture.tobytes(), size=(a, b), format="RGB")
            # The transport then shows it with the sound that follows, not when it arrives.
            image.sync_with_audio = True
            await self.push_frame(image)
        elif kind == PCM:
            await self.push_frame(SpeechOutputAudioRawFrame(audio=payload, sample_rate=a, num_channels=b))

    async def _disconnect(self) -> None:
        socket, self._socket = self._socket, None
        reader, self._reader = self._reader, None
        if socket is not None:
            await socket.close()
        if reader is not None:
            await self.cancel_task(reader)
