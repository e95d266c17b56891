"""Connections that have not said yet who they are: so many at most, and none for long."""

from __future__ import annotations

import socket
import sys
import threading
from contextlib import suppress

# Far below the number of files that a process may have open, wherever it runs.
MOST_CALLERS = 100


class Callers:
    """Who has connected and not yet greeted; any program of the machine may by TCP.

    Where too many wait, the one that has waited longest goes: an honest one greets at once.
    Time is counted in rounds of the housekeeping, which do not go on while the machine sleeps.
    """

    def __init__(self, most_rounds: int) -> None:
        self._most_rounds = most_rounds
        self._rounds: dict[socket.socket, int] = {}
        self._turn = threading.Lock()

    def come(self, connection: socket.socket) -> None:
        """Somebody has connected."""
        with self._turn:
            if len(self._rounds) >= MOST_CALLERS:
                self._hang_up(next(iter(self._rounds)))
            self._rounds[connection] = 0

    def heard(self, connection: socket.socket) -> None:
        """It has greeted, or gone."""
        with self._turn:
            self._rounds.pop(connection, None)

    def wait(self) -> None:
        """A round has passed."""
        with self._turn:
            for connection in list(self._rounds):
                self._rounds[connection] += 1
                if self._rounds[connection] > self._most_rounds:
                    self._hang_up(connection)

    def _hang_up(self, connection: socket.socket) -> None:
        """Wake the thread that listens to it, which closes it."""
        del self._rounds[connection]
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        if sys.platform == "win32":
            connection.close()  # which wakes nobody elsewhere, as a shutdown may not there
