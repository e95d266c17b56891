"""Where one message on the wire ends and the next begins.

MCP sends a message a line. A client that got no answer in time may try again with the headers of
the Language Server Protocol (Cline does); it is answered in its own manner.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import partial
from itertools import chain

_CHUNK = 65_536
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
_MAX_HEADER_BYTES = 8_192
_HEADER = re.compile(rb"\s*content-(length|type)[ \t]*:", re.IGNORECASE)
_LENGTH = re.compile(rb"content-length[ \t]*:[ \t]*(\d{1,12})[ \t]*\r?(\n|$)", re.IGNORECASE)
_LAST_LENGTH = re.compile(rb"content-length[ \t]*:[ \t]*(\d{1,9})[ \t\r]*\n$", re.IGNORECASE)
_END_OF_HEADERS = re.compile(rb"\r?\n\r?\n")

Line = bytes | None


class Incoming:
    """The messages that arrive on a descriptor; None stands for one over the limit.

    ``framed`` is known when the first message is handed out. What was ``read`` already comes first.
    """

    def __init__(self, source: int, read: bytes = b"") -> None:
        self._source = source
        self._read = read
        self.framed = False

    def messages(self) -> Iterator[list[Line]]:
        """The messages of each chunk read, until the end of input."""
        unread = iter(partial(os.read, self._source, _CHUNK), b"")
        chunks = chain([self._read] if self._read else [], unread)
        start = b""
        for chunk in chunks:
            start += chunk
            if b"\n" in start.lstrip() or len(start) > _MAX_HEADER_BYTES:
                break
        self.framed = _HEADER.match(start) is not None
        everything = chain([start] if start else [], chunks)
        return _framed(everything) if self.framed else _lines(everything)

    def outgoing(self, message: bytes) -> bytes:
        """A message as this client wants to read it."""
        if self.framed:
            return headed(message)
        return message + b"\n"


def _lines(chunks: Iterator[bytes]) -> Iterator[list[Line]]:
    """The lines of each chunk, without blank ones."""
    rest, skipping = bytearray(), False
    for chunk in chunks:
        if chunk.endswith(b"\n") and not (rest or skipping):
            complete: list[Line] = [line for line in chunk[:-1].split(b"\n") if line.strip()]
            if complete:
                yield complete
            continue
        head, newline, tail = chunk.rpartition(b"\n")
        if newline:
            whole: list[Line] = [*(bytes(rest) + head).split(b"\n")]
            if skipping:
                whole[0] = None
            rest, skipping = bytearray(), False
            if lines := [line for line in whole if line is None or line.strip()]:
                yield lines
        if not skipping:
            rest += tail
        if len(rest) > MAX_MESSAGE_BYTES:
            rest, skipping = bytearray(), True
    if skipping or rest.strip():
        yield [None if skipping else bytes(rest)]


def _framed(chunks: Iterator[bytes]) -> Iterator[list[Line]]:
    """The bodies of each chunk; headers without a length are handed out for a refusal."""
    reader = _Frames()
    for chunk in chunks:
        if found := list(reader.complete(chunk)):
            yield found


class _Frames:
    """What has arrived of messages with headers."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._length: int | None = None
        self._skipped = 0

    def complete(self, chunk: bytes) -> Iterator[Line]:
        """The messages that a chunk completes."""
        self._rest += chunk
        while self._rest:
            if self._skipped:
                gone = min(self._skipped, len(self._rest))
                self._skipped -= gone
                del self._rest[:gone]
            elif self._length is not None:
                if len(self._rest) < self._length:
                    return
                yield self._taken(self._length)
                self._length = None
            else:
                end = _END_OF_HEADERS.search(self._rest)
                if end is None and len(self._rest) <= _MAX_HEADER_BYTES:
                    return
                headers = self._taken(end.end() if end is not None else len(self._rest))
                yield from self._announced(headers)

    def _taken(self, count: int) -> bytes:
        taken = bytes(self._rest[:count])
        del self._rest[:count]
        return taken

    def _announced(self, headers: bytes) -> Iterator[Line]:
        """Take note of the length of what follows; what has none, or too great a one, is told."""
        found = _LENGTH.search(headers)
        if found is None:
            yield headers
        elif int(found[1]) > MAX_MESSAGE_BYTES:
            self._skipped = int(found[1])
            yield None
        else:
            self._length = int(found[1])


class Headed:
    """The messages of a client that always sends headers, as editors do.

    Names of headers are case-insensitive, their lines may end in a bare line feed (LSP 3.17, "Base
    Protocol"), and text that something printed in front of one is passed over.
    """

    def __init__(self, source: int) -> None:
        self._source = source

    def messages(self) -> Iterator[bytes]:
        """Every body until the end of input."""
        length: int | None = None
        with open(self._source, "rb", buffering=_CHUNK, closefd=False) as stream:
            while line := stream.readline(_CHUNK):
                if found := _LAST_LENGTH.search(line):
                    length = int(found[1])
                elif not line.strip() and length is not None:
                    body = stream.read(length)
                    if len(body) < length:
                        return
                    length = None
                    yield body


def headed(message: bytes) -> bytes:
    """A message with its header."""
    return b"Content-Length: %d\r\n\r\n%b" % (len(message), message)
