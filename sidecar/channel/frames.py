"""What channel and sidecar send each other: one JSON line each way, then frames.

A frame is a letter, the length of what follows in four bytes, and that. The framing of the client
(lines or headers) ends at the channel.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import BinaryIO

from sidecar.channel.message import Json

# Raised when the greeting or the frames change their meaning.
PROTOCOL = 1
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


def frame(kind: bytes, body: bytes = b"") -> bytes:
    """One frame."""
    return HEADER.pack(kind, len(body)) + body


def line(value: Json) -> bytes:
    """A greeting or its answer."""
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def frames(stream: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """The frames of a stream until it ends; what is cut off is left out."""
    try:
        while len(header := stream.read(HEADER.size)) == HEADER.size:
            kind, length = HEADER.unpack(header)
            body = stream.read(length)
            if len(body) < length:
                return
            yield kind, body
    except OSError:
        return
