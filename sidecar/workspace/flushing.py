"""Waiting until bytes have reached the disk; two files take hardly longer than one."""

from __future__ import annotations

import os
import queue
import sys
import threading
from dataclasses import dataclass, field

if sys.platform == "darwin":
    import fcntl


def flush(descriptor: int) -> None:
    """Wait until a file's bytes have reached the disk; macOS needs more than fsync for that."""
    if sys.platform == "darwin":
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    else:
        os.fsync(descriptor)


def flush_data(descriptor: int) -> None:
    """The same for a file that only grew: its times need not be durable. Raises OSError."""
    if sys.platform == "linux":
        os.fdatasync(descriptor)
    else:
        flush(descriptor)


@dataclass(eq=False)
class Flushed:
    """A flush under way."""

    descriptor: int
    done: threading.Event = field(default_factory=threading.Event)
    error: OSError | None = None

    def wait(self) -> None:
        """Wait until it is done; raises OSError."""
        self.done.wait()
        if self.error is not None:
            raise self.error


class Flusher:
    """A thread that flushes beside the thread that asks, and several askers' bytes at once."""

    def __init__(self) -> None:
        self._asked: queue.SimpleQueue[Flushed] = queue.SimpleQueue()
        self._guard = threading.Lock()
        self._pid = 0

    def begin(self, descriptor: int) -> Flushed:
        """Start to flush a file that only grew, and close the descriptor afterwards."""
        flushed = Flushed(descriptor)
        if self._pid != os.getpid():
            self._start()
        self._asked.put(flushed)
        return flushed

    def _start(self) -> None:
        with self._guard:
            if self._pid != os.getpid():  # also after a fork, which takes no thread along
                self._asked = queue.SimpleQueue()
                arguments = (self._asked,)
                threading.Thread(target=_serve, args=arguments, name="flusher", daemon=True).start()
                self._pid = os.getpid()


def _serve(asked: queue.SimpleQueue[Flushed]) -> None:
    while True:
        batch = [asked.get()]
        while not asked.empty():
            batch.append(asked.get())
        _flush_all(batch)


def _flush_all(batch: list[Flushed]) -> None:
    files: dict[tuple[int, int], OSError | None] = {}
    for flushed in batch:
        try:
            status = os.fstat(flushed.descriptor)
            key = (status.st_dev, status.st_ino)
            if key not in files:
                files[key] = None
                flush_data(flushed.descriptor)
            flushed.error = files[key]
        except OSError as error:
            flushed.error = files[key] = error
        finally:
            os.close(flushed.descriptor)
            flushed.done.set()


FLUSHER = Flusher()
