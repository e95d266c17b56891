"""Waiting until bytes have reached the disk; two files take hardly longer than one."""

from __future__ import annotations

import logging
import os
import queue
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

if sys.platform == "darwin":
    import fcntl

log = logging.getLogger(__name__)
# How long bytes that nobody waits for may stay in the kernel alone.
DELAY_SECONDS = 0.05


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


def flush_all(descriptors: Sequence[int]) -> None:
    """Wait for several files; all are on their way before the first is waited for."""
    if len(descriptors) > 1 and sys.platform == "linux":
        for descriptor in descriptors:
            # Linux begins to write what is dirty; nothing else here depends on it.
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    for descriptor in descriptors:
        flush(descriptor)


@dataclass(eq=False)
class Flushed:
    """A flush under way; the descriptor is closed after it."""

    descriptor: int
    done: threading.Event = field(default_factory=threading.Event)
    error: OSError | None = None

    def wait(self) -> None:
        """Wait until it is done; raises OSError."""
        self.done.wait()
        if self.error is not None:
            raise self.error


class Flusher:
    """A thread that flushes files that only grew, beside the threads that ask for it."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._pid = 0
        self._asked: queue.SimpleQueue[Flushed | None] = queue.SimpleQueue()
        self._later: dict[tuple[int, int], int] = {}

    def begin(self, descriptor: int) -> Flushed:
        """Start to flush a file; the descriptor belongs to the flusher from now on."""
        flushed = Flushed(descriptor)
        self._started()
        self._asked.put(flushed)
        return flushed

    def later(self, descriptor: int) -> None:
        """Flush a file within DELAY_SECONDS, once for all who ask; nobody hears of a failure."""
        self._started()
        key = _key(descriptor)
        with self._guard:
            first = not self._later
            known = self._later.setdefault(key, descriptor)
        if known != descriptor:
            os.close(descriptor)
        if first:
            self._asked.put(None)

    def _started(self) -> None:
        if self._pid == os.getpid():
            return
        with self._guard:
            if self._pid != os.getpid():  # also after a fork, which takes no thread along
                self._asked, self._later = queue.SimpleQueue(), {}
                threading.Thread(target=self._serve, name="flusher", daemon=True).start()
                self._pid = os.getpid()

    def _serve(self) -> None:
        due: float | None = None
        while True:
            try:
                wait = None if due is None else max(0.0, due - time.monotonic())
                asked = self._asked.get(timeout=wait)
            except queue.Empty:
                due = None
                self._flush_late_ones()
                continue
            if asked is not None:
                self._flush_all(asked)
            elif due is None:
                due = time.monotonic() + DELAY_SECONDS

    def _flush_all(self, first: Flushed) -> None:
        """Flush what is asked for now, each file once."""
        batch = [first]
        while not self._asked.empty():
            asked = self._asked.get()
            if asked is None:
                self._asked.put(None)
                break
            batch.append(asked)
        files: dict[tuple[int, int], OSError | None] = {}
        for flushed in batch:
            key = _key(flushed.descriptor)
            if key not in files:
                files[key] = _failure(flushed.descriptor)
            flushed.error = files[key]
            os.close(flushed.descriptor)
            flushed.done.set()

    def _flush_late_ones(self) -> None:
        with self._guard:
            late, self._later = self._later, {}
        for descriptor in late.values():
            error = _failure(descriptor)
            if error is not None:
                log.warning("Bytes that nobody waits for could not be flushed: %s", error)
            os.close(descriptor)


def _key(descriptor: int) -> tuple[int, int]:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino


def _failure(descriptor: int) -> OSError | None:
    try:
        flush_data(descriptor)
    except OSError as error:
        return error
    return None


FLUSHER = Flusher()
