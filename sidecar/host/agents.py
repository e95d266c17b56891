"""Agents' sessions. The MCP SDK is imported when the first of them needs more than tools."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from sidecar.channel.opening import Answers, digest, manifest
from sidecar.engine.late_queue import queueing
from sidecar.host.importing import imported
from sidecar.host.link import ChannelLink
from sidecar.host.shared import Shared
from sidecar.mcp.calls import MakeContext, ToolCalls
from sidecar.mcp.early import Early, Rest
from sidecar.services.context import Client, Context, Progress

# The first calls go before.
_LATER_SECONDS = 1.0


class Sessions(Protocol):
    """What serves agents by the SDK."""

    async def serve(
        self, link: ChannelLink, early: Early, rest: Rest, make_context: MakeContext
    ) -> None:
        """Serve one from the message on with which it needed the SDK, until it leaves."""


class Agents:
    """Every agent that is connected to this process."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._manifest = manifest()
        self._importing = asyncio.Lock()
        self._sessions: Sessions | None = None
        shared.views.context = queueing(shared.context)

    async def serve(self, link: ChannelLink) -> None:
        """Serve one until it leaves."""
        make_context = self._views_of(link)
        early = Early(ToolCalls(make_context), link, link, Answers(self._manifest))
        link.under_way = lambda: ["tools/call"] * early.direct.under_way
        link.introduction = lambda: early.direct.client
        telling = asyncio.create_task(self._tell_manifest(link))
        try:
            await _ended(early.begin)
            if early.rest is None:
                await asyncio.to_thread(early.finish)
            else:
                sessions = await self._with_sdk()
                await sessions.serve(link, early, early.rest, make_context)
        finally:
            telling.cancel()
            early.direct.close()

    def _views_of(self, link: ChannelLink) -> MakeContext:
        # The channel's own word: its session outlives the sidecar.
        session, run = (str(link.hello.get(name) or "") for name in ("session", "run"))

        def make_context(client: Client, progress: Progress) -> Context:
            link.client = client.name
            known = Client(client.name, session or client.session, run)
            return self._shared.views(known, progress)

        return make_context

    async def _with_sdk(self) -> Sessions:
        async with self._importing:
            if self._sessions is None:
                found = await asyncio.to_thread(imported, "sidecar.host.sdk_sessions")
                made: Sessions = found.SdkSessions(self._shared)
                self._sessions = made
        return self._sessions

    async def _tell_manifest(self, link: ChannelLink) -> None:
        """Let the channel know what is really served, if it said something else at the start."""
        await asyncio.sleep(_LATER_SECONDS)
        if link.hello.get("manifest") != digest(self._manifest):
            await asyncio.to_thread(link.control, {"manifest": self._manifest})


async def _ended(begin: Callable[[Callable[[], None]], None]) -> None:
    """Wait until a thread says so."""
    loop, over = asyncio.get_running_loop(), asyncio.Event()

    def tell() -> None:
        with suppress(RuntimeError):  # the loop is closed: the sidecar has ended
            loop.call_soon_threadsafe(over.set)

    begin(tell)
    await over.wait()
