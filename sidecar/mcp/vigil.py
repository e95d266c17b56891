"""A thread that looks after something as long as it has to, and sleeps at all other times."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Vigil:
    """Calls ``look`` every so many seconds as long as it returns that there is reason to.

    The thread is started when it is woken for the first time.
    """

    def __init__(self, seconds: float, look: Callable[[], bool], name: str) -> None:
        self._seconds = seconds
        self._look = look
        self._name = name
        self._awake = False
        self._ended = False
        self._woken: threading.Semaphore | None = None

    def wake(self) -> None:
        """Begin to look; nothing to do while it does. One thread at a time may ask."""
        if self._awake or self._ended:
            return
        self._awake = True
        if self._woken is None:
            self._woken = threading.Semaphore(0)
            threading.Thread(
                target=self._keep, args=(self._woken,), name=self._name, daemon=True
            ).start()
        self._woken.release()

    def end(self) -> None:
        """Look no more; safe to call twice."""
        self._ended = True
        if self._woken is not None:
            self._woken.release()

    def _keep(self, woken: threading.Semaphore) -> None:
        while True:
            woken.acquire()
            while not self._ended:
                time.sleep(self._seconds)
                if self._look():
                    continue
                self._awake = False
                # Who gave a reason before the line above has woken nobody.
                if not self._look():
                    break
                self._awake = True
            if self._ended:
                return
