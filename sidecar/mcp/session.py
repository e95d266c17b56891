"""One client's session with the SDK, whatever carries the messages.

What is no message gets an answer, a request id in use is refused, and the end of the messages lets
what is nearly done be answered.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
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
from sidecar.mcp.direct import Direct, Tools
from sidecar.mcp.early import GRACE_SECONDS
from sidecar.mcp.reading import Line, Work

_BACKLOG = 64
_POLL_SECONDS = 0.002
ACKNOWLEDGED = "notifications/subscriptions/acknowledged"
SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"

Outbox = MemoryObjectReceiveStream[SessionMessage]


class Session:
    """A client; ``send`` takes each message for it as JSON.

    Answers to requests in ``answered``, and acknowledgements of those in ``acknowledged``, were
    given by somebody else already and are not sent. With ``tools`` and ``send_now``, which any
    thread may call, plain calls of tools can be taken; ``earlier`` are those that were begun
    before there was a session, and are answered by whoever began them.
    """

    def __init__(
        self,
        send: Callable[[bytes], Awaitable[None]],
        *,
        answered: Iterable[str | int] = (),
        acknowledged: Iterable[str | int] = (),
        tools: Tools | None = None,
        send_now: Callable[[bytes], None] | None = None,
        earlier: Direct | None = None,
    ) -> None:
        self._send_json = send
        self._send_now = send_now
        self._direct = Direct(tools, self._answer) if tools and send_now else None
        self._earlier = earlier
        self._answered = set(answered)
        self._acknowledged = set(acknowledged)
        self._in_use: dict[str | int, str] = {}
        self._inbox, self._received = anyio.create_memory_object_stream[SessionMessage | Exception](
            _BACKLOG
        )

    @property
    def under_way(self) -> list[str]:
        """The methods of the requests that were not answered yet; streams do not count."""
        methods = list(self._in_use.values())
        earlier = self._earlier.under_way if self._earlier is not None else 0
        return [method for method in methods if method != "subscriptions/listen"] + [
            "tools/call"
        ] * earlier

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
            if self._direct is not None:
                self._direct.close()

    def take(self, line: Line) -> tuple[bool, Work | None]:
        """Whether a message is a plain call, which begins now, and what is left to do about it.

        For the one thread that reads the client's messages, while ``receive`` does not run.
        """
        call = self._direct.call(line) if self._direct is not None and line is not None else None
        if call is None or self._direct is None or self._is_in_use(call.number):
            return False, None
        self._in_use[call.number] = "tools/call"
        return True, self._direct.start(call)

    def _is_in_use(self, number: str | int) -> bool:
        return number in self._in_use or (self._earlier is not None and self._earlier.runs(number))

    def _answer(self, number: str | int, message: bytes) -> None:
        self._released(number)  # before: who has the answer may use the id again
        if self._send_now is not None:
            self._send_now(message)

    async def receive(self, line: Line) -> None:
        """Take one message as it came; None stands for one over the limit."""
        message = wire.too_long() if line is None else wire.decode(line)
        if isinstance(message, JSONRPCRequest):
            if self._is_in_use(message.id):
                message = wire.duplicate(message.id)
            else:
                self._in_use[message.id] = message.method
                if self._direct is not None:
                    self._direct.requested(message.method, message.id, message.params)
        elif isinstance(message, JSONRPCNotification):
            self._notified(message)
        if isinstance(message, wire.Refused):
            await self._send(message.answer)
        else:
            await self._inbox.send(SessionMessage(message))

    def _notified(self, message: JSONRPCNotification) -> None:
        number = _cancelled(message)
        if self._direct is not None:
            self._direct.told(message.method)
            self._direct.cancel(number)
        if self._earlier is not None:
            self._earlier.cancel(number)
        self._released(number)

    async def end(self) -> None:
        """Give what is nearly done a moment, then let the server see the end."""
        until = time.monotonic() + GRACE_SECONDS
        # Threads give answers, too, and an event of the loop cannot be set by them.
        while self._owes() and time.monotonic() < until:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_SECONDS)
        await self._inbox.aclose()

    def _owes(self) -> bool:
        calls = (each for each in (self._direct, self._earlier) if each is not None)
        return bool(self._in_use) or not all(each.is_idle for each in calls)

    async def _send_all(self, outbox: Outbox) -> None:
        async for each in outbox:
            message = each.message
            if not self._is_told(message):
                await self._send(message)
            if isinstance(message, JSONRPCResponse) and self._direct is not None:
                self._direct.agreed(message.id)
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

    async def _send(self, message: JSONRPCMessage) -> None:
        await self._send_json(message.model_dump_json(by_alias=True, exclude_unset=True).encode())


def _cancelled(message: JSONRPCNotification) -> str | int:
    """The id that a cancellation names; such a request is never answered."""
    if message.method != "notifications/cancelled":
        return ""
    named = (message.params or {}).get("requestId")
    return named if isinstance(named, str | int) else ""
