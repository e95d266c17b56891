"""One channel as the sidecar sees it."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from sidecar.channel.frames import CONTROL, DRAINED, END, MESSAGE, frame, frames, line

# A channel that reads needs a thousandth of it.
_TELLING_SECONDS = 0.5
# One that says nothing for so long is suspended; what it still sends is lost, and it says so.
_DRAINING_SECONDS = 3.0

Json = dict[str, Any]


class ChannelLink:
    """A channel: its greeting, its messages, and what it is told.

    Whatever sends may be called by any thread, and waits for a client that reads slowly.
    """

    def __init__(self, hello: Json, connection: socket.socket, read: bytes = b"") -> None:
        self.hello = hello
        self.since = time.time()
        # How its client calls itself: as of its last call, and before as it has introduced itself.
        self.client = ""
        self.introduction: Callable[[], str] = str
        # Before, nothing but the answer to the greeting may be sent.
        self.accepted = False
        # Set by whoever serves the link: the calls that were not answered yet.
        self.under_way: Callable[[], list[str]] = list
        self._connection = connection
        self._read = read
        self._sending = threading.Lock()
        self._drained = threading.Event()

    @property
    def face(self) -> str:
        """Which protocol its client speaks."""
        return str(self.hello.get("face"))

    def answer(self, value: Json) -> None:
        """Answer the greeting."""
        self.write(line(value))
        self.accepted = bool(value.get("accepted"))

    def write(self, data: bytes) -> None:
        """Send bytes; raises OSError where the channel has gone."""
        with self._sending:
            self._connection.sendall(data)

    def outgoing(self, message: bytes) -> bytes:
        """A message for the client, with what the channel needs to find its end."""
        return frame(MESSAGE, message)

    def control(self, value: Json) -> None:
        """Tell the channel itself, if it is still there."""
        with suppress(OSError):
            self.write(frame(CONTROL, line(value)))

    def messages(self) -> Iterator[list[bytes | None]]:
        """The client's messages until its end; None stands for one over the limit."""
        try:
            for kind, body in frames(self._connection, self._read):
                if kind == END:
                    return
                if kind == DRAINED:
                    self._drained.set()
                else:
                    yield [body if kind == MESSAGE else None]
        finally:
            self._drained.set()

    async def drain(self) -> None:
        """Wait until everything that the channel sent was answered and it sends no more.

        It has some seconds to say the latter.
        """
        self._control_beside({"drain": True})
        until = time.monotonic() + _DRAINING_SECONDS
        while self.under_way() or self._sends_more(until):  # noqa: ASYNC110 - set by threads
            await asyncio.sleep(0.01)

    def _sends_more(self, until: float) -> bool:
        return not self._drained.is_set() and time.monotonic() < until

    async def dismiss(self, ends: str) -> None:
        """End the connection, saying why to a channel that reads."""
        telling = self._control_beside({"ends": ends})
        until = time.monotonic() + _TELLING_SECONDS
        while telling.is_alive() and time.monotonic() < until:  # noqa: ASYNC110 - a thread ends
            await asyncio.sleep(0.01)
        self.close()

    def _control_beside(self, value: Json) -> threading.Thread:
        """Tell the channel by a thread: one that reads nothing must not hold up the others."""
        telling = threading.Thread(target=self.control, args=(value,), name="control", daemon=True)
        telling.start()
        return telling

    def close(self) -> None:
        """End the connection; nothing is owed to it any more."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()
        self.under_way = list
        self._drained.set()
