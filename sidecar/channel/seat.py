"""Find the workspace's sidecar or start it, so that there is never a second one.

Whoever holds the lock may listen. A channel that finds nobody takes the lock, listens, and starts
the sidecar with both in hand: others that come meanwhile are already queueing at the socket. The
kernel gives the lock back however a process ends, so nothing stale needs a hand.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator, Mapping

from sidecar import __version__
from sidecar.channel.frames import PROTOCOL, first_line, frames, line
from sidecar.channel.message import Json, Unavailable
from sidecar.channel.place import Place, prepare

if sys.platform != "win32":
    import fcntl

START_SECONDS = 60.0
GIVING_WAY_SECONDS = 620.0
MOST_STARTS = 3
# Whoever has made a sidecar give way begins the next one at once, if it still lives.
_YIELDING_SECONDS = 3.0
_PAUSE_SECONDS = 0.01
_BACKLOG = 128
_TOLD_OF_LOG = 2_000
# Beyond these a sidecar needs nothing of whoever happened to start it, least of all its secrets.
_KEPT = frozenset({
    "HOME", "PATH", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TZDIR", "TMPDIR",
    "VIRTUAL_ENV", "SSL_CERT_FILE", "SSL_CERT_DIR",
})  # fmt: skip
# A sidecar outlives the run in which an agent's server happened to start it.
_RUN = "SIDECAR_RUN_ID"
_KEPT_PREFIXES = ("LC_", "XDG_", "SIDECAR_", "PYTHON", "COVERAGE_")
_START = (
    "import sys; sys.path.append(sys.argv[1]);"
    " from sidecar.host.process import main; main(sys.argv[2:])"
)


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
    spawn: Callable[[Place, int, int], None] | None = None,
    *,
    yielding: bool = False,
) -> Link:
    """The workspace's sidecar, started where there is none; raises Unavailable, OSError.

    One that is ``yielding`` lets somebody else start it first.
    """
    began, starts = time.monotonic(), 0
    spawn = spawn or start
    while True:
        link = find(place, hello)
        if link is not None:
            return link
        if time.monotonic() - began > START_SECONDS + (GIVING_WAY_SECONDS if not starts else 0):
            raise Unavailable(f"No sidecar answered.{_why(place)}")
        waiting = yielding and time.monotonic() - began < _YIELDING_SECONDS
        lock = None if waiting else take(place)
        if lock is None:
            time.sleep(_PAUSE_SECONDS)
            continue
        if starts == MOST_STARTS:
            os.close(lock)
            raise Unavailable(f"The sidecar ended {starts} times while it started.{_why(place)}")
        starts += 1
        # Whatever version comes of it: the package may have been renewed while this one ran.
        hello = {**hello, "began": True}
        try:
            with listen(place) as listener:
                spawn(place, lock, listener.fileno())
        finally:
            os.close(lock)


def take(place: Place) -> int | None:
    """The lock, held by the descriptor that is returned; None where a sidecar holds it."""
    prepare(place)
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(place.lock, flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), os.stat(place.lock)):  # noqa: PTH116
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return None


def listen(place: Place) -> socket.socket:
    """Listen at the place; only who holds the lock may."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if os.path.lexists(place.socket):
            os.unlink(place.socket)  # noqa: PTH108
        listener.bind(place.socket)
        os.chmod(place.socket, 0o600)  # noqa: PTH101
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def start(place: Place, lock: int, listener: int) -> None:
    """Start a sidecar that owns the lock and the socket, in a session of its own."""
    library = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120
    arguments = [sys.executable, "-P", "-c", _START, library, place.root, place.folder]
    log = os.open(place.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    lent = [fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, 10) for each in (lock, listener)]
    try:
        process = os.posix_spawn(
            sys.executable,
            [*arguments, "3", "4"],
            clean(os.environ),
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, log, 1),
                (os.POSIX_SPAWN_DUP2, log, 2),
                (os.POSIX_SPAWN_DUP2, lent[0], 3),
                (os.POSIX_SPAWN_DUP2, lent[1], 4),
            ],
            setsigdef=[],
        )
    finally:
        for each in (log, *lent):
            os.close(each)
    # It forks once more and ends, so that the sidecar is nobody's child: a client that kills its
    # servers with all their descendants must not take the others' sidecar along.
    os.waitpid(process, 0)


def clean(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of a sidecar."""
    return {
        name: value
        for name, value in environ.items()
        if name in _KEPT or (name.startswith(_KEPT_PREFIXES) and name != _RUN)
    }


def peer(connection: socket.socket) -> tuple[int, int]:
    """The process and the user at the other end, -1 where the system does not tell."""
    if hasattr(socket, "SO_PEERCRED"):
        size = struct.calcsize("3i")
        told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
        process, user, _ = struct.unpack("3i", told)
        return process, user
    if sys.platform == "darwin":
        told = connection.getsockopt(0, 1, 76)  # SOL_LOCAL, LOCAL_PEERCRED: struct xucred
        return -1, struct.unpack_from("2I", told)[1]
    return -1, -1


def _connected(place: Place) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(place.socket)
    except OSError:
        connection.close()
        return None
    if peer(connection)[1] not in {-1, os.getuid()}:
        connection.close()
        raise Unavailable("Another user listens in the place of the sidecar.")
    return connection


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
