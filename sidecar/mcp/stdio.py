"""MCP over standard input and output, in the process that serves it.

Signals and the end of input end the process at once.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import queue
import signal
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import anyio
from mcp.server import Server

from sidecar.mcp.direct import Direct
from sidecar.mcp.early import GRACE_SECONDS, Incoming, Sink, one_by_one
from sidecar.mcp.reading import Line, Reader, StopReading, Work
from sidecar.mcp.server import McpServer
from sidecar.mcp.session import Session

log = logging.getLogger(__name__)

_BACKLOG = 64
_STOPPED = (RuntimeError, concurrent.futures.CancelledError, anyio.BrokenResourceError)


def serve(
    server: Server[Any],
    incoming: Incoming,
    sink: Sink,
    *,
    answered: Iterable[str | int] = (),
    acknowledged: Iterable[str | int] = (),
    earlier: Direct | None = None,
) -> int:
    """Serve until the input ends or a signal comes; returns the exit code.

    What was ``answered`` or ``acknowledged`` already is not answered again; ``earlier`` are calls
    that somebody else has begun.

    A tool that still runs then is left behind: its thread cannot be stopped, so the caller should
    end the process by ``os._exit``; every write is atomic.
    """
    connection = Connection(incoming, sink.write, earlier=earlier)
    asyncio.run(_serve(server, connection, answered, acknowledged))
    return 0


async def _serve(
    server: Server[Any],
    connection: Connection,
    answered: Iterable[str | int],
    acknowledged: Iterable[str | int],
) -> None:
    stop = asyncio.Event()
    _stop_on_signals(stop)
    serving = asyncio.create_task(connection.serve(server, answered, acknowledged))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    for task in (serving, stopping):
        task.cancel()
    await asyncio.wait({serving, stopping}, timeout=GRACE_SECONDS)
    await asyncio.to_thread(connection.finish)


class Connection:
    """One client whose messages come by a thread; ``write`` sends all of its bytes or raises."""

    def __init__(
        self,
        incoming: Incoming,
        write: Callable[[bytes], None],
        *,
        earlier: Direct | None = None,
    ) -> None:
        self._earlier = earlier
        self._incoming = incoming
        self._write = write
        self._writer = threading.Thread(target=self._write_lines, name="mcp-stdout", daemon=True)
        self.session: Session | None = None
        self._outgoing: queue.Queue[bytes | None] = queue.Queue(_BACKLOG)
        self._writing = threading.Lock()

    async def serve(
        self,
        server: Server[Any],
        answered: Iterable[str | int] = (),
        acknowledged: Iterable[str | int] = (),
    ) -> None:
        """Serve the client until it leaves."""
        session = self.session = Session(
            self._send,
            answered=answered,
            acknowledged=acknowledged,
            tools=server.tools if isinstance(server, McpServer) else None,
            send_now=self._send_now,
            earlier=self._earlier,
        )
        self._writer.start()
        reader = self._reader(session, asyncio.get_running_loop())
        threading.Thread(target=reader.read, name="mcp-in", daemon=True).start()
        await session.serve(server)

    def finish(self) -> None:
        """Give what was answered a moment to be written."""
        with suppress(queue.Full):  # a full queue has no reader, and so nobody to lose an answer
            self._outgoing.put(None, timeout=GRACE_SECONDS)
            self._writer.join(GRACE_SECONDS)

    def _reader(self, session: Session, loop: asyncio.AbstractEventLoop) -> Reader:
        def take(line: Line) -> Work | None:
            taken, work = session.take(line)
            try:
                if not taken:
                    asyncio.run_coroutine_threadsafe(session.receive(line), loop).result()
            except _STOPPED:
                raise StopReading from None
            return work

        def ended() -> None:
            try:
                asyncio.run_coroutine_threadsafe(session.end(), loop).result()
            except _STOPPED:
                log.debug("The server stopped before its input ended")

        return Reader(one_by_one(self._incoming), take, ended)

    async def _send(self, message: bytes) -> None:
        line = self._incoming.outgoing(message)
        try:
            self._outgoing.put_nowait(line)
        except queue.Full:
            await asyncio.to_thread(self._outgoing.put, line)

    def _write_lines(self) -> None:
        while (line := self._outgoing.get()) is not None:
            if not self._is_written(line):
                return

    def _send_now(self, message: bytes) -> None:
        self._is_written(self._incoming.outgoing(message))

    def _is_written(self, line: bytes) -> bool:
        try:
            with self._writing:
                self._write(line)
        except OSError:
            log.info("The client no longer reads its answers")
            return False
        return True


def _stop_on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stop.set)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
