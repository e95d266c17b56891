"""Which process executes a workspace: the one that holds the kernel's lock, freed when it dies."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import filelock

from sidecar.workspace.user_dirs import UserDirs

# A waiting process tries this often; each try costs some ten microseconds.
POLL_SECONDS = 0.5
# Who cannot execute tries again after this, then after twice as long, up to the second.
FIRST_AGAIN_SECONDS = 1.0
AGAIN_SECONDS = 10.0


class Leader:
    """Waits for the lock of a workspace in a thread; at most one process on a machine has it.

    ``lead`` is called once it is ours. Where that raises, the lock is released for others, and the
    next try comes after a pause that grows up to ``again_seconds``; ``failed`` is told why.
    """

    def __init__(
        self,
        user: UserDirs,
        root: Path,
        lead: Callable[[], None],
        *,
        failed: Callable[[Exception], None],
        again_seconds: float = AGAIN_SECONDS,
    ) -> None:
        self._lock = filelock.FileLock(
            user.workspace_runtime(root) / "execution.lock",
            timeout=0,
            fallback_to_soft=False,
            preserve_lock_file=True,
            thread_local=False,
        )
        self._lead = lead
        self._failed = failed
        self._again = again_seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._wait, name="execution-leader", daemon=True)

    def start(self) -> None:
        """Wait for the lock."""
        self._thread.start()

    @property
    def leads(self) -> bool:
        """Whether this process executes the workspace."""
        return self._lock.is_locked

    def stop(self) -> None:
        """Give the lock back; call it after what ``lead`` started has ended."""
        self._stopping.set()
        self._thread.join()
        self._lock.release()

    def _wait(self) -> None:
        seconds, again = 0.0, min(FIRST_AGAIN_SECONDS, self._again)
        while not self._stopping.wait(seconds):
            seconds = POLL_SECONDS
            try:
                self._lock.acquire()
            except filelock.Timeout:
                continue
            try:
                self._lead()
            except Exception as error:  # noqa: BLE001 - the outer edge of execution
                self._lock.release()
                self._failed(error)
                seconds, again = again, min(2 * again, self._again)
            else:
                return
