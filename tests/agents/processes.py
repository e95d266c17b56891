"""Child processes with an end: each has a time limit, and none outlives its run."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

GRACE_SECONDS = 5.0
PROC = Path("/proc")


@dataclass(frozen=True)
class Ended:
    """How a program ended; ``code`` is None where its time was up."""

    code: int | None
    seconds: float
    output: str
    errors: str


def run(
    command: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    seconds: float,
    log: Path,
) -> Ended:
    """Run a program in a group of its own; its output lies beside ``log`` afterwards."""
    begun = time.monotonic()
    paths = log.with_suffix(".out"), log.with_suffix(".err")
    with paths[0].open("wb") as output, paths[1].open("wb") as errors:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            start_new_session=True,
        )
        try:
            code: int | None = process.wait(seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            end(process)
    told = [path.read_text("utf-8", "replace") for path in paths]
    return Ended(code, time.monotonic() - begun, told[0], told[1])


@contextmanager
def background(
    command: Sequence[str], *, folder: Path, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """A program that runs while the block does; its stderr is a pipe."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        end(process)
        if process.stderr:
            process.stderr.close()


def end(process: subprocess.Popen[bytes]) -> None:
    """End a program that we started, and its group."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def end_those_at_home(home: Path) -> list[str]:
    """End what still runs with this throw-away home, daemons too; returns their command lines."""
    found = _at_home(home)
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in _at_home(home):
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        limit = time.monotonic() + GRACE_SECONDS
        while _at_home(home) and time.monotonic() < limit:
            time.sleep(0.1)
    return sorted(found.values())


def _at_home(home: Path) -> dict[int, str]:
    """Running processes whose HOME is this folder; only a run's own descendants have it."""
    wanted = f"HOME={home}".encode()
    found: dict[int, str] = {}
    for entry in PROC.glob("[0-9]*"):
        with suppress(OSError):
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                words = (entry / "cmdline").read_bytes().split(b"\0")
                found[int(entry.name)] = b" ".join(words[:6]).decode("utf-8", "replace").strip()
    return found
