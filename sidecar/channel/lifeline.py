"""What ends a channel besides its client: a signal, or the death of a process.

Everything that a channel does can be left at once: a client waits 250 ms before it kills.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable

_POLL_SECONDS = 0.1
_SYNCHRONIZE = 0x0010_0000
_FOR_EVER = 0xFFFF_FFFF


def on_signals(code: Callable[[int], int]) -> None:
    """End the process at SIGTERM and SIGINT with the code for the signal."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: os._exit(code(number)))


def follow_parent(code: int) -> None:
    """End the process when its parent has died; one that was born an orphan lives on."""
    parent = os.getppid()
    if parent > 1:
        _beside(lambda: _parent_gone(parent), code)


def follow(process: int, code: int) -> None:
    """End the process when another one, named by the client, has died."""
    _beside(lambda: _gone(process), code)


def _beside(wait: Callable[[], object], code: int) -> None:
    def end_after() -> None:
        if wait():
            os._exit(code)

    threading.Thread(target=end_after, name="lifeline", daemon=True).start()


if sys.platform == "win32":

    def _parent_gone(parent: int) -> bool:
        # A parent that has ended before cannot be told from a stranger with its number.
        return _gone(parent)

    def _gone(process: int) -> bool:
        """Wait for a process to end; False where there is none that could be waited for."""
        import ctypes  # noqa: PLC0415 - beside, so that nobody waits for it

        kernel = ctypes.WinDLL("kernel32")
        kernel.OpenProcess.restype = ctypes.c_void_p
        kernel.WaitForSingleObject.argtypes = (ctypes.c_void_p, ctypes.c_ulong)
        handle = kernel.OpenProcess(_SYNCHRONIZE, False, process)  # noqa: FBT003
        return bool(handle) and kernel.WaitForSingleObject(handle, _FOR_EVER) == 0

else:

    def _parent_gone(parent: int) -> bool:
        if _gone(parent):
            return True
        while os.getppid() == parent:
            time.sleep(_POLL_SECONDS)
        return True

    def _gone(process: int) -> bool:
        """Wait for a process to end; False where the system cannot tell. A zombie has ended."""
        if not hasattr(os, "pidfd_open"):
            return False
        try:
            descriptor = os.pidfd_open(process)
        except ProcessLookupError:
            return True
        except (OSError, OverflowError, ValueError):
            return False
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        poll.poll()
        return True
