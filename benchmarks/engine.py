"""The waiting engine: how late a due slot starts, and what waiting costs.

    python -P benchmarks/engine.py [--slots 60] [--idle 30]

One real process with scheduler, queue and a schedule of every minute, a minute taking one second;
then the same with a schedule that is due in years. Shown, never judged.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.engine.competition import Competition
from tests.engine.postgres import Cluster, UnavailableError


def latency(folder: Path, url: str, slots: int) -> str:
    """From the instant of a slot to the start of its attempt, in real milliseconds."""
    competition = Competition(folder, minute=1.0, seconds=0.01, url=url)
    competition.launch()
    try:
        competition.wait_for(slots, slots * 3 + 60)
    finally:
        competition.end()
    waited = []
    for entry in competition.entries():
        if entry["what"] == "start":
            due = datetime.fromisoformat(entry["slot"]) - competition.origin
            waited.append(entry["at"] - competition.origin.timestamp() - due.total_seconds() / 60)
    # The first slots were missed while the process started.
    late = sorted(each * 1000 for each in waited[2:])
    p99 = late[min(len(late) - 1, int(len(late) * 0.99))]
    return f"start latency p50 {statistics.median(late):.0f} ms, p99 {p99:.0f} ms of {len(late)}"


def idle(folder: Path, url: str, seconds: float) -> str:
    """CPU and memory of a process that waits for a slot that is years away."""
    # A minute that takes years: nothing becomes due while we look.
    competition = Competition(folder, minute=timedelta(days=1000).total_seconds(), url=url)
    process = competition.launch()
    try:
        time.sleep(5)
        before = _ticks(process.pid)
        time.sleep(seconds)
        share = (_ticks(process.pid) - before) / os.sysconf("SC_CLK_TCK") / seconds
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
        kilobytes = next(line.split()[1] for line in status.splitlines() if "VmRSS" in line)
    finally:
        competition.end()
    return f"idle CPU {share * 100:.2f} %, RSS {int(kilobytes) / 1024:.0f} MB, over {seconds:g} s"


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def main() -> None:
    """Measure on SQLite, and on PostgreSQL where it can be had."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--slots", type=int, default=60)
    parser.add_argument("--idle", type=float, default=30.0)
    given = parser.parse_args()
    servers: list[tuple[str, Cluster | None]] = [("sqlite", None)]
    try:
        servers.append(("postgres", Cluster.start()))
    except UnavailableError as error:
        print(f"postgres: skipped, because {error}")
    for name, server in servers:
        url = server.url if server else ""
        with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
            print(f"{name}: {latency(Path(one), url, given.slots)}", flush=True)
            print(f"{name}: {idle(Path(other), url, given.idle)}", flush=True)
        if server:
            server.remove()
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
