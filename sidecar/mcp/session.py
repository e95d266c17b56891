"""One client's session with the SDK, whatever carries the messages.

What is no message gets an answer, a request id in use is refused, and the end of the messages lets
what is nearly done be answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream
from mcp.server import Server
from mcp.shared.message import SessionMessage
from mcp_types import (
    JSONRPCError,
    JSONRPCMessage,
    JSONRPCNotification,
    JSONRPCRequest,
    JSONRPCResponse,
)

from sidecar.mcp import wire

_BACKLOG = 64
# Cline sends SIGTERM 250 ms after it has closed our input.
GRACE_SECONDS = 0.15
ACKNOWLEDGED = "notifications/subscriptions/acknowledged"
SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"

Line = bytes | None
Outbox = MemoryObjectReceiveStream[SessionMessage]


class Session:
    """A client; ``send`` takes each message for it as JSON.

    Answers to requests in ``answered``, and acknowledgements of those in ``acknowledged``, were
    given by somebody else already and are not sent.
    """

    def __init__(
        self,
        send: Callable[[bytes], Awaitable[None]],
        *,
        answered: Iterable[str | int] = (),
        acknowledged: Iterable[str | int] = (),
    ) -> None:
        self._send_json = send
        self._answered = set(answered)
        self._acknowledged = set(acknowledged)
        self._in_use: dict[str | int, str] = {}
        self._all_answered = asyncio.Event()
        self._all_answered.set()
        self._inbox, self._received = anyio.create_memory_object_stream[SessionMessage | Exception](
            _BACKLOG
        )

    @property
    def under_way(self) -> list[str]:
        """The methods of the requests that were not answered yet; streams do not count."""
        return [method for method in self._in_use.values() if method != "subscriptions/listen"]

    async def serve(self, server: Server[Any]) -> None:
        """Serve the client until its messages end."""
        answers, outbox = anyio.create_memory_object_stream[SessionMessage](_BACKLOG)
        options = server.create_initialization_options()
        sending = asyncio.create_task(self._send_all(outbox))
        try:
            await server.run(self._received, answers, options)
        finally:
            sending.cancel()
            await asyncio.wait({sending}, timeout=GRACE_SECONDS)

    async def receive(self, line: Line) -> None:
        """Take one message as it came; None stands for one over the limit."""
        message = wire.too_long() if line is None else wire.decode(line)
        if isinstance(message, JSONRPCRequest):
            if message.id in self._in_use:
                message = wire.duplicate(message.id)
            else:
                self._in_use[message.id] = message.method
                self._all_answered.clear()
        elif isinstance(message, JSONRPCNotification):
            self._released(_cancelled(message))
        if isinstance(message, wire.Refused):
            await self._send(message.answer)
        else:
            await self._inbox.send(SessionMessage(message))

    async def end(self) -> None:
        """Give what is nearly done a moment, then let the server see the end."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._all_answered.wait(), GRACE_SECONDS)
        await self._inbox.aclose()

    async def _send_all(self, outbox: Outbox) -> None:
        async for each in outbox:
            message = each.message
            if not self._is_told(message):
                await self._send(message)
            if isinstance(message, JSONRPCResponse | JSONRPCError) and message.id is not None:
                self._released(message.id)

    def _is_told(self, message: JSONRPCMessage) -> bool:
        """Whether somebody else has said this already."""
        if isinstance(message, JSONRPCResponse | JSONRPCError):
            told, number = self._answered, message.id
        elif isinstance(message, JSONRPCNotification) and message.method == ACKNOWLEDGED:
            meta = (message.params or {}).get("_meta", {})
            told, number = self._acknowledged, meta.get(SUBSCRIPTION)
        else:
            return False
        if number not in told:
            return False
        told.discard(number)
        return True

    def _released(self, request_id: str | int) -> None:
        self._in_use.pop(request_id, None)
        if not self._in_use:
            self._all_answered.set()

    async def _send(self, message: JSONRPCMessage) -> None:
        await self._send_json(message.model_dump_json(by_alias=True, exclude_unset=True).encode())


def _cancelled(message: JSONRPCNotification) -> str | int:
    """The id that a cancellation names; such a request is never answered."""
    if message.method != "notifications/cancelled":
        return ""
    named = (message.params or {}).get("requestId")
    return named if isinstance(named, str | int) else ""
