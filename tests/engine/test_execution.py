"""What a run leaves: its row, its prompt, its outcome, its entry, its schedule's fields."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.domain.run import ENDED, RunRecord, RunState
from sidecar.engine import run_folder
from sidecar.engine.durable_queue import DurableQueue
from sidecar.engine.execution import Execution
from sidecar.engine.run_json import from_dict
from sidecar.engine.runner import Runner
from sidecar.engine.sqlite_database import SqliteDatabase
from sidecar.services import escalation, failures, suspensions, timing_log
from tests.engine.agents import SCHEDULE, Bench, alive, repository, workspace

STOP = threading.Event()


@pytest.fixture
def bench(tmp_path: Path) -> Callable[..., Bench]:
    def made(**settings: Any) -> Bench:
        return Bench(workspace(tmp_path), tmp_path, **settings)

    return made


def carried(bench: Bench, request: dict[str, Any], tries: int = 1) -> dict[str, Any]:
    """A run from begin to finish, with so many attempts unless one succeeds."""
    begun = bench.execution.begin(request)
    outcomes = []
    for number in range(1, tries + 1):
        outcomes.append(bench.execution.attempt(request, begun, number, STOP))
        if outcomes[-1]["status"] == "succeeded":
            break
    return bench.execution.finish(request, begun, outcomes)


def test_a_run_leaves_a_closed_row_its_prompt_and_outcome_and_its_schedules_fields(bench):
    at = bench()
    at.tell(["write", "made.txt", "made\n"], ["say", "done"])
    request = at.request()
    begun = at.execution.begin(request)
    assert [row.is_open for row in at.rows()] == [True]
    outcome = at.execution.attempt(request, begun, 1, STOP)
    assert outcome["status"] == "succeeded", outcome
    at.now += timedelta(seconds=90)
    told = at.execution.finish(request, begun, [outcome])

    assert told["state"] == "succeeded"
    assert told["result"] == "done"
    [row] = at.rows()
    assert (row.values["result"], row.duration, row.values["priority"]) == (
        "completed",
        90,
        "schedule",
    )
    folder = at.root / ".sidecar" / "runs" / begun["task_id"]
    prompt = (folder / "attempt-1" / "prompt.md").read_text()
    assert "Do the next open item of the plan." in prompt
    kept = json.loads((folder / "attempt-1" / "outcome.json").read_text())
    assert [change[:2] for change in kept["changes"]] == [["made.txt", "A"]]
    assert (folder / "attempt-1" / "transcript.ndjson").exists()
    schedule = at.schedule()
    assert schedule["lastTaskId"] == begun["task_id"]
    assert schedule["lastExecutionTime"] == "2025-05-01T10:23:45.678Z"
    assert schedule["nextExecutionTime"] > schedule["lastExecutionTime"]


def test_a_successful_run_like_any_other_writes_nothing_into_the_memory(bench):
    at = bench()
    before = at.memory()
    carried(at, at.request())
    assert at.memory() == before


def test_the_third_failure_in_a_row_suspends_the_schedule_and_tells_it_once(bench):
    at = bench()
    at.tell(["say", "no such file"], ["exit", 3])
    request = at.request()
    told = carried(at, request, tries=3)
    assert told["state"] == "escalated"
    assert at.execution.finish(request, {}, []) == told
    held = suspensions.of(at.context, SCHEDULE)
    assert held is not None
    assert held.record == told["facts"]["escalation"]
    assert len(escalation.escalations(at.context)) == 1
    assert at.memory().count("ESCALATION") == 1
    assert at.rows()[0].values["result"] == "escalated"


def test_a_success_after_failures_resets_the_count_and_is_remembered(bench):
    at = bench()
    at.tell(["exit", 1])
    carried(at, at.request(run_id="run one"), tries=1)
    assert failures.of(at.context, f"schedule:{SCHEDULE}").count == 1
    at.tell(["say", "fine"])
    told = carried(at, at.request(run_id="run two"))
    assert told["state"] == "succeeded"
    assert failures.of(at.context, f"schedule:{SCHEDULE}").count == 0
    assert "works again after 1 failures" in at.memory()


def test_failures_of_several_runs_add_up_and_survive_a_restart(bench, tmp_path):
    at = bench()
    at.tell(["exit", 1])
    states = []
    for number in range(3):
        again = Bench(at.root, tmp_path)
        again.tell(["exit", 1])
        states.append(carried(again, again.request(run_id=f"run {number}"))["state"])
    assert states == ["failed", "failed", "escalated"]


def test_a_run_is_not_begun_without_its_row(bench, caplog):
    at = bench()
    log = at.root / "task_timing.tsv"
    log.unlink()
    log.mkdir()
    with pytest.raises(SidecarError):
        at.execution.begin(at.request())
    assert "is aborted" in caplog.text
    log.rmdir()
    assert timing_log.complete_pending(at.context) == []
    assert at.rows() == []


def test_a_row_that_cannot_be_closed_is_pending_and_closed_as_soon_as_it_can(bench, tmp_path):
    at = bench()
    request = at.request()
    begun = at.execution.begin(request)
    outcome = at.execution.attempt(request, begun, 1, STOP)
    log, aside = at.root / "task_timing.tsv", tmp_path / "aside"
    log.rename(aside)
    log.mkdir()
    told = at.execution.finish(request, begun, [outcome])
    assert told["facts"]["row"] == "finalization-pending"
    log.rmdir()
    aside.rename(log)
    assert timing_log.complete_pending(at.context) == [begun["task_id"]]
    assert [(row.is_open, row.values["result"]) for row in at.rows()] == [(False, "completed")]


def test_an_attempt_that_has_an_outcome_is_not_made_again(bench, tmp_path):
    at = bench()
    at.tell(["say", "first"])
    request = at.request()
    begun = at.execution.begin(request)
    first = at.execution.attempt(request, begun, 1, STOP)
    at.tell(["say", "second"])
    again = Bench(at.root, tmp_path)
    assert again.execution.attempt(request, begun, 1, STOP) == first
    assert first["text"] == "first"


def test_an_attempt_that_was_stopped_is_made_again_by_the_next_sidecar(bench):
    at = bench()
    at.tell(["sleep", 60])
    request = at.request()
    begun = at.execution.begin(request)
    stop = threading.Event()
    threading.Timer(0.5, stop.set).start()
    assert at.execution.attempt(request, begun, 1, stop)["status"] == "cancelled"
    at.tell(["say", "done"])
    assert at.execution.attempt(request, begun, 1, STOP)["status"] == "succeeded"


def test_an_attempt_is_really_ended_at_its_limit_and_the_row_says_so(bench, tmp_path):
    at = bench()
    left = tmp_path / "left.pid"
    at.tell(["escape", str(left)], ["sleep", 600])
    request = at.request(limit_seconds=1)
    told = carried(at, request)
    assert told["state"] == "timed-out"
    assert not alive(int(left.read_text()))
    assert at.rows()[0].values["result"] == "timed-out"
    transcript = at.root / ".sidecar/runs" / told["facts"]["task_id"] / "attempt-1"
    events = [json.loads(line) for line in (transcript / "transcript.ndjson").open()]
    assert [each["kind"] for each in events if each["kind"] == "warning"] == ["warning"]


def test_without_an_outcome_the_run_was_interrupted(bench):
    at = bench()
    request = at.request()
    begun = at.execution.begin(request)
    told = at.execution.finish(request, begun, [])
    assert told["state"] == "interrupted"
    assert at.rows()[0].values["result"] == "interrupted"
    assert "INTERRUPTED" in at.memory()


def test_a_runner_that_is_not_there_fails_the_attempt_in_a_sentence(bench):
    def missing(name: str) -> Runner:
        raise SidecarError(ErrorCode.NOT_FOUND, f"There is no runner `{name}`.")

    at = bench()
    at.execution.runner_for = missing
    told = carried(at, at.request())
    assert (told["state"], told["reason"]) == ("failed", "There is no runner `agent`.")


def test_of_runs_that_are_over_only_the_newest_folders_are_kept(bench):
    state = bench().context.workspace.state
    names = [f"run-{number:03}" for number in range(run_folder.KEPT + 5)]
    for name in [*names, "run-going-on"]:
        run_folder.RunFolder(state, name).write("prompt.md", "x")
    run_folder.forget_old(state, names)
    left = state.names(run_folder.FOLDER)
    assert len(left) == run_folder.KEPT
    assert {"run-going-on", names[-1], names[6]} <= set(left)


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege")
def test_an_agent_that_exchanges_our_folder_for_a_link_gains_and_breaks_nothing(bench, tmp_path):
    at = bench()
    outside = tmp_path / "outside"
    outside.mkdir()
    at.tell(
        ["rename", ".sidecar/runs", ".sidecar/elsewhere"],
        ["link", ".sidecar/runs", str(outside)],
        ["say", "done"],
    )
    told = carried(at, at.request())
    assert (told["state"], told["result"]) == ("succeeded", "done")
    assert list(outside.iterdir()) == []
    assert [row.values["result"] for row in at.rows()] == ["completed"]


HOOK = """\
import json, sys, time
from pathlib import Path
with Path(sys.argv[1]).open("a") as file:
    file.write(sys.stdin.read() + "\\n")
"""


def hooked(bench: Callable[..., Bench], tmp_path: Path) -> tuple[Bench, Path]:
    script, called = tmp_path / "hook.py", tmp_path / "called"
    script.write_text(HOOK)
    at = bench(on_escalation=(sys.executable, str(script), str(called)))
    at.tell(["exit", 1])
    return at, called


def test_the_users_command_is_called_once_with_the_record_of_an_escalation(bench, tmp_path):
    at, called = hooked(bench, tmp_path)
    told = carried(at, at.request(), tries=3)
    at.execution.finish(at.request(), {}, [])
    assert told["facts"]["hook"] == "exit 0"
    [line] = called.read_text().splitlines()
    assert json.loads(line)["record"]["id"] == told["facts"]["escalation"]


def test_without_trust_the_users_command_is_not_called(bench, tmp_path):
    at, called = hooked(bench, tmp_path)
    request = at.request()
    begun = at.execution.begin(request)
    outcomes = [at.execution.attempt(request, begun, n, STOP) for n in (1, 2, 3)]
    at.having(code_allowed=False)
    told = at.execution.finish(request, begun, outcomes)
    assert told["facts"]["hook"].startswith("not called")
    assert not called.exists()


def test_an_agent_that_says_nothing_is_ended_after_the_setting_s_time(bench):
    at = bench(idle_limit_seconds=1)
    at.tell(["say", "one word"], ["sleep", 600])
    request = at.request()
    outcome = at.execution.attempt(request, at.execution.begin(request), 1, STOP)
    assert (outcome["status"], outcome["text"]) == ("timed-out", "one word")
    assert "said nothing for 1 s" in outcome["reason"]


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="what left its group is found in /proc")
def test_what_a_killed_sidecar_left_running_is_ended_and_undone(bench, tmp_path):
    """The sidecar is a real process; its agent leaves the process group before it dies.

    What is written when the attempt's limit is long over cannot be the run's.
    """
    at = bench(rollback="on-failure")
    for name in ("notes.txt", "later.txt"):
        (at.root / name).write_text("as it was\n")
    repository(at.root)
    left = tmp_path / "left.pid"
    at.tell(["write", "notes.txt", "half"], ["escape", str(left)], ["sleep", 600])
    request = at.request()
    worker = os.fork()
    if worker == 0:
        begun = at.execution.begin(request)
        at.execution.attempt(request, begun, 1, STOP)
        os._exit(0)
    while not left.exists() or not left.read_text():
        time.sleep(0.01)
    os.kill(worker, signal.SIGKILL)
    os.waitpid(worker, 0)
    pid = int(left.read_text())
    assert alive(pid)
    (at.root / "later.txt").write_text("a person's, the next day\n")
    tomorrow = time.time() + 24 * 3600
    os.utime(at.root / "later.txt", (tomorrow, tomorrow))
    again = Bench(at.root, tmp_path, rollback="on-failure")
    again.execution.recover(request)
    assert not alive(pid)
    assert (at.root / "notes.txt").read_text() == "as it was\n"
    assert (at.root / "later.txt").read_text() == "a person's, the next day\n"


def test_runs_go_through_the_durable_engine_and_leave_no_row_open(bench, tmp_path):
    at = bench()
    queue = DurableQueue(
        SqliteDatabase(tmp_path / "engine.sqlite"), delay=lambda _: timedelta(milliseconds=10)
    )
    at.tell(["exit", 1])
    good, bad = (from_dict(at.request(run_id=name)) for name in ("good", "bad"))
    queue.enqueue(bad)
    queue.work(at.execution, workspace=at.id)
    assert ended(queue, bad.run_id).state is RunState.ESCALATED
    at.tell(["say", "fine"])
    queue.enqueue(good)
    record = ended(queue, good.run_id)
    assert (record.state, record.result, record.attempts) == (RunState.SUCCEEDED, "fine", 1)
    queue.close()
    assert [row.is_open for row in at.rows()] == [False, False]


def test_a_run_that_was_cancelled_before_it_said_that_it_began_has_its_row_closed(bench, tmp_path):
    at = bench()
    queue = DurableQueue(SqliteDatabase(tmp_path / "engine.sqlite"))
    request = at.request()
    queue.enqueue(from_dict(request))
    at.having(queue=queue)
    at.execution.begin(request)
    assert at.execution.sweep() == []
    queue.cancel(request["run_id"], "not wanted")
    assert at.execution.sweep() == [at.rows()[0].task_id]
    assert at.rows()[0].values["result"] == "cancelled"
    assert at.execution.sweep() == []
    queue.close()


class Unfinished(Execution):
    """Work whose last step breaks."""

    def finish(self, *_: Any) -> dict[str, Any]:
        raise RuntimeError


def test_a_failed_run_whose_last_step_broke_is_undone_and_told_by_the_next_sweep(bench, tmp_path):
    at = bench(rollback="on-failure")
    repository(at.root)
    before = (at.root / "TODO.md").read_text()
    queue = DurableQueue(
        SqliteDatabase(tmp_path / "engine.sqlite"), delay=lambda _: timedelta(milliseconds=10)
    )
    at.having(queue=queue)
    at.tell(["write", "TODO.md", "broken"], ["exit", 1])
    run = from_dict(at.request())
    queue.enqueue(run)
    queue.work(Unfinished(at.context, at.runner_for), workspace=at.id)
    assert "What finishes a run broke" in ended(queue, run.run_id).reason
    assert (at.root / "TODO.md").read_text() == "broken"
    assert [row.is_open for row in at.rows()] == [True]

    assert at.execution.sweep() == [at.rows()[0].task_id]

    assert (at.root / "TODO.md").read_text() == before
    assert [row.values["result"] for row in at.rows()] == ["escalated"]
    assert len(escalation.escalations(at.context)) == 1
    assert at.execution.sweep() == []
    queue.close()


def ended(queue: DurableQueue, run_id: str) -> RunRecord:
    """The record of a run once it is over."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        record = queue.get(run_id)
        if record is not None and record.state in ENDED:
            return record
        time.sleep(0.02)
    raise AssertionError(queue.get(run_id))
