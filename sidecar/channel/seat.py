"""Find the workspace's sidecar or start it, so that there is never a second one.

Whoever holds the lock may listen. A channel that finds nobody takes the lock, listens, and starts
the sidecar with both in hand: others that come meanwhile are already queueing at the socket. Where
there are no Unix sockets, the sidecar takes the lock itself and listens by TCP. The kernel gives
the lock back however a process ends, so nothing stale needs a hand.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from sidecar import __version__
from sidecar.channel import unix
from sidecar.channel.frames import PROTOCOL, RUN_MARK, first_line, frames, line
from sidecar.channel.lock import taken
from sidecar.channel.message import Json, Unavailable
from sidecar.channel.place import Place, prepare

# Set to `tcp`, it keeps a sidecar from listening on a Unix socket.
TRANSPORT = "SIDECAR_TRANSPORT"
START_SECONDS = 60.0
GIVING_WAY_SECONDS = 620.0
MOST_STARTS = 3
# One look for a sidecar that took longer counts no more: the machine has slept.
_MOST_COUNTED_SECONDS = 30.0
# Whoever has made a sidecar give way begins the next one at once, if it still lives.
_YIELDING_SECONDS = 3.0
_PAUSE_SECONDS = 0.01
_TOLD_OF_LOG = 2_000


class Door(NamedTuple):
    """Where a sidecar listens, and what must be known to come in by TCP."""

    listener: socket.socket
    token: bytes = b""

    @property
    def transport(self) -> str:
        """What carries the messages."""
        return "tcp" if self.token else "unix"

    def admits(self, connection: socket.socket) -> bool:
        """Whether the sidecar's user has connected; raises OSError where that stays open."""
        if not self.token:
            return unix.is_own(connection)
        from sidecar.channel import tcp  # noqa: PLC0415 - the door was made with it

        return tcp.admitted(connection, self.token)


class Link:
    """A connection to a sidecar that has accepted the greeting."""

    def __init__(self, connection: socket.socket, answer: Json, read: bytes = b"") -> None:
        self.connection = connection
        self.answer = answer
        self._read = read

    def frames(self) -> Iterator[tuple[bytes, bytes]]:
        """What the sidecar says, until it ends."""
        return frames(self.connection, self._read)

    def send(self, data: bytes) -> bool:
        """Send; False where the sidecar has gone, which the end of its frames tells too."""
        try:
            self.connection.sendall(data)
        except OSError:
            return False
        return True

    def send_all(self, messages: Sequence[bytes]) -> int:
        """Send messages; returns how many went whole, fewer where the sidecar has gone."""
        data = memoryview(b"".join(messages))
        left = len(data)
        try:
            while left:
                left -= self.connection.send(data[-left:])
        except OSError:
            went, whole = len(data) - left, 0
            for message in messages:
                went -= len(message)
                whole += went >= 0
            return whole
        return len(messages)

    def close(self) -> None:
        """Let the sidecar know that nobody is here any more."""
        self.connection.close()


def greeting(face: str, place: Place, **more: object) -> Json:
    """What a channel says first."""
    return {
        "sidecar": PROTOCOL,
        "face": face,
        "version": __version__,
        "interpreter": interpreter(),
        "pid": os.getpid(),
        "workspace": place.root,
        "run": os.environ.get(RUN_MARK),
        **more,
    }


def interpreter() -> str:
    """Which Python runs this, with its libraries."""
    return f"{sys.prefix} {'.'.join(map(str, sys.version_info[:3]))}"


def find(place: Place, hello: Json) -> Link | None:
    """The sidecar that is there, None where there is none; raises Unavailable if it refuses."""
    while (connection := _connected(place)) is not None:
        link = greeted(connection, hello)
        if link is None:
            return None
        if link.answer.get("accepted"):
            return link
        link.close()
        if link.answer.get("wait"):
            time.sleep(_PAUSE_SECONDS * 5)
        else:
            raise Unavailable(str(link.answer.get("refused", "The sidecar refused.")))
    return None


def ask(place: Place, hello: Json) -> Link | None:
    """The sidecar's one answer to a question, None where there is no sidecar."""
    connection = _connected(place)
    return None if connection is None else greeted(connection, hello)


def find_or_start(
    place: Place,
    hello: Json,
    *,
    yielding: bool = False,
) -> Link:
    """The workspace's sidecar, started where there is none; raises Unavailable, OSError.

    One that is ``yielding`` lets somebody else start it first.
    """
    waited, starts = 0.0, 0
    while True:
        began = time.monotonic()
        link = find(place, hello)
        if link is not None:
            return link
        if waited > START_SECONDS + (GIVING_WAY_SECONDS if not starts else 0):
            raise Unavailable(f"No sidecar answered.{_why(place)}")
        lock = None if yielding and waited < _YIELDING_SECONDS else take(place)
        if lock is None:
            time.sleep(_PAUSE_SECONDS)
        else:
            if starts == MOST_STARTS:
                os.close(lock)
                told = f"The sidecar ended {starts} times while it started.{_why(place)}"
                raise Unavailable(told)
            starts += 1
            # Whatever version comes of it: the package may have been renewed while this one ran.
            hello = {**hello, "began": True}
            _start(place, lock)
        waited += min(time.monotonic() - began, _MOST_COUNTED_SECONDS)


def _start(place: Place, lock: int) -> None:
    """Have a sidecar started by whoever holds the lock, which is given away."""
    from sidecar.channel import starting  # noqa: PLC0415 - most channels find one

    try:
        listener = listening(place)
        if listener is not None and sys.platform != "win32":
            with listener:
                starting.start(place, lock, listener.fileno())
            return
    finally:
        os.close(lock)
    starting.start_alone(place, START_SECONDS)


def take(place: Place) -> int | None:
    """The lock, held by the descriptor that is returned; None where a sidecar holds it."""
    prepare(place)
    return taken(place.lock)


def opened(place: Place) -> Door:
    """Listen at the place; only who holds the lock may."""
    listener = listening(place)
    if listener is not None:
        return Door(listener)
    from sidecar.channel import tcp  # noqa: PLC0415 - where there are sockets, nobody needs it

    return Door(*tcp.listen(place))


def listening(place: Place, environ: Mapping[str, str] = os.environ) -> socket.socket | None:
    """A Unix socket that listens, None where there can be none or the user wants none.

    Only who holds the lock may; what lies there goes.
    """
    for path in (place.socket, place.address):
        with suppress(OSError):
            os.unlink(path)  # noqa: PTH108
    return None if environ.get(TRANSPORT) == "tcp" else unix.listen(place)


def _connected(place: Place) -> socket.socket | None:
    connection = unix.connected(place)
    if connection is not None or not os.path.exists(place.address):  # noqa: PTH110
        return connection
    lock = take(place)
    if lock is not None:
        # Who wrote the address has ended: anybody may have its port.
        os.close(lock)
        return None
    from sidecar.channel import tcp  # noqa: PLC0415 - where there are sockets, nobody needs it

    return tcp.connected(place)


def greeted(connection: socket.socket, hello: Json) -> Link | None:
    """The link with the sidecar's answer; None where it went away without one."""
    try:
        connection.settimeout(START_SECONDS)
        connection.sendall(line(hello))
        told, rest = first_line(connection)
        connection.settimeout(None)
        answer = json.loads(told)
    except (OSError, ValueError):
        connection.close()
        return None
    return Link(connection, answer, rest)


def _why(place: Place) -> str:
    """The end of what a sidecar without a terminal wrote."""
    try:
        with open(place.log, "rb") as log:  # noqa: PTH123
            log.seek(max(0, log.seek(0, os.SEEK_END) - _TOLD_OF_LOG))
            lines = log.read().decode(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return f" It wrote last: {lines[-1]}" if lines else ""
