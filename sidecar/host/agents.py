"""Agents' sessions; importing this imports the MCP SDK."""

from __future__ import annotations

import asyncio

from sidecar import __version__, app
from sidecar.host.link import ChannelLink
from sidecar.host.shared import Shared
from sidecar.mcp import server
from sidecar.mcp.stdio import Connection
from sidecar.mcp.subscriptions import Subscriptions
from sidecar.services.context import Client, Context, Progress, unheard


class Agents:
    """Every agent that is connected to this process."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        shared.context = app.queueing(shared.context)
        self._subscriptions = Subscriptions(lambda: self._context(Client(), unheard))

    def _context(self, client: Client, progress: Progress) -> Context:
        return self._shared.context_for(client, progress)

    async def serve(self, link: ChannelLink) -> None:
        """Serve one until it leaves."""

        def make_context(client: Client, progress: Progress) -> Context:
            link.client = client.name
            return self._context(client, progress)

        built = server.build(make_context, version=__version__, subscriptions=self._subscriptions)
        connection = Connection(link, link.write)
        link.under_way = lambda: connection.session.under_way if connection.session else []
        await connection.serve(built)
        await asyncio.to_thread(connection.finish)
