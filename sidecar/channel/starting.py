"""Start a sidecar, which outlives whoever happens to need it first."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping

from sidecar.channel.frames import RUN_MARK
from sidecar.channel.place import Place

if sys.platform != "win32":
    import fcntl

_PAUSE_SECONDS = 0.01
# CREATE_NO_WINDOW and CREATE_NEW_PROCESS_GROUP: a console of its own, which nobody sees. Without
# any (DETACHED_PROCESS), Windows gives the first child one, with a window.
_UNSEEN = 0x08000200 if sys.platform == "win32" else 0
# Beyond these a sidecar needs nothing of whoever happened to start it, least of all its secrets.
_KEPT = frozenset({
    "HOME", "PATH", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TZDIR", "TMPDIR",
    "VIRTUAL_ENV", "SSL_CERT_FILE", "SSL_CERT_DIR",
    # Windows cannot load libraries or find the user's folders without them.
    "SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "TEMP", "TMP", "USERNAME",
    "USERPROFILE", "LOCALAPPDATA", "APPDATA", "PROGRAMDATA", "PROGRAMFILES",
})  # fmt: skip
_KEPT_PREFIXES = ("LC_", "XDG_", "SIDECAR_", "PYTHON", "COVERAGE_")
_START = (
    "import sys; sys.path.append(sys.argv[1]);"
    " from sidecar.host.process import main; main(sys.argv[2:])"
)


def clean(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of a sidecar."""
    return {
        name: value
        for name, value in environ.items()
        # It outlives the run in which an agent's server happened to start it.
        if name in _KEPT or (name.startswith(_KEPT_PREFIXES) and name != RUN_MARK)
    }


def _command(place: Place) -> list[str]:
    library = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120
    return [sys.executable, "-P", "-c", _START, library, place.root, place.folder]


def _log(place: Place) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    return os.open(place.log, flags, 0o600)


def start_alone(place: Place, patience: float) -> None:
    """Start a sidecar that takes the lock itself and listens by TCP; it may find that taken.

    Returns when its address is there, or it has ended, or so many seconds have passed.
    """
    import subprocess  # noqa: PLC0415 - 3 ms that whoever finds a sidecar need not wait for

    log = _log(place)
    try:
        process = subprocess.Popen(  # noqa: S603 - this Python
            _command(place),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=clean(os.environ),
            creationflags=_UNSEEN,
        )
    finally:
        os.close(log)
    until = time.monotonic() + patience
    while process.poll() is None and time.monotonic() < until:
        if sys.platform == "win32" and os.path.exists(place.address):  # noqa: PTH110
            return
        time.sleep(_PAUSE_SECONDS)


if sys.platform != "win32":

    def start(place: Place, lock: int, listener: int) -> None:
        """Start a sidecar that owns the lock and the socket, in a session of its own."""
        log = _log(place)
        lent = [fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, 10) for each in (lock, listener)]
        try:
            process = os.posix_spawn(
                sys.executable,
                [*_command(place), "3", "4"],
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
        # It forks once more and ends, so that the sidecar is nobody's child: a client that kills
        # its servers with all their descendants must not take the others' sidecar along.
        os.waitpid(process, 0)
