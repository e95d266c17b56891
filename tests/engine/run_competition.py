"""Three processes compete for compressed minutes while one is killed every few seconds.

    python -m tests.engine.run_competition [--slots 300] [--database sqlite|postgres|both]

Prints slots run/expected, doubles, lost, overlaps and restart latency; on PostgreSQL the server is
stopped as by a power failure in the middle. Exit 1 where a slot was lost or ran twice.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

from tests.engine.competition import Competition
from tests.engine.postgres import Cluster, UnavailableError

PROCESSES = 3
SCHEDULES = 3
RUN_SECONDS = 0.4


def compete(competition: Competition, slots: int, server: Cluster | None) -> None:
    """Launch, kill and launch again until so many slots are done; then let everybody end."""
    for _ in range(PROCESSES):
        competition.launch()
    draw = random.Random(7)
    limit = time.monotonic() + slots / SCHEDULES * competition.minute + 120
    restart_at = slots // 2 if server else None
    while (done := len(competition.done())) < slots and time.monotonic() < limit:
        time.sleep(draw.uniform(2.0, 5.0))
        pid = competition.at_work()
        busy = [each for each in competition.processes if each.pid == pid]
        competition.kill(draw.choice(busy * 2 + competition.processes))
        competition.launch()
        if server and restart_at is not None and done >= restart_at:
            server.down()
            time.sleep(2)
            server.up()
            restart_at = None
    # What is under way is completed without further kills.
    time.sleep(10)
    competition.end()


def report(competition: Competition, name: str, seconds: float) -> bool:
    """Print the figures; whether every slot was completed exactly once."""
    done, missing = competition.done(), competition.missing()
    doubles = sum(count > 1 for count in done.values())
    expected = len(done) + len(missing)
    starts = sum(e["what"] == "start" for e in competition.entries())
    waited = sorted(competition.restart_latencies())
    latency = "none"
    if waited:
        tail = waited[min(len(waited) - 1, int(len(waited) * 0.99))]
        latency = f"p50 {statistics.median(waited):.2f} s, p99 {tail:.2f} s of {len(waited)}"
    print(
        f"{name}: {len(done)}/{expected} slots completed once, {doubles} doubles,"
        f" {len(missing)} lost, {competition.overlaps()} overlaps, {starts} attempts;"
        f" {len(competition.kills)} kills, restart {latency}; {seconds:.0f} s,"
        f" load {os.getloadavg()[0]:.1f}",
        flush=True,
    )
    return not doubles and not missing


def run(name: str, slots: int) -> bool:
    """One competition on a database; a database that cannot be had is skipped with the reason."""
    server: Cluster | None = None
    if name == "postgres":
        try:
            server = Cluster.start(install=True)
        except UnavailableError as error:
            print(f"postgres: skipped, because {error}")
            return True
    try:
        with tempfile.TemporaryDirectory() as folder:
            url = server.url if server else ""
            competition = Competition(
                Path(folder), seconds=RUN_SECONDS, schedules=SCHEDULES, url=url
            )
            began = time.monotonic()
            try:
                compete(competition, slots, server)
            finally:
                competition.end()
            return report(competition, name, time.monotonic() - began)
    finally:
        if server:
            server.remove()


def main() -> int:
    """Compete on each database in turn."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--slots", type=int, default=300)
    parser.add_argument("--database", choices=["sqlite", "postgres", "both"], default="both")
    given = parser.parse_args()
    names = ["sqlite", "postgres"] if given.database == "both" else [given.database]
    verdicts = [run(name, given.slots) for name in names]
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
