"""Agents' sessions; importing this imports the MCP SDK."""

from __future__ import annotations

import asyncio

from sidecar import __version__
from sidecar.channel.opening import digest
from sidecar.engine.late_queue import queueing
from sidecar.host.link import ChannelLink, Json
from sidecar.host.shared import Shared
from sidecar.mcp import manifest, server
from sidecar.mcp.stdio import Connection
from sidecar.mcp.subscriptions import Subscriptions
from sidecar.services.context import Client, Context, Progress

# The first calls go before.
_LATER_SECONDS = 1.0


class Agents:
    """Every agent that is connected to this process."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._manifest: Json | None = None
        self._collecting = asyncio.Lock()
        shared.views.context = queueing(shared.context)
        self._subscriptions = Subscriptions(lambda: shared.context)

    async def serve(self, link: ChannelLink) -> None:
        """Serve one until it leaves."""
        # The channel's own word: its session outlives the sidecar.
        session, run = (str(link.hello.get(name) or "") for name in ("session", "run"))

        def make_context(client: Client, progress: Progress) -> Context:
            link.client = client.name
            known = Client(client.name, session or client.session, run)
            return self._shared.views(known, progress)

        built = server.build(make_context, version=__version__, subscriptions=self._subscriptions)
        connection = Connection(link, link.write)
        link.under_way = lambda: connection.session.under_way if connection.session else []
        telling = asyncio.create_task(self._tell_manifest(link))
        await connection.serve(built)
        telling.cancel()
        await asyncio.to_thread(connection.finish)

    async def _tell_manifest(self, link: ChannelLink) -> None:
        """Let the channel know what is really served, if it said something else at the start."""
        await asyncio.sleep(_LATER_SECONDS)
        async with self._collecting:
            if self._manifest is None:
                server_of_nobody = server.build(self._shared.views, version=__version__)
                self._manifest = await manifest.collected(server_of_nobody)
        if link.hello.get("manifest") != digest(self._manifest):
            await asyncio.to_thread(link.control, {"manifest": self._manifest})
