"""One thread reads a client's messages and does what is quick; if that lasts, another reads on.

To hand a small call to another thread costs a third of the call: the other one has to be woken, and
to wait for the interpreter. Whoever has read it runs it at once instead. Only where it takes longer
than expected, a second thread reads on meanwhile, so that nobody waits behind it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

from sidecar.mcp.vigil import Vigil

Line = bytes | None
Work = Callable[[], None]

# Beside such a wait a client notices nothing; a tool that only reads needs a hundredth of it.
QUICK_SECONDS = 0.02
_REST_AFTER_SECONDS = 1.0


class StopReading(Exception):  # noqa: N818 - no error: somebody else is to read on
    """Raised by ``take``: this message and the rest are not for it."""


class Reader:
    """A client's messages, read one after the other.

    ``take`` deals with a message, or returns what is left to do about it. ``ended`` is called once,
    by the thread that has seen the end.
    """

    def __init__(
        self,
        messages: Iterator[Line],
        take: Callable[[Line], Work | None],
        ended: Callable[[], None],
    ) -> None:
        self._messages = messages
        self._take = take
        self._ended = ended
        self._guard = threading.Lock()
        self._turn = 0
        self._working_since: float | None = None
        self._worked = 0.0
        self._watch = Vigil(QUICK_SECONDS, self._look, "mcp-watch")

    def read(self, turn: int = 0) -> None:
        """Read until the end, or until another thread has taken its turn."""
        try:
            for message in self._messages:
                work = self._take(message)
                if work is not None and not self._done(work, turn):
                    return
        except StopReading:
            pass
        self._watch.end()
        self._ended()

    def _done(self, work: Work, turn: int) -> bool:
        """Do the work; false where somebody else reads meanwhile."""
        self._working_since = time.monotonic()
        self._watch.wake()
        work()
        with self._guard:
            if self._turn != turn:
                return False
            self._working_since = None
        return True

    def _look(self) -> bool:
        """Whether there is work now and then; what lasts is left to its thread."""
        now = time.monotonic()
        if self._working_since is not None:
            self._worked = now
            self._relieve(now)
        return now - self._worked < _REST_AFTER_SECONDS

    def _relieve(self, now: float) -> None:
        with self._guard:
            since = self._working_since
            if since is None or now - since < QUICK_SECONDS:
                return
            self._turn += 1
            self._working_since = None
            name = f"mcp-in-{self._turn}"
            reading = threading.Thread(target=self.read, args=(self._turn,), name=name, daemon=True)
            try:
                reading.start()
            except RuntimeError:  # no more threads: who works reads on when it is done
                self._turn -= 1
                self._working_since = since
