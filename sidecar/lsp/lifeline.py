"""Nobody's orphan: the server ends with the process that its client named."""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
from pathlib import Path

POLL_SECONDS = 1.0
STILL_ACTIVE = 259
PROCESS_QUERY_LIMITED_INFORMATION = 0x1000


async def ended(process: int) -> None:
    """Return when a process is gone; a zombie counts as gone."""
    while _alive(process):  # noqa: ASYNC110 - no portable event tells of a stranger's death
        await asyncio.sleep(POLL_SECONDS)


def _alive(process: int) -> bool:
    if sys.platform == "win32":
        return _alive_on_windows(process)
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return not _zombie(process)


def _zombie(process: int) -> bool:
    """Whether Linux keeps only the process's exit status; elsewhere this is not known."""
    try:
        status = Path(f"/proc/{process}/stat").read_bytes()
    except OSError:
        return False
    return status.rpartition(b")")[2].split()[:1] == [b"Z"]


def _alive_on_windows(process: int) -> bool:
    kernel = ctypes.WinDLL("kernel32", use_last_error=True)  # type: ignore[attr-defined,unused-ignore]
    handle = kernel.OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, False, process)  # noqa: FBT003
    if not handle:
        return False
    code = ctypes.c_ulong()
    kernel.GetExitCodeProcess(handle, ctypes.byref(code))
    kernel.CloseHandle(handle)
    return code.value == STILL_ACTIVE
