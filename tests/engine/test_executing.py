"""The engine put together, in this process: who executes, under which settings."""

from __future__ import annotations

import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sidecar.app import queueing
from sidecar.domain.run import ENDED, RunRecord, RunState
from sidecar.engine.executing import executed, executing
from sidecar.host.workspace import open_workspace
from sidecar.services import trust
from sidecar.services.context import Context
from sidecar.services.run_requests import enqueue_schedule, queue_of
from sidecar.services.schedule_plan import read
from sidecar.services.status import SystemStatusRequest, get_system_status
from tests.engine.real_sidecar import Place, until


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A place whose one schedule is not due for an hour, and whose user is this process's."""
    made = Place.make(tmp_path)
    made.schedule(unit="hour", due_in=3000)
    monkeypatch.setenv("SIDECAR_HOME", str(made.home))
    return made


def approve(place: Place) -> None:
    """What `sidecar trust --schedules` does."""
    context = open_workspace(place.root)
    trust.grant(context, trust.offer(context, read(context)[0].schedules))


def ran(context: Context) -> RunRecord:
    """One run of the schedule, to its end, as a new session asks for it."""
    asking = replace(open_workspace(context.workspace.root), queue=context.queue)
    asked = enqueue_schedule(asking, read(asking)[0].schedules[0])[0]

    found: RunRecord = until(lambda: ended(context, asked))
    return found


def ended(context: Context, asked: RunRecord) -> RunRecord | None:
    """The run once it has ended."""
    record = queue_of(context).get(asked.run_id)
    return record if record and record.state in ENDED else None


def test_settings_that_change_while_a_sidecar_executes_count_from_the_next_run(place: Place):
    approve(place)
    config = place.home / "config" / "config.toml"
    with executing(open_workspace(place.root)) as context:
        first = ran(context)
        config.write_text(f'allowed_calls = ["read"]\n{config.read_text("utf-8")}', "utf-8")
        asked = enqueue_schedule(context, read(context)[0].schedules[0])[0]
        refused = until(lambda: ended(context, asked))
        approve(place)
        again = ran(context)

    assert (first.state, again.state) == (RunState.SUCCEEDED, RunState.SUCCEEDED)
    assert refused.state is RunState.FAILED
    assert "changed since it was trusted" in refused.reason
    assert [run for run, _ in place.starts] == [first.run_id, again.run_id]


@pytest.mark.parametrize(
    ("execute", "explicit", "works"),
    [
        ("off", True, False),
        ("serve", True, True),
        ("serve", False, False),
        ("always", False, True),
    ],
)
def test_who_executes_is_the_users_to_say(
    place: Place, execute: str, explicit: bool, works: bool
) -> None:
    config = place.home / "config" / "config.toml"
    config.write_text(f'execute = "{execute}"\n{config.read_text("utf-8")}', "utf-8")
    context = open_workspace(place.root)

    with executed(context, explicit=explicit) as own:
        assert (own.queue is not None) is works


def test_the_status_tells_who_executes_and_when_the_next_slot_is(place: Place):
    def told() -> dict[str, Any]:
        asking = queueing(open_workspace(place.root))
        found = get_system_status(asking, SystemStatusRequest()).orchestrator
        assert found is not None
        return found

    assert told()["executor"] == "none"
    began = datetime.now(UTC) - timedelta(seconds=1)
    with executed(open_workspace(place.root), explicit=True) as context:
        ours = until(lambda: executor if (executor := told()["executor"]) != "none" else None)
        following = told()["schedules"]["next"]

    assert (ours["kind"], ours["host"]) == ("serve", socket.gethostname())
    assert ours["process"] == context.queue.name
    assert began < datetime.fromisoformat(ours["since"]) < datetime.now(UTC)
    slot = datetime.fromisoformat(place.told()["createdAt"]) + timedelta(hours=1)
    assert datetime.fromisoformat(following) == slot
    assert told()["executor"] == "none"


def test_overdue_schedules_that_nobody_executes_are_told_so(place: Place):
    place.schedule(unit="minute", due_in=-30)
    asking = queueing(open_workspace(place.root))

    reasons = get_system_status(asking, SystemStatusRequest()).reasons

    assert "1 schedules are overdue: 1. Nobody executes them: `sidecar serve` does." in reasons


def test_only_one_of_two_executes_and_the_other_takes_over(place: Place):
    approve(place)
    context = open_workspace(place.root)
    with executed(context, explicit=True) as second:
        with executed(context, explicit=True) as first:
            assert ran(first).state is RunState.SUCCEEDED
        taken_over = ran(second)

    assert taken_over.state is RunState.SUCCEEDED
