"""The lock that the only sidecar of a workspace holds; the kernel frees it however it ends."""

from __future__ import annotations

import os
import sys

if sys.platform == "win32":
    import msvcrt

    _FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOINHERIT

    def _locked(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

    def is_current(descriptor: int, path: str) -> bool:
        """Whether a lock is still where others look for it: no file in use can be taken away."""
        return descriptor >= 0 and bool(path)

else:
    import fcntl

    _FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC

    def _locked(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def is_current(descriptor: int, path: str) -> bool:
        """Whether a lock is still where others look for it; somebody may clean up there."""
        try:
            return os.path.samestat(os.fstat(descriptor), os.stat(path))  # noqa: PTH116
        except OSError:
            return False


def taken(path: str) -> int | None:
    """A descriptor that holds the lock until it is closed; None where another process does.

    Raises OSError where the folder cannot hold a lock.
    """
    descriptor = os.open(path, _FLAGS, 0o600)
    try:
        if _locked(descriptor) and is_current(descriptor, path):
            return descriptor
    except OSError:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None
