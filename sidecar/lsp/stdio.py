"""The process's own streams: kept clean of everything but messages, read off the loop."""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO

CHUNK_BYTES = 1 << 16
STDIN, STDOUT, STDERR = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Streams:
    """The two ends that belong to the client alone."""

    input: int
    output: BinaryIO


def claim() -> Streams:
    """Take stdin and stdout for messages; call it before anything else can print.

    Whatever prints later, in this process or a child, lands on stderr, and a child reads an empty
    stdin: one stray line on stdout ends a VS Code session for good.
    """
    ours = Streams(os.dup(STDIN), os.fdopen(os.dup(STDOUT), "wb"))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, STDIN)
    os.close(nothing)
    os.dup2(STDERR, STDOUT)
    return ours


def reading(source: int, limit: int) -> asyncio.StreamReader:
    """A reader fed from a file descriptor by a thread that never keeps the process alive."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=limit)

    def pump() -> None:
        # The loop may be gone by the time the last bytes arrive; then nobody wants them.
        with suppress(OSError, RuntimeError):
            while chunk := os.read(source, CHUNK_BYTES):
                loop.call_soon_threadsafe(reader.feed_data, chunk)
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(reader.feed_eof)

    threading.Thread(target=pump, name="lsp-stdin", daemon=True).start()
    return reader


class Writer:
    """The client's end of the output; a broken one says so once."""

    def __init__(self, stream: BinaryIO, broken: asyncio.Event) -> None:
        self._stream = stream
        self._broken = broken

    def write(self, data: bytes) -> None:
        """Send one message at once; what a client that has gone misses is dropped."""
        try:
            self._stream.write(data)
            self._stream.flush()
        except (OSError, ValueError):
            self._broken.set()

    def close(self) -> None:
        """Nothing: the stream lives as long as the process."""
