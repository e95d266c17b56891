"""The engine put together, in this process: who executes, under which settings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.domain.run import ENDED, RunRecord, RunState
from sidecar.engine.executing import executed, executing
from sidecar.host.workspace import open_workspace
from sidecar.services import trust
from sidecar.services.context import Context
from sidecar.services.run_requests import enqueue_schedule, queue_of
from sidecar.services.schedule_plan import read
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


def test_only_one_of_two_executes_and_the_other_takes_over(place: Place):
    approve(place)
    context = open_workspace(place.root)
    with executed(context, explicit=True) as second:
        with executed(context, explicit=True) as first:
            assert ran(first).state is RunState.SUCCEEDED
        taken_over = ran(second)

    assert taken_over.state is RunState.SUCCEEDED
