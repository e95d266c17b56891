"""Locks between threads and between processes.

filelock polls: eleven processes that want one file wait up to seconds, and unevenly. So inside a
process a fair queue stands in front, and only its first waiter asks for the file's kernel lock.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import filelock

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.workspace.user_dirs import private

if sys.platform != "win32":
    import fcntl

WAIT_SECONDS = 15.0
_POLL_SECONDS = 0.005


class FairLock:
    """A lock that is handed to waiters in the order in which they came."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: deque[threading.Event] = deque()
        self._owner: int | None = None

    def acquire(self, timeout: float) -> bool:
        """Wait for the lock, at most so many seconds; a second time in one thread is an error."""
        mine = threading.get_ident()
        turn = threading.Event()
        with self._guard:
            if self._owner == mine:
                message = "this thread already holds the lock"
                raise RuntimeError(message)
            if self._owner is None:
                self._owner = mine
                return True
            self._waiting.append(turn)
        if turn.wait(timeout):
            self._owner = mine
            return True
        with self._guard:
            if turn.is_set():
                self._owner = mine
                return True
            self._waiting.remove(turn)
        return False

    def release(self) -> None:
        """Hand the lock to the next in the queue."""
        with self._guard:
            if self._waiting:
                # Not None between owners: a newcomer must not overtake the one just woken.
                self._owner = 0
                self._waiting.popleft().set()
            else:
                self._owner = None


def _busy(name: str) -> SidecarError:
    message = f"`{name}` is being written by another process."
    return SidecarError(ErrorCode.BUSY, message, hint="Try again in a moment.")


@dataclass
class Locks:
    """Named locks whose files lie on the user's side and are never removed."""

    folder: Callable[[], Path]
    _fair: dict[str, FairLock] = field(default_factory=dict, repr=False)
    _files: dict[str, str] = field(default_factory=dict, repr=False)
    _guard: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @contextmanager
    def hold(self, name: str, timeout: float = WAIT_SECONDS) -> Iterator[None]:
        """Hold the lock of this name against threads and processes; raises E_BUSY."""
        started = time.monotonic()
        with self._guard:
            fair = self._fair.setdefault(name, FairLock())
        if not fair.acquire(timeout):
            raise _busy(name)
        try:
            with self._kernel_lock(name, max(0.0, timeout - (time.monotonic() - started))):
                yield
        finally:
            fair.release()

    @contextmanager
    def _kernel_lock(self, name: str, timeout: float) -> Iterator[None]:
        file = self._file(name)
        descriptor = _taken_at_once(file)
        if descriptor is not None:
            try:
                yield
            finally:
                os.close(descriptor)
            return
        with _polled(file, name, timeout):
            yield

    def _file(self, name: str) -> str:
        found = self._files.get(name)
        if found is None:
            found = str(self.folder() / f"{sha256(name.encode()).hexdigest()[:32]}.lock")
            self._files[name] = found
        return found


def _taken_at_once(file: str) -> int | None:
    """A descriptor that holds the lock until it is closed, or None where one has to wait.

    It is filelock's own kernel lock, without the tenth of a millisecond that filelock takes.
    """
    if sys.platform == "win32":
        return None
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(file, flags, 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # A path made once and used for every write: pathlib would cost more than the lock.
        if os.path.samestat(os.fstat(descriptor), os.stat(file)):  # noqa: PTH116
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return None


@contextmanager
def _polled(file: str, name: str, timeout: float) -> Iterator[None]:
    private(Path(file).parent)
    lock = filelock.FileLock(
        file,
        timeout=timeout,
        poll_interval=_POLL_SECONDS,
        fallback_to_soft=False,
        preserve_lock_file=True,
    )
    try:
        lock.acquire()
    except filelock.Timeout:
        raise _busy(name) from None
    except OSError as error:
        message = f"The lock of `{name}` cannot be taken on this file system."
        hint = "Set SIDECAR_HOME to a local folder."
        raise SidecarError(ErrorCode.IO, message, hint=hint) from error
    try:
        yield
    finally:
        lock.release()
