"""A fleet on one machine: worker processes share the runs of many workspaces.

    python -m tests.engine.run_fleet [--workers 4] [--rounds 40] [--database sqlite|postgres]

Each round asks for one run in each workspace at once, as schedules of the same minute do. Prints,
for 5 and for 50 workspaces: runs done once, start latency p50/p99, how equally the workspaces were
served (Jain's index of their mean latency: 1 is equal), CPU and memory of the workers.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sidecar.domain.run import Origin, RunRequest, RunState
from sidecar.engine.durable_queue import DurableQueue
from tests.engine.databases import open_database
from tests.engine.postgres import Cluster, UnavailableError

REPOSITORY = Path(__file__).resolve().parents[2]
RUN_SECONDS = 0.05


class NotingWork:
    """Work of a moment, noted in a file of this process."""

    def __init__(self, file: Path) -> None:
        self.file = file.open("a", encoding="utf-8")

    def begin(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"asked": request["extra"]["at"]}

    def attempt(
        self, request: dict[str, Any], begun: dict[str, Any], number: int, stop: threading.Event
    ) -> dict[str, Any]:
        waited = time.time() - begun["asked"]
        entry = {"run": request["run_id"], "in": request["workspace"], "waited": waited}
        self.file.write(json.dumps(entry | {"number": number}) + "\n")
        self.file.flush()
        stop.wait(RUN_SECONDS)
        return {"status": "succeeded", "reason": "done"}

    def finish(
        self, request: dict[str, Any], begun: dict[str, Any], outcomes: list[dict[str, Any]]
    ) -> dict[str, Any]:
        return {"facts": {"attempts": len(outcomes), "asked": begun["asked"], **request["extra"]}}

    def recover(self, request: dict[str, Any]) -> None:
        self.file.write(json.dumps({"run": request["run_id"], "recovered": True}) + "\n")


def worker(folder: Path, url: str) -> None:
    """One worker process: works on every workspace until it is told to end."""
    queue = DurableQueue(open_database(folder / "state", url), concurrent_runs=2)
    queue.work(NotingWork(folder / f"worker-{os.getpid()}.jsonl"))
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    ended.wait()
    queue.close()
    used = resource.getrusage(resource.RUSAGE_SELF)
    told = {"cpu": used.ru_utime + used.ru_stime, "rss_mb": used.ru_maxrss / 1024}
    (folder / f"used-{os.getpid()}.json").write_text(json.dumps(told), encoding="utf-8")


@dataclass
class Fleet:
    """Workers and the workspaces whose runs they share."""

    folder: Path
    url: str
    workers: int
    workspaces: int
    rounds: int
    period: float
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def run(self) -> float:
        """Ask, wait until all is done, end the workers; how long it took, in seconds."""
        queue = DurableQueue(open_database(self.folder / "state", self.url))
        command = [sys.executable, "-P", "-m", "tests.engine.run_fleet", "--worker"]
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        for _ in range(self.workers):
            arguments = [*command, str(self.folder), "--url", self.url]
            self.processes.append(subprocess.Popen(arguments, cwd=REPOSITORY, env=environment))
        time.sleep(2)
        began = time.monotonic()
        for number in range(self.rounds):
            self._ask(queue, number)
            time.sleep(max(0.0, began + (number + 1) * self.period - time.monotonic()))
        self._wait(queue)
        seconds = time.monotonic() - began
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            process.wait(30)
        queue.close()
        return seconds

    def _ask(self, queue: DurableQueue, number: int) -> None:
        for each in range(self.workspaces):
            name = f"w{each:02}"
            extra = {"at": time.time()}
            queue.enqueue(
                RunRequest(f"{name}:{number}", name, Origin.SCHEDULE, "s", "A run", "", extra=extra)
            )

    def _wait(self, queue: DurableQueue) -> None:
        open_states = {RunState.QUEUED, RunState.RUNNING}
        end = time.monotonic() + 300
        names = [f"w{each:02}" for each in range(self.workspaces)]
        while any(queue.runs(workspace=n, states=open_states, limit=1) for n in names):
            if time.monotonic() > end:
                message = "not all runs ended within 300 s"
                raise TimeoutError(message)
            time.sleep(0.1)

    def report(self, seconds: float) -> bool:
        """Print the figures; whether every run was worked on once."""
        lines = [
            json.loads(line)
            for file in self.folder.glob("worker-*.jsonl")
            for line in file.read_text(encoding="utf-8").splitlines()
        ]
        counts = Counter(line["run"] for line in lines)
        waited = sorted(line["waited"] * 1000 for line in lines)
        used = [json.loads(f.read_text()) for f in self.folder.glob("used-*.json")]
        cpu = sum(each["cpu"] for each in used)
        expected = self.workspaces * self.rounds
        p99 = waited[min(len(waited) - 1, int(len(waited) * 0.99))]
        print(
            f"{self.workspaces} workspaces, {self.workers} workers: {len(counts)}/{expected} runs,"
            f" {sum(n > 1 for n in counts.values())} more than once; start latency p50"
            f" {statistics.median(waited):.0f} ms, p99 {p99:.0f} ms; fairness"
            f" {_fairness(lines):.3f}; CPU {cpu:.1f} s ({cpu / len(counts) * 1000:.1f} ms a run,"
            f" {cpu / seconds / self.workers * 100:.1f} % a worker), RSS"
            f" {max(each['rss_mb'] for each in used):.0f} MB at most; {seconds:.0f} s,"
            f" load {os.getloadavg()[0]:.1f}",
            flush=True,
        )
        return len(counts) == expected and set(counts.values()) == {1}


def _fairness(lines: list[dict[str, Any]]) -> float:
    """Jain's index of the workspaces' mean latency."""
    of: dict[str, list[float]] = {}
    for line in lines:
        of.setdefault(line["in"], []).append(line["waited"])
    means = [statistics.mean(each) for each in of.values()]
    return sum(means) ** 2 / (len(means) * sum(each * each for each in means))


def main() -> int:
    """Run the fleet with few and with many workspaces, or be one of its workers."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--period", type=float, default=2.0)
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--worker", type=Path)
    parser.add_argument("--url", default="")
    given = parser.parse_args()
    if given.worker:
        worker(given.worker, given.url)
        return 0
    server = None
    if given.database == "postgres":
        try:
            server = Cluster.start(install=True)
        except UnavailableError as error:
            print(f"postgres: skipped, because {error}")
            return 0
    try:
        verdicts = []
        for workspaces in (5, 50):
            if server:
                server.sql("DROP SCHEMA IF EXISTS sidecar CASCADE")
            with tempfile.TemporaryDirectory() as folder:
                url = server.url if server else ""
                fleet = Fleet(
                    Path(folder), url, given.workers, workspaces, given.rounds, given.period
                )
                verdicts.append(fleet.report(fleet.run()))
        return 0 if all(verdicts) else 1
    finally:
        if server:
            server.remove()


if __name__ == "__main__":
    sys.exit(main())
