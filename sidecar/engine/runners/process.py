"""Which processes belong to a run, and how every one of them is ended.

A process is known by its id together with when it was started, because ids are used again. What
an agent starts is found by its group, by descent, and, where it has left both, by the mark in its
environment, which it can't lose without wiping that.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

MARK = "SIDECAR_RUN_ID"
LADDER: tuple[tuple[signal.Signals, float], ...] = (
    (signal.SIGINT, 5.0),
    (signal.SIGTERM, 5.0),
    (signal.SIGKILL, 10.0),
)
LOOK_SECONDS = 0.05
_PROC = Path("/proc")
_LISTING = ("ps", "-A", "-o", "pid=,ppid=,pgid=,stat=,lstart=")


@dataclass(frozen=True, slots=True)
class Process:
    """A process at one instant; ``ended`` means that only its exit status is left of it."""

    pid: int
    parent: int
    group: int
    started: str
    ended: bool


def identity(pid: int, mark: str = "") -> dict[str, Any]:
    """What names a process for good, as JSON values; ``started`` is empty for one that is gone.

    ``mark`` is the value of ``SIDECAR_RUN_ID`` in the environment of all that belongs to it.
    """
    found = next((each for each in listed([pid]) if each.pid == pid), None)
    return {"pid": pid, "started": found.started if found else "", "mark": mark}


def of_run(run_id: str) -> dict[str, Any]:
    """The identity of whatever carries a run's mark, for a run whose process is not on record."""
    return {"pid": 0, "started": "", "mark": run_id}


def members(known: Mapping[str, Any]) -> list[Process]:
    """The living processes of a tree: its root, its group, their descendants, the marked ones."""
    table = {each.pid: each for each in listed()}
    pid, mark = int(known["pid"]), str(known["mark"])
    root = table.get(pid)
    is_same = root is not None and root.started == known["started"]
    found = {each for each in table if mark and _mark_of(each) == mark}
    if is_same:
        found |= {pid, *(each.pid for each in table.values() if each.group == pid)}
    children: dict[int, list[int]] = {}
    for each in table.values():
        children.setdefault(each.parent, []).append(each.pid)
    unseen = list(found)
    while unseen:
        new = set(children.get(unseen.pop(), ())) - found
        # Another mark is another run's, which a run inside this one may have started.
        new = {each for each in new if not mark or _mark_of(each) in ("", mark)}
        found |= new
        unseen += new
    found -= _own_line(table)
    return [table[pid] for pid in sorted(found) if not table[pid].ended]


def end_tree(
    known: Mapping[str, Any], ladder: Sequence[tuple[signal.Signals, float]] = LADDER
) -> int:
    """Interrupt, terminate, kill until nobody of the tree is left; returns how many are.

    Each rung is a signal and the seconds that are given to it.
    """
    left: list[Process] = []
    for number, seconds in ladder:
        told: set[tuple[int, str]] = set()
        deadline = time.monotonic() + seconds
        while left := members(known):
            fresh = [each for each in left if (each.pid, each.started) not in told]
            _signal(fresh, number)
            told |= {(each.pid, each.started) for each in fresh}
            if time.monotonic() >= deadline:
                break
            time.sleep(LOOK_SECONDS)
        if not left:
            return 0
    return len(left)


def listed(pids: Iterable[int] | None = None) -> Iterator[Process]:
    """The system's processes, or those of them that are named."""
    if not (_PROC / "self" / "stat").exists():
        yield from _listed_by_ps()
        return
    if pids is None:
        pids = [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit()]
    for pid in pids:
        if found := _from_proc(pid):
            yield found


def _from_proc(pid: int) -> Process | None:
    try:
        text = (_PROC / str(pid) / "stat").read_text("utf-8", "replace")
    except OSError:
        return None
    # proc(5): the command in parentheses may hold anything, also parentheses.
    fields = text[text.rindex(")") + 2 :].split()
    started = f"{fields[19]}@{_boot()}"
    return Process(pid, int(fields[1]), int(fields[2]), started, fields[0] in "ZX")


@cache
def _boot() -> str:
    """Which start of the system it is, because the ticks of `started` begin anew with each."""
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""


def _listed_by_ps() -> Iterator[Process]:
    """The same where there is no /proc (macOS, BSD); it tells no environment of others."""
    answer = subprocess.run(_LISTING, capture_output=True, text=True, check=False, timeout=10)  # noqa: S603
    for line in answer.stdout.splitlines():
        pid, parent, group, state, started = line.split(None, 4)
        yield Process(int(pid), int(parent), int(group), started.strip(), state.startswith("Z"))


def _mark_of(pid: int) -> str:
    """The mark in a process's environment, empty where there is none or it can't be read."""
    try:
        environment = (_PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return ""
    for entry in environment.split(b"\0"):
        if entry.startswith(f"{MARK}=".encode()):
            return entry.partition(b"=")[2].decode("utf-8", "replace")
    return ""


def _own_line(table: Mapping[int, Process]) -> set[int]:
    """This process and those above it: a run inside a run never ends its own host."""
    line, pid = {0, 1}, os.getpid()
    while pid not in line:
        line.add(pid)
        pid = table[pid].parent if pid in table else 0
    return line


def _signal(processes: Iterable[Process], number: signal.Signals) -> None:
    for each in processes:
        with suppress(OSError):
            if sys.platform == "linux":
                _signal_exactly(each, number)
            else:
                os.kill(each.pid, number)


def _signal_exactly(process: Process, number: signal.Signals) -> None:
    """Signal this very process, not one that was given its id meanwhile."""
    if sys.platform != "linux":
        return
    descriptor = os.pidfd_open(process.pid)
    try:
        now = _from_proc(process.pid)
        if now is not None and now.started == process.started:
            signal.pidfd_send_signal(descriptor, number)
    finally:
        os.close(descriptor)
