"""A session from start to end: what begins it, and everything that can end it."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from sidecar.lsp import framing, stdio
from sidecar.lsp.server import Server, create
from sidecar.lsp.session import OpenContext

logger = logging.getLogger(__name__)

# What a shell reports for a process that a signal ended.
SIGNALLED = 128


def on_stdio(open_context: OpenContext, streams: stdio.Streams) -> int:
    """Serve one client on claimed streams; returns the process's exit code.

    The session ends with ``exit``, the end of input, a broken output, SIGTERM, SIGINT, or the
    death of the process that the client named.
    """
    return asyncio.run(_serve(open_context, streams))


async def _serve(open_context: OpenContext, streams: stdio.Streams) -> int:
    server = create(open_context)
    protocol = server.protocol
    protocol.set_writer(stdio.Writer(streams.output, protocol.ended))
    reader = stdio.reading(streams.input, framing.MAX_HEADER_BYTES)
    listening = asyncio.create_task(_listen(server, reader))
    with _signals(protocol.ended) as caught:
        await protocol.ended.wait()
    listening.cancel()
    server.close()
    return SIGNALLED + caught[0] if caught else protocol.exit_code


async def _listen(server: Server, reader: asyncio.StreamReader) -> None:
    """Hand over every message; the end of input ends the session."""
    try:
        async for body in framing.bodies(reader):
            try:
                server.protocol.receive(body)
            except Exception:
                logger.exception("A message could not be handled.")
            # What a message has started gets its turn even while more of them are waiting.
            await asyncio.sleep(0)
    finally:
        server.protocol.ended.set()


@contextmanager
def _signals(ended: asyncio.Event) -> Iterator[list[int]]:
    """End the session on SIGTERM and SIGINT; yields the list of those that came."""
    loop, caught = asyncio.get_running_loop(), list[int]()

    def end(number: int, _: FrameType | None) -> None:
        caught.append(number)
        loop.call_soon_threadsafe(ended.set)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
