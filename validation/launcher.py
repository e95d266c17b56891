"""The process between the harness and a stage: `launcher.py STATUS MEMORY_BYTES ARGV...`.

It is the stage's parent, so a test that kills its parent kills this and not the harness, and it
ends the stage's process group when the harness itself is gone. On Linux it also adopts what the
stage leaves behind, daemons in sessions of their own included, and ends that with itself. Runs
with ``-I -S``: no imports but the standard library's.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

HARNESS_LOOK_SECONDS = 0.5
PR_SET_CHILD_SUBREAPER = 36  # prctl(2), Linux


def _stay(_signal: int, _frame: FrameType | None) -> None:
    """A handler, unlike SIG_IGN, is not inherited by the stage."""


def _limit_memory(limit: int) -> None:
    if limit and sys.platform != "win32":
        import resource  # noqa: PLC0415 - does not exist on Windows

        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _adopt() -> None:
    """Become the parent of every orphan below: a daemon cannot leave by forking twice."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _end_adopted() -> None:
    """Kill children until there are none; the children of each come to us as it dies."""
    listing = Path(f"/proc/self/task/{os.getpid()}/children")
    while sys.platform == "linux":
        try:
            children = [int(word) for word in listing.read_text().split()]
        except OSError:
            return
        if not children:
            return
        for pid in children:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def _wait(child: subprocess.Popen[bytes], harness: int) -> int:
    while True:
        try:
            return child.wait(timeout=HARNESS_LOOK_SECONDS)
        except subprocess.TimeoutExpired:
            if sys.platform != "win32" and os.getppid() != harness:
                _end_adopted()
                os.killpg(0, signal.SIGKILL)


def main() -> int:
    """Run the stage and write ``{"returncode": n}`` or ``{"error": sentence}`` to STATUS."""
    status, memory, argv = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    harness = os.getppid()
    signal.signal(signal.SIGINT, _stay)
    signal.signal(signal.SIGTERM, _stay)
    if sys.platform == "win32":
        signal.signal(signal.SIGBREAK, _stay)
    answer: dict[str, int | str]
    try:
        _adopt()
        _limit_memory(memory)
        answer = {"returncode": _wait(subprocess.Popen(argv), harness)}
        _end_adopted()
    except (OSError, ValueError) as error:
        answer = {"error": getattr(error, "strerror", None) or str(error)}
    with contextlib.suppress(OSError):  # the run's folder may be gone; the exit code still tells
        status.write_text(json.dumps(answer), encoding="utf-8")
    return 0 if answer.get("returncode") == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
