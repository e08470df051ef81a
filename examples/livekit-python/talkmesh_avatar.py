"""talkmesh as the avatar of an agent of LiveKit Agents (Python): copy this file into your agent's project."""

from __future__ import annotations

import datetime
import os
from typing import Any

import aiohttp
from livekit import api, rtc
from livekit.agents import AgentSession, get_job_context, voice

# Of the speech that the mesh works with; another rate would be resampled there.
SAMPLE_RATE_HZ = 24_000
# The gateway keeps the token for workers that take the session over, so it has to last as long as the call.
TOKEN_TTL = datetime.timedelta(hours=24)
# Workers may be starting.
CREATE_SECONDS = 60
END_SECONDS = 10


class TalkmeshError(Exception):
    """What the gateway answered instead; `reason` is one of libs/contracts/src/errors.ts."""

    def __init__(self, reason: str, status: int, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.status = status


class AvatarSession(voice.avatar.AvatarSession[Any]):
    """A talking picture for an agent. Start it before the `AgentSession`, which then speaks through it."""

    def __init__(
        self,
        *,
        avatar: str,
        url: str | None = None,
        api_key: str | None = None,
        identity: str = "talkmesh-avatar",
        display_name: str = "talkmesh",
        max_seconds: int | None = None,
    ) -> None:
        """`url` and `api_key` of the gateway: TALKMESH_URL and TALKMESH_API_KEY when left out. Raises ValueError when they are missing."""
        super().__init__()
        self._avatar = avatar
        self._url = _required(url, "TALKMESH_URL").rstrip("/")
        self._api_key = _required(api_key, "TALKMESH_API_KEY")
        self._identity = identity
        self._display_name = display_name
        self._max_seconds = max_seconds
        self._session_id: str | None = None
        # Grows when the avatar is closed: a session that is opened meanwhile must not stay.
        self._closes = 0

    @property
    def avatar_identity(self) -> str:
        return self._identity

    @property
    def provider(self) -> str:
        return "talkmesh"

    async def start(
        self,
        agent_session: AgentSession,
        room: rtc.Room,
        *,
        livekit_url: str | None = None,
        livekit_api_key: str | None = None,
        livekit_api_secret: str | None = None,
    ) -> None:
        """Opens a session whose avatar joins the room. LIVEKIT_* of the environment when left out. Raises TalkmeshError, ValueError, and RuntimeError when it is closed meanwhile."""
        closes = self._closes
        await super().start(agent_session, room)
        try:
            token = self._token(room, livekit_api_key, livekit_api_secret)
            livekit = {"url": _required(livekit_url, "LIVEKIT_URL"), "token": token}
            wanted: dict[str, Any] = {"avatar": self._avatar, "transport": {"livekit": livekit}}
            if self._max_seconds is not None:
                wanted["maxSeconds"] = self._max_seconds
            created = await self._send("POST", "/v1/sessions", CREATE_SECONDS, wanted)
            self._session_id = created["session"]["id"]
            if closes != self._closes:
                await self._end_session()
                raise RuntimeError("the avatar was closed while it started")
        except BaseException:
            await super().aclose()
            raise
        agent_session.output.audio = voice.avatar.DataStreamAudioOutput(
            room,
            destination_identity=self._identity,
            sample_rate=SAMPLE_RATE_HZ,
            wait_remote_track=rtc.TrackKind.KIND_VIDEO,
            wait_playback_start=True,
        )

    async def aclose(self) -> None:
        """Ends the session. LiveKit Agents calls it when the job ends. Raises TalkmeshError."""
        self._closes += 1
        try:
            await self._end_session()
        finally:
            await super().aclose()

    async def _end_session(self) -> None:
        session_id, self._session_id = self._session_id, None
        if session_id is None:
            return
        try:
            await self._send("DELETE", f"/v1/sessions/{session_id}", END_SECONDS)
        except TalkmeshError as error:
            # A session that has ended already is no error.
            if error.status != 404:
                raise

    def _token(self, room: rtc.Room, api_key: str | None, api_secret: str | None) -> str:
        """The avatar's token: it speaks on behalf of this agent, and receives its audio as data."""
        job = get_job_context(required=False)
        agent = job.local_participant_identity if job is not None else room.local_participant.identity
        grants = api.VideoGrants(
            room_join=True, room=room.name, can_publish=True, can_publish_data=True, can_subscribe=False
        )
        return (
            api.AccessToken(_required(api_key, "LIVEKIT_API_KEY"), _required(api_secret, "LIVEKIT_API_SECRET"))
            .with_kind("agent")
            .with_identity(self._identity)
            .with_name(self._display_name)
            .with_ttl(TOKEN_TTL)
            .with_grants(grants)
            .with_attributes({"lk.publish_on_behalf": agent})
            .to_jwt()
        )

    async def _send(self, method: str, path: str, seconds: float, body: dict[str, Any] | None = None) -> Any:
        headers = {"authorization": f"Bearer {self._api_key}"}
        timeout = aiohttp.ClientTimeout(total=seconds)
        async with (
            aiohttp.ClientSession(timeout=timeout) as http,
            http.request(method, self._url + path, json=body, headers=headers) as response,
        ):
            is_json = response.content_type.endswith("json")
            answer = await response.json(content_type=None) if is_json else {}
            if response.ok:
                return answer
            detail = answer.get("detail", f"the talkmesh gateway answered {response.status} to {method} {path}")
            raise TalkmeshError(answer.get("reason", "INTERNAL"), response.status, detail)


def _required(value: str | None, variable: str) -> str:
    found = value or os.environ.get(variable)
    if not found:
        raise ValueError(f"set {variable}, or pass it as an argument")
    return found
