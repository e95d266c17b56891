"""Where one message ends and the next begins, however the client spells its headers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

# Names of headers are case-insensitive (LSP 3.17, "Base Protocol"); text that something printed
# in front of one is passed over.
CONTENT_LENGTH = re.compile(rb"content-length[ \t]*:[ \t]*(\d{1,9})[ \t\r]*\n$", re.IGNORECASE)
MAX_HEADER_BYTES = 1 << 16


async def bodies(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    r"""The body of every message until the input ends; header lines may end in a bare ``\n``."""
    length: int | None = None
    while line := await _line(reader):
        if found := CONTENT_LENGTH.search(line):
            length = int(found[1])
        elif not line.strip() and length is not None:
            try:
                body = await reader.readexactly(length)
            except asyncio.IncompleteReadError:
                return
            length = None
            yield body


async def _line(reader: asyncio.StreamReader) -> bytes:
    """The next line, empty at the end of input; one without end in sight is thrown away."""
    while True:
        try:
            return await reader.readline()
        except ValueError:  # asyncio's word for a line longer than the reader's limit
            continue
