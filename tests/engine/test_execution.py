"""What a run leaves: its row, its prompt, its outcome, its entry, its schedule's fields."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sidecar.services import escalation, suspensions
from tests.engine.agents import SCHEDULE, Bench, workspace

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
