"""MCP over standard input and output, with what the SDK's own transport leaves open.

Malformed lines get an answer, signals and end of input end the process at once, a message has a
limit and either framing, and a request id in use is refused.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import os
import queue
import signal
import threading
from contextlib import suppress
from functools import partial
from typing import Any

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
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
from sidecar.mcp.framing import Incoming, Line
from sidecar.mcp.opening import ACKNOWLEDGED, SUBSCRIPTION, Wire, claim

log = logging.getLogger(__name__)

_BACKLOG = 64
# Cline sends SIGTERM 250 ms after it has closed our input.
GRACE_SECONDS = 0.15

Inbox = MemoryObjectSendStream[SessionMessage | Exception]
Outbox = MemoryObjectReceiveStream[SessionMessage]


def serve(server: Server[Any], claimed: Wire | None = None) -> int:
    """Serve until the input ends or a signal comes; returns the exit code.

    What an opening has ``claimed`` and answered already is not answered again.

    A tool that still runs then is left behind: its thread cannot be stopped, so the caller should
    end the process by ``os._exit``; every write is atomic.
    """
    asyncio.run(_Connection(claimed or claim()).serve(server))
    return 0


class _Connection:
    """One client on one pair of descriptors."""

    def __init__(self, claimed: Wire) -> None:
        self._incoming = Incoming(claimed.source, claimed.read)
        self._sink = claimed.sink
        self._answered = set(claimed.answered)
        self._acknowledged = set(claimed.acknowledged)
        self._outgoing: queue.Queue[bytes | None] = queue.Queue(_BACKLOG)
        self._in_use: set[str | int] = set()
        self._all_answered = asyncio.Event()
        self._all_answered.set()
        self._stop = asyncio.Event()

    async def serve(self, server: Server[Any]) -> None:
        """Serve the client until it leaves or a signal comes."""
        _stop_on_signals(self._stop)
        writer = threading.Thread(target=self._write_lines, name="mcp-stdout", daemon=True)
        writer.start()
        inbox, received = anyio.create_memory_object_stream[SessionMessage | Exception](_BACKLOG)
        answers, outbox = anyio.create_memory_object_stream[SessionMessage](_BACKLOG)
        loop = asyncio.get_running_loop()
        reader = partial(self._read_lines, inbox, loop)
        threading.Thread(target=reader, name="mcp-stdin", daemon=True).start()
        options = server.create_initialization_options()
        sending = asyncio.create_task(self._send_all(outbox))
        serving = asyncio.create_task(server.run(received, answers, options))
        stopping = asyncio.create_task(self._stop.wait())
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for task in (serving, sending, stopping):
            task.cancel()
        await asyncio.wait({serving, sending, stopping}, timeout=GRACE_SECONDS)
        await asyncio.to_thread(self._finish, writer)

    def _read_lines(self, inbox: Inbox, loop: asyncio.AbstractEventLoop) -> None:
        try:
            for lines in self._incoming.messages():
                asyncio.run_coroutine_threadsafe(self._receive(lines, inbox), loop).result()
            asyncio.run_coroutine_threadsafe(self._ended(inbox), loop).result()
        except (RuntimeError, concurrent.futures.CancelledError, anyio.BrokenResourceError):
            log.debug("The server stopped before its input ended")

    async def _receive(self, lines: list[Line], inbox: Inbox) -> None:
        for line in lines:
            message = wire.too_long() if line is None else wire.decode(line)
            if isinstance(message, JSONRPCRequest):
                if message.id in self._in_use:
                    message = wire.duplicate(message.id)
                else:
                    self._in_use.add(message.id)
                    self._all_answered.clear()
            elif isinstance(message, JSONRPCNotification):
                self._released(_cancelled(message))
            if isinstance(message, wire.Refused):
                await self._send(message.answer)
            else:
                await inbox.send(SessionMessage(message))

    async def _ended(self, inbox: Inbox) -> None:
        """Give what is nearly done a moment, then let the server see the end."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._all_answered.wait(), GRACE_SECONDS)
        await inbox.aclose()

    async def _send_all(self, outbox: Outbox) -> None:
        async for each in outbox:
            message = each.message
            if not self._is_told(message):
                await self._send(message)
            if isinstance(message, JSONRPCResponse | JSONRPCError) and message.id is not None:
                self._released(message.id)

    def _is_told(self, message: JSONRPCMessage) -> bool:
        """Whether the opening has said this already."""
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
        self._in_use.discard(request_id)
        if not self._in_use:
            self._all_answered.set()

    async def _send(self, message: JSONRPCMessage) -> None:
        told = message.model_dump_json(by_alias=True, exclude_unset=True).encode()
        line = self._incoming.outgoing(told)
        try:
            self._outgoing.put_nowait(line)
        except queue.Full:
            await asyncio.to_thread(self._outgoing.put, line)

    def _write_lines(self) -> None:
        while (line := self._outgoing.get()) is not None:
            rest = memoryview(line)
            try:
                while rest:
                    rest = rest[os.write(self._sink, rest) :]
            except OSError:
                log.info("The client no longer reads its answers")
                return

    def _finish(self, writer: threading.Thread) -> None:
        with suppress(queue.Full):  # a full queue has no reader, and so nobody to lose an answer
            self._outgoing.put(None, timeout=GRACE_SECONDS)
            writer.join(GRACE_SECONDS)


def _cancelled(message: JSONRPCNotification) -> str | int:
    """The id that a cancellation names; such a request is never answered."""
    if message.method != "notifications/cancelled":
        return ""
    named = (message.params or {}).get("requestId")
    return named if isinstance(named, str | int) else ""


def _stop_on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stop.set)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
