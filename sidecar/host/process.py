"""A sidecar that a channel has started: nobody's child, ended by nobody's terminal."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from typing import NoReturn

from sidecar.channel import seat, tcp
from sidecar.channel.place import Place

# A channel that only looks whether anybody has the lock holds it for a moment.
_TAKING_SECONDS = 5.0
_PAUSE_SECONDS = 0.01


def main(arguments: Sequence[str]) -> NoReturn:
    """Serve the workspace whose root and folder are given, until nobody needs it.

    The lock and a socket that listens are given too, or taken here.
    """
    root, folder, *lent = arguments
    place = Place(root, folder)
    if lent:
        for descriptor in map(int, lent):
            os.set_inheritable(descriptor, False)  # noqa: FBT003
        lock, door = int(lent[0]), seat.Door(socket.socket(fileno=int(lent[1])))
    else:
        lock = _taken(place)
        door = seat.Door(*tcp.listen(place))
    _detach(place)
    # A child of a child imports the rest: whoever has started us waits for the first one.
    from sidecar.host import hosting  # noqa: PLC0415

    code = hosting.run(place, lock, door)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


def _taken(place: Place) -> int:
    """The lock; whoever comes late for it ends."""
    until = time.monotonic() + _TAKING_SECONDS
    while (lock := seat.take(place)) is None:
        # Whoever had us started has taken the last one away.
        if time.monotonic() > until or os.path.exists(place.address):  # noqa: PTH110
            os._exit(0)
        time.sleep(_PAUSE_SECONDS)
    return lock


if sys.platform == "win32":

    def _detach(place: Place) -> None:
        os.chdir(os.sep)
        # What is inherited is no longer appended to once it was made shorter.
        log = os.open(place.log, os.O_WRONLY | os.O_APPEND)
        for stream in (1, 2):
            os.dup2(log, stream)
        os.close(log)

else:

    def _detach(place: Place) -> None:  # noqa: ARG001 - the log that is inherited will do
        if os.fork():
            os._exit(0)
        os.setsid()
        os.chdir("/")
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
