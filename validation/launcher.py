"""The process between the harness and a stage: `launcher.py STATUS MEMORY_BYTES ARGV...`.

It is the stage's parent, so a test that kills its parent kills this and not the harness, and it
ends the stage's process group when the harness itself is gone. Runs with ``-I -S``: no imports
but the standard library's.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

HARNESS_LOOK_SECONDS = 0.5


def _stay(_signal: int, _frame: FrameType | None) -> None:
    """A handler, unlike SIG_IGN, is not inherited by the stage."""


def _limit_memory(limit: int) -> None:
    if limit and sys.platform != "win32":
        import resource  # noqa: PLC0415 - does not exist on Windows

        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _wait(child: subprocess.Popen[bytes], harness: int) -> int:
    while True:
        try:
            return child.wait(timeout=HARNESS_LOOK_SECONDS)
        except subprocess.TimeoutExpired:
            if sys.platform != "win32" and os.getppid() != harness:
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
        _limit_memory(memory)
        answer = {"returncode": _wait(subprocess.Popen(argv), harness)}
    except (OSError, ValueError) as error:
        answer = {"error": getattr(error, "strerror", None) or str(error)}
    with contextlib.suppress(OSError):  # the run's folder may be gone; the exit code still tells
        status.write_text(json.dumps(answer), encoding="utf-8")
    return 0 if answer.get("returncode") == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
