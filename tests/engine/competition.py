"""Processes that compete for slots of compressed minutes, and what their ledger says of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.engine.competitor import Ledger

_ENDS = ("done", "repeated", "stopped")
REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass
class Competition:
    """A workspace with one-minute schedules, and processes that run its slots.

    A minute of the schedules takes ``minute`` real seconds.
    """

    folder: Path
    minute: float = 2.0
    seconds: float = 0.2
    url: str = ""
    schedules: int = 1
    catch_up: str = "all"
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    kills: list[tuple[float, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ledger = self.folder / "ledger.jsonl"
        self.ledger.touch()
        self._told = Ledger(self.ledger)
        self.origin = datetime.now(UTC).replace(microsecond=0)
        self._write_workspace()
        given = {
            "rate": 60 / self.minute,
            "origin": self.origin.isoformat(),
            "ledger": str(self.ledger),
            "seconds": self.seconds,
            "state": str(self.folder / "state"),
            "url": self.url,
            "workspace": str(self.folder / "workspace"),
            "catch_up": self.catch_up,
        }
        (self.folder / "given.json").write_text(json.dumps(given), encoding="utf-8")

    def _write_workspace(self) -> None:
        start = self.origin.replace(second=0) + timedelta(minutes=1)
        each = {
            "mode": "code",
            "taskInstructions": "Write a line.",
            "scheduleType": "time",
            "timeInterval": "1",
            "timeUnit": "minute",
            "startDate": f"{start:%Y-%m-%d}",
            "startHour": f"{start:%H}",
            "startMinute": f"{start:%M}",
            "taskInteraction": "wait",
            "createdAt": self.origin.isoformat(),
        }
        found = [each | {"id": f"s{n}", "name": f"Every minute {n}"} for n in range(self.schedules)]
        path = self.folder / "workspace" / ".roo" / "schedules.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"schedules": found}), encoding="utf-8")

    def launch(self) -> subprocess.Popen[bytes]:
        """One more process."""
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tests.engine.competitor", self.folder / "given.json"],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), "SIDECAR_HOME": str(self.folder)},
        )
        self.processes.append(process)
        return process

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """End a process as a crash does."""
        self._told.write(pid=process.pid, run="", what="killed")
        self.kills.append((time.time(), process.pid))
        process.send_signal(signal.SIGKILL)
        process.wait()
        self.processes.remove(process)

    def end(self) -> None:
        """Let all processes end in order."""
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            process.wait(30)
        self.processes.clear()

    def entries(self) -> list[dict[str, Any]]:
        """The ledger so far."""
        lines = self.ledger.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def done(self) -> Counter[str]:
        """How often each run was completed."""
        return Counter(e["run"] for e in self.entries() if e["what"] == "done")

    def at_work(self) -> int | None:
        """The process that has started a run and not ended it, None where there is none."""
        entries = [e for e in self.entries() if e["what"] in ("start", *_ENDS)]
        return int(entries[-1]["pid"]) if entries and entries[-1]["what"] == "start" else None

    def wait_for(self, runs: int, seconds: float) -> None:
        """Wait until so many runs are done; raises TimeoutError."""
        end = time.monotonic() + seconds
        while len(self.done()) < runs:
            if time.monotonic() > end:
                message = f"{len(self.done())} of {runs} runs after {seconds} s"
                raise TimeoutError(message)
            time.sleep(0.05)

    def overlaps(self) -> int:
        """How many attempts started while another of the same workspace was at work."""
        count, running, gone = 0, dict[int, str](), set[int]()
        for entry in self.entries():
            pid, what = entry["pid"], entry["what"]
            if what == "up":
                gone.discard(pid)  # numbers of processes come round
            elif what == "killed":
                gone.add(pid)
                running.pop(pid, None)
            elif what == "start" and pid not in gone:
                count += bool(running)
                running[pid] = entry["run"]
            elif what in _ENDS and running.get(pid) == entry["run"]:
                del running[pid]
        return count

    def restart_latencies(self) -> list[float]:
        """From each kill during an attempt to that run's next start, in seconds."""
        entries, found = self.entries(), []
        for when, pid in self.kills:
            started = {e["run"] for e in entries if e["pid"] == pid and e["what"] == "start"}
            for run in started:
                mine = [e for e in entries if e["run"] == run]
                if any(e["what"] == "done" and e["at"] <= when for e in mine):
                    continue
                again = [e["at"] for e in mine if e["what"] == "start" and e["at"] > when]
                if again:
                    found.append(min(again) - when)
        return found

    def missing(self) -> list[str]:
        """Slots between the first and the last that nobody completed."""
        done = self.done()
        slots: dict[str, set[datetime]] = {}
        for run in done:
            subject, _, slot = run.rpartition("@")
            slots.setdefault(subject, set()).add(datetime.fromisoformat(slot))
        lost = []
        for subject, found in slots.items():
            moment = min(found)
            while moment <= max(found):
                if moment not in found:
                    lost.append(f"{subject}@{moment.isoformat()}")
                moment += timedelta(minutes=1)
        return lost
