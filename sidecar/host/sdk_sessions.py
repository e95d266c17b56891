"""Agents' sessions from the moment on at which they need the MCP SDK; importing this imports it."""

from __future__ import annotations

import asyncio

from sidecar import __version__
from sidecar.host.link import ChannelLink
from sidecar.host.shared import Shared
from sidecar.mcp import server
from sidecar.mcp.calls import MakeContext
from sidecar.mcp.early import Early, Rest
from sidecar.mcp.stdio import Connection
from sidecar.mcp.subscriptions import Subscriptions


class SdkSessions:
    """Every agent that is served by the SDK; they share their subscriptions."""

    def __init__(self, shared: Shared) -> None:
        self._subscriptions = Subscriptions(lambda: shared.context)

    async def serve(
        self, link: ChannelLink, early: Early, rest: Rest, make_context: MakeContext
    ) -> None:
        """Serve one from the message on with which it needed the SDK, until it leaves."""
        built = server.build(make_context, version=__version__, subscriptions=self._subscriptions)
        connection = Connection(rest, link.write, earlier=early.direct)
        earlier = link.under_way
        link.under_way = lambda: connection.session.under_way if connection.session else earlier()
        await connection.serve(built, answered=early.answered)
        await asyncio.to_thread(connection.finish)
