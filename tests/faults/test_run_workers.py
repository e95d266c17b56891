"""Sidecar processes compete for runs and are killed at random: each run leaves each trace once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sidecar.domain.run import ENDED, RunState, run_name
from sidecar.engine.durable_queue import DurableQueue
from sidecar.engine.run_json import from_dict
from sidecar.engine.runners.process import members, of_run
from sidecar.engine.sqlite_database import SqliteDatabase
from tests.engine.agents import Bench, repository, workspace

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX"),
]
REPOSITORY = Path(__file__).resolve().parents[2]
RUNS = int(os.environ.get("SIDECAR_RUNS", "3"))
WORKERS = 2
KILLS = 2 * RUNS
PATIENCE = 560


class Workers:
    """Processes at work; one that is killed is followed by another."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.kills = 0
        self._command = [sys.executable, "-m", "tests.faults.run_worker", str(root), str(folder)]
        self._processes = [self._start() for _ in range(WORKERS)]

    def _start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(self._command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)

    def kill_one(self, which: int) -> None:
        """End one in the midst of what it does, once it has begun to work."""
        victim = self._processes[which]
        assert victim.stdout is not None
        assert victim.stdout.readline() == "at work\n"
        time.sleep(random.uniform(0, 1.5))
        victim.send_signal(signal.SIGKILL)
        victim.communicate()
        self.kills += 1
        self._processes[which] = self._start()

    def end(self) -> None:
        """End all of them."""
        for process in self._processes:
            process.kill()
            process.communicate()


@contextmanager
def workers(root: Path, folder: Path) -> Iterator[Workers]:
    """Processes that work for as long as the block lasts."""
    made = Workers(root, folder)
    try:
        yield made
    finally:
        made.end()


def test_competing_sidecars_that_are_killed_at_random_leave_no_row_open_and_none_twice(
    tmp_path: Path, figure: Callable[[str], None]
) -> None:
    """Each agent notes that it was at work; a killed sidecar's run is begun again by another."""
    at = Bench(repository(workspace(tmp_path)), tmp_path)
    noted = tmp_path / "noted"
    at.tell(["sleep", 0.3], ["note", str(noted)], ["say", "done"])
    queue = DurableQueue(SqliteDatabase(tmp_path / "engine.sqlite"))
    runs = [from_dict(at.request(run_id=f"slot {number}")) for number in range(RUNS)]
    for each in runs:
        queue.enqueue(each)
    began = time.monotonic()
    with workers(at.root, tmp_path) as processes:
        while not all(_state(queue, each.run_id) in ENDED for each in runs):
            assert time.monotonic() - began < PATIENCE, queue.runs(workspace=at.id)
            if processes.kills < KILLS:
                processes.kill_one(processes.kills % WORKERS)
            else:
                time.sleep(0.1)
    states = Counter(str(_state(queue, each.run_id)) for each in runs)
    queue.close()
    rows = Counter(row.task_id for row in at.rows())
    still_open = [row.task_id for row in at.rows() if row.is_open]
    left = [each.run_id for each in runs if members(of_run(each.run_id))]
    figure(
        f"{WORKERS} sidecars, {processes.kills} kills: runs ended {sum(states.values())}/{RUNS}"
        f" ({dict(states)}), rows {sum(rows.values())}/{RUNS}, left open {len(still_open)},"
        f" agents started {len(noted.read_text().splitlines())}, left running {len(left)}"
    )
    assert states == {str(RunState.SUCCEEDED): RUNS}
    assert rows == {run_name(each.run_id): 1 for each in runs}
    assert (still_open, left) == ([], [])


def _state(queue: DurableQueue, run_id: str) -> RunState:
    record = queue.get(run_id)
    assert record is not None
    return record.state
