"""Child processes with limits: one group each, ended by INT, TERM, KILL, leaving nobody behind."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

# Where the sidecar puts the user's PYTHONPATH when it starts the harness, which must not have it.
PATH_KEPT = "SIDECAR_VALIDATION_PYTHONPATH"
COOKIE = "SIDECAR_VALIDATION_RUN"
TICK_SECONDS = 0.1
INTERRUPT_SECONDS = 5.0
TERMINATE_SECONDS = 2.0
LOG_LIMIT_BYTES = 200_000_000
TAIL_BYTES = 20_000
PR_SET_CHILD_SUBREAPER = 36  # prctl(2), Linux
LAUNCHER = Path(__file__).with_name("launcher.py")
# What an outer pytest or coverage leaves in the environment would change the inner one's results.
FOREIGN = (
    "PYTEST_CURRENT_TEST", "PYTEST_XDIST_", "PYTEST_VERSION", "COVERAGE_PROCESS_", "COV_CORE_",
    "PYTHONSAFEPATH", "MAKEFLAGS", "MFLAGS",
)  # fmt: skip

# A launcher is known before anybody looks for orphans.
_STARTING = threading.Lock()
_launchers: set[int] = set()

Ending = Literal["exit", "limit", "stopped", "cancelled", "flooded", "killed", "not started"]


@dataclass(frozen=True)
class Limits:
    """Seconds and bytes that a child may use; 0 bytes means no limit of memory."""

    seconds: float = 600.0
    memory: int = 0


@dataclass(frozen=True)
class Outcome:
    """How a child ended; ``returncode`` is negative for a signal, None where it is unknown."""

    ending: Ending
    returncode: int | None
    seconds: float
    reason: str = ""
    log: Path | None = None

    def tail(self, lines: int = 20) -> str:
        """The last lines of what the child printed."""
        return "\n".join(self.output().splitlines()[-lines:])

    def output(self, limit: int = TAIL_BYTES) -> str:
        """The end of what the child printed, at most ``limit`` bytes."""
        if self.log is None or not self.log.exists():
            return ""
        with self.log.open("rb") as stream:
            stream.seek(max(0, self.log.stat().st_size - limit))
            return stream.read().decode("utf-8", "replace")


def _nothing() -> str:
    return ""


def adopt_orphans() -> None:
    """Become the parent of what a stage leaves behind when its launcher was killed too (Linux)."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


@dataclass
class Cancellation:
    """Whether the run is to end early; set by a signal or by a file that somebody creates."""

    file: Path | None = None
    requested: bool = False

    def __bool__(self) -> bool:
        """True from the first request on."""
        if not self.requested and self.file is not None and self.file.exists():
            self.requested = True
        return self.requested


def environment(*, import_path: bool) -> dict[str, str]:
    """The caller's environment without what an outer test run left in it.

    ``import_path`` gives back the PYTHONPATH that was kept from the harness: to the project's own
    code, never to ours, which it could replace.
    """
    kept = {k: v for k, v in os.environ.items() if not k.startswith(FOREIGN)}
    path = kept.pop(PATH_KEPT, "")
    if path and import_path:
        kept["PYTHONPATH"] = path
    return {**kept, "PYTHONUTF8": "1"}


def run(
    argv: Sequence[str | Path],
    *,
    cwd: Path,
    log: Path,
    limits: Limits,
    cancellation: Cancellation,
    watch: Callable[[], str] = _nothing,
    import_path: bool = False,
) -> Outcome:
    """Run ``argv`` with its output in ``log``; ``watch`` is called often and may stop it.

    ``watch`` returns the reason why the child must end, or nothing. Never raises for what the
    child does, and returns when its whole process group, and what escaped from it, has ended.
    """
    mark = uuid.uuid4().hex
    status = log.with_suffix(".status")
    variables = environment(import_path=import_path)
    variables[COOKIE] = ":".join(filter(None, (os.environ.get(COOKIE), mark)))
    command = [sys.executable, "-I", "-S", LAUNCHER, status, str(limits.memory), *argv]
    start = time.monotonic()
    with log.open("wb") as stream:
        child = _started(command, cwd, variables, stream)
        try:
            ending, reason = _follow(child, start, log, limits, cancellation, watch)
        finally:
            _end(child)
            _sweep(mark)
            _end_orphans(child.pid)
    return _outcome(ending, reason, status, log, time.monotonic() - start)


def _started(
    command: Sequence[str | Path], cwd: Path, variables: dict[str, str], log: BinaryIO
) -> subprocess.Popen[bytes]:
    with _STARTING:
        child = subprocess.Popen(
            [str(word) for word in command],
            cwd=cwd,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            **_own_group(),
        )
        _launchers.add(child.pid)
    return child


def _own_group() -> dict[str, Any]:
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def _follow(
    child: subprocess.Popen[bytes],
    start: float,
    log: Path,
    limits: Limits,
    cancellation: Cancellation,
    watch: Callable[[], str],
) -> tuple[Ending, str]:
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(timeout=TICK_SECONDS)
            watch()
            return "exit", ""
        if reason := watch():
            return "stopped", reason
        if cancellation:
            return "cancelled", "The run was cancelled."
        if time.monotonic() - start > limits.seconds:
            return "limit", f"The time limit of {limits.seconds:g} s was reached."
        if log.stat().st_size > LOG_LIMIT_BYTES:
            return "flooded", f"It printed more than {LOG_LIMIT_BYTES // 1_000_000} MB."


def _outcome(ending: Ending, reason: str, status: Path, log: Path, seconds: float) -> Outcome:
    try:
        answer = json.loads(status.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        answer = {}
    code = answer.get("returncode")
    if ending == "exit" and "error" in answer:
        return Outcome("not started", None, seconds, f"It did not start: {answer['error']}.", log)
    if ending == "exit" and code is None:
        return Outcome("killed", None, seconds, "It was killed from outside.", log)
    return Outcome(ending, code, seconds, reason, log)


def _end(child: subprocess.Popen[bytes]) -> None:
    """The ladder: interrupt, terminate, kill; then whatever is left of the group."""
    if child.poll() is None:
        for number, patience in _ladder():
            _signal_group(child.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(timeout=patience)
                break
    _kill_group(child)
    child.wait()


def _ladder() -> list[tuple[int, float]]:
    if sys.platform == "win32":
        return [(signal.CTRL_BREAK_EVENT, INTERRUPT_SECONDS)]
    return [(signal.SIGINT, INTERRUPT_SECONDS), (signal.SIGTERM, TERMINATE_SECONDS)]


def _signal_group(pid: int, number: int) -> None:
    with contextlib.suppress(OSError):
        if sys.platform == "win32":
            os.kill(pid, number)
        else:
            os.killpg(pid, number)


def _kill_group(child: subprocess.Popen[bytes]) -> None:
    if sys.platform == "win32":
        taskkill = ["taskkill", "/T", "/F", "/PID", str(child.pid)]
        subprocess.run(taskkill, capture_output=True, check=False)
    else:
        _signal_group(child.pid, signal.SIGKILL)


def _sweep(mark: str) -> None:
    """End processes that left the group (a daemon's own session), known by our cookie."""
    proc = Path("/proc")
    if not sys.platform.startswith("linux") or not proc.is_dir():
        return
    for entry in proc.iterdir():
        if entry.name.isdigit() and entry.name != str(os.getpid()) and _carries(entry, mark):
            with contextlib.suppress(OSError):
                os.kill(int(entry.name), signal.SIGKILL)


def _end_orphans(launcher: int) -> None:
    """End what an ended launcher left to us: children in a session that is not ours.

    Only after `adopt_orphans`, and only while no launcher lives but those that are known; a
    living launcher adopts its own.
    """
    listings = Path("/proc/self/task").glob("*/children")
    while sys.platform == "linux":
        with _STARTING:
            _launchers.discard(launcher)
            try:
                pids = {int(word) for listing in listings for word in listing.read_text().split()}
            except OSError:
                return
            orphans = [pid for pid in pids - _launchers if _in_another_session(pid)]
            for pid in orphans:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)
        if not orphans:
            return
        listings = Path("/proc/self/task").glob("*/children")


def _in_another_session(pid: int) -> bool:
    try:
        return os.getsid(pid) != os.getsid(0)
    except OSError:
        return False


def _carries(entry: Path, mark: str) -> bool:
    try:
        return mark.encode() in (entry / "environ").read_bytes()
    except OSError:
        return False
