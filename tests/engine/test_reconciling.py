"""What a process that died has left undone is closed when the next one begins to execute."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sidecar.domain.run import RunRecord, RunState
from sidecar.engine.executing import executed
from sidecar.host.workspace import open_workspace
from sidecar.services.run_requests import queue_of
from tests.engine.real_sidecar import Place, until

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="workers are killed by it")
# A process that dies in the step that begins a run, once the run's row is durable.
WORKER = """
import os, signal, sys, time
from dataclasses import replace
from pathlib import Path
from sidecar.engine.execution import Execution
from sidecar.engine.late_queue import opened
from sidecar.host.workspace import open_workspace
from sidecar.services.run_requests import enqueue_schedule, workspace_id
from sidecar.services.schedule_plan import read

class Broken(Execution):
    def begin(self, request):
        super().begin(request)
        if sys.argv[2] == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        raise RuntimeError("a mistake of our own")

context = open_workspace(Path(sys.argv[1]), code_allowed=True)
context = replace(context, queue=opened(context))
run = enqueue_schedule(context, read(context)[0].schedules[0])[0]
print(run.run_id, flush=True)
context.queue.work(Broken(context, None), workspace=workspace_id(context))
while not context.queue.get(run.run_id).ended:
    time.sleep(0.05)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A place whose one schedule is not due for an hour: no run will come to clear up."""
    made = Place.make(tmp_path)
    made.schedule(unit="hour", due_in=3000)
    monkeypatch.setenv("SIDECAR_HOME", str(made.home))
    return made


def left_by(place: Place, how: str) -> str:
    """The run that a process has begun before it was killed."""
    command = [sys.executable, "-c", WORKER, str(place.root), how]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert [row["result"] for row in place.rows()] == ["started"]
    return done.stdout.strip()


def test_a_run_that_broke_before_its_process_died_is_closed_by_the_next_leader(place: Place):
    run_id = left_by(place, "breaks")

    with executed(open_workspace(place.root), explicit=True):
        rows = until(lambda: closed(place))

    assert [row["result"] for row in rows] == ["failed"]
    assert [(run.run_id, run.state) for run in place.runs()] == [(run_id, RunState.FAILED)]


def test_a_run_cancelled_after_its_process_died_is_closed_by_the_next_leader(place: Place):
    run_id = left_by(place, "dies")

    with executed(open_workspace(place.root), explicit=True) as context:
        queue_of(context).cancel(run_id, "not wanted")
        rows = until(lambda: closed(place))
        record: RunRecord = until(lambda: cancelled(place))

    assert [row["result"] for row in rows] == ["cancelled"]
    assert (record.run_id, record.reason) == (run_id, "not wanted")
    assert place.starts == []


def closed(place: Place) -> list[dict[str, str]]:
    """The rows once none is open."""
    rows = place.rows()
    return rows if all(row["end_time"] for row in rows) else []


def cancelled(place: Place) -> RunRecord | None:
    """The one run once it is over."""
    (run,) = place.runs()
    return run if run.state is RunState.CANCELLED else None
