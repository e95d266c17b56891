"""What channel and sidecar send each other: one JSON line each way, then frames.

A frame is a letter, the length of what follows in four bytes, and that. The framing of the client
(lines or headers) ends at the channel.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING

from sidecar.channel.message import Json

if TYPE_CHECKING:
    import socket

# Raised when the greeting or the frames change their meaning.
PROTOCOL = 1
# All that works in a run has the run's id in its environment under this name; it is the greeting's
# `run`.
RUN_MARK = "SIDECAR_RUN_ID"
HEADER = struct.Struct(">cI")
MESSAGE = b"M"
# A message of the client over the limit; its content was passed over.
TOO_LONG = b"L"
# The client sends no more.
END = b"E"
# From the sidecar to the channel itself: a JSON object.
CONTROL = b"C"
# From the channel: all that it will send to this sidecar was sent.
DRAINED = b"D"
MOST_GREETING_BYTES = 65_536
_CHUNK = 65_536
_LARGE_CHUNK = 1_048_576


def frame(kind: bytes, body: bytes = b"") -> bytes:
    """One frame."""
    return HEADER.pack(kind, len(body)) + body


def line(value: Json) -> bytes:
    """A greeting or its answer."""
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def frames(connection: socket.socket, read: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
    """The frames of a connection until it ends, of what was ``read`` of it already first."""
    try:
        while True:
            start, size = 0, len(read)
            while size - start >= HEADER.size:
                kind, length = HEADER.unpack_from(read, start)
                end = start + HEADER.size + length
                if end > size:
                    read = _received(connection, read[start:], end - start)
                    start, size, end = 0, len(read), end - start
                    if end > size:
                        return
                yield kind, read[start + HEADER.size : end]
                start = end
            chunk = connection.recv(_CHUNK)
            if not chunk:
                return
            read = read[start:] + chunk if start < size else chunk
    except OSError:
        return


def _received(connection: socket.socket, read: bytes, wanted: int) -> bytes:
    """What was read and enough behind it; less where the connection ends before."""
    chunks, missing = [read], wanted - len(read)
    while missing > 0 and (chunk := connection.recv(min(max(missing, _CHUNK), _LARGE_CHUNK))):
        chunks.append(chunk)
        missing -= len(chunk)
    return b"".join(chunks)


def first_line(connection: socket.socket) -> tuple[bytes, bytes]:
    """The line that a connection begins with, and what came with it; raises OSError."""
    read = b""
    while b"\n" not in read and len(read) < MOST_GREETING_BYTES:
        chunk = connection.recv(_CHUNK)
        if not chunk:
            break
        read += chunk
    told, _, rest = read.partition(b"\n")
    return told, rest
