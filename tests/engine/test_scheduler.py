"""The scheduler of a workspace, pass by pass."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.domain.run import Origin, RunRequest, RunState
from sidecar.engine.activity import changed_since
from sidecar.engine.due import Manners
from sidecar.engine.memory_queue import MemoryQueue
from sidecar.engine.schedule_source import Entry, WorkspaceSource
from sidecar.engine.scheduler import Scheduler
from sidecar.services.context import Context
from sidecar.settings import Settings
from sidecar.workspace.workspace import Workspace
from tests.engine.simulation import CountingWork, MemorySource, Simulation, entry, queued

MINUTE = timedelta(minutes=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2025-05-{text}").replace(tzinfo=UTC)


HOURLY = {"timeUnit": "hour", "startDate": "2025-05-01"}


def hourly(*, manners: Manners | None = None, **source: object) -> Simulation:
    entries = [entry("s", manners=manners or Manners(), **HOURLY)]
    return Simulation(MemorySource(entries, **source), at("01T00:00"))  # type: ignore[arg-type]


def states(simulation: Simulation) -> list[str]:
    return [state for _, state in queued(simulation.queue, "w", "s")]


def test_a_due_slot_is_queued_once_however_often_one_looks() -> None:
    simulation = hourly()

    for _ in range(3):
        assert simulation.look() == at("01T01:00")
        simulation.restart()

    assert queued(simulation.queue, "w", "s") == [(at("01T00:00"), "succeeded")]


def test_another_process_goes_on_after_the_newest_slot_in_the_queue() -> None:
    simulation = hourly()
    simulation.run(at("01T03:00"))
    simulation.restart()
    simulation.now = at("01T05:30")
    simulation.look()

    assert queued(simulation.queue, "w", "s")[-2:] == [
        (at("01T04:00"), "skipped"),
        (at("01T05:00"), "succeeded"),
    ]
    assert simulation.source.skips == [("s", at("01T04:00"))]


def test_a_clock_that_is_set_back_repeats_nothing() -> None:
    simulation = hourly()
    simulation.run(at("01T03:00"))
    simulation.now = at("01T00:30")
    simulation.run(at("01T03:30"))

    assert set(simulation.work.worked.values()) == {1}
    assert len(simulation.work.worked) == 4


def test_a_clock_that_was_years_ahead_does_not_silence_a_schedule() -> None:
    simulation = hourly()
    simulation.now = at("01T00:00") + timedelta(days=3000)
    simulation.look()
    for restarted in (False, True):
        if restarted:
            simulation.restart()
        simulation.now = at("01T05:30") + restarted * timedelta(hours=2)
        assert simulation.look() == at("01T06:00") + restarted * timedelta(hours=2)


class WatchedWork(CountingWork):
    """While it is at work, another process looks at the same schedules."""

    other: Scheduler

    def attempt(
        self, request: dict[str, Any], begun: dict[str, Any], number: int, stop: threading.Event
    ) -> dict[str, Any]:
        self.other.look(at("01T00:00"))
        return super().attempt(request, begun, number, stop)


def test_interrupt_never_cancels_the_slot_s_own_run() -> None:
    """Two processes decide about the same slot; the second finds the first one's run at work."""
    simulation = hourly(manners=Manners("interrupt"))
    simulation.work = WatchedWork()
    simulation.work.other = Scheduler(simulation.source, simulation.queue)
    before = at("01T00:00") - MINUTE
    for each in (simulation.scheduler, simulation.work.other):
        assert each.look(before) == at("01T00:00")

    simulation.look()

    assert states(simulation) == ["succeeded"]


def test_a_schedule_that_cannot_run_stops_no_other() -> None:
    broken = entry("broken", timeUnit="fortnight")
    off = entry("off", active=False, **HOURLY)
    source = MemorySource([broken, off, entry("s", **HOURLY)])
    simulation = Simulation(source, at("01T00:00"))

    simulation.look()

    assert states(simulation) == ["succeeded"]
    assert queued(simulation.queue, "w", "broken") == queued(simulation.queue, "w", "off") == []


class Stubborn(MemorySource):
    """Refuses to make the run of one schedule, and to be read at all when told so."""

    unreadable = False

    def request(self, entry: Entry, slot: datetime) -> tuple[RunRequest, str | None]:
        if entry.id == "stubborn":
            raise SidecarError(ErrorCode.IO, "The disk is full.")
        return super().request(entry, slot)

    def load(self, now: datetime) -> list[Entry]:
        if self.unreadable:
            raise SidecarError(ErrorCode.CORRUPT, "This is no JSON.")
        return super().load(now)


def test_what_stops_one_schedule_stops_no_other_and_is_tried_again() -> None:
    source = Stubborn([entry("stubborn", **HOURLY), entry("s", **HOURLY)])
    simulation = Simulation(source, at("01T00:00"))

    assert simulation.look() == at("01T00:00") + timedelta(seconds=5)

    assert states(simulation) == ["succeeded"]


def test_a_file_in_the_middle_of_an_edit_leaves_the_schedules_as_they_were() -> None:
    source = Stubborn([entry("s", **HOURLY)])
    simulation = Simulation(source, at("01T00:00"))
    simulation.look()
    source.unreadable, source.changes = True, 1

    simulation.now = at("01T01:00")
    assert simulation.look() == at("01T02:00")

    assert states(simulation) == ["succeeded", "succeeded"]


def test_a_changed_interval_counts_from_the_last_slot_on() -> None:
    simulation = hourly()
    simulation.run(at("01T03:00"))
    fields = HOURLY | {"timeInterval": "20", "timeUnit": "minute"}
    simulation.source.entries = [entry("s", **fields)]
    simulation.source.changes += 1
    simulation.now = at("01T03:10")

    assert simulation.look() == at("01T03:20")
    assert len(simulation.work.worked) == 4


def test_bookkeeping_in_the_file_does_not_move_the_phase() -> None:
    """Without a start, slots go on being counted from the first run's anchor."""
    source = MemorySource([entry("s", timeUnit="hour", lastExecutionTime="2025-05-01T00:00:00Z")])
    simulation = Simulation(source, at("01T00:00"))
    simulation.run(at("01T03:00"))
    moved = entry("s", timeUnit="hour", lastExecutionTime="2025-05-01T03:00:07.500Z")
    source.entries = [replace(moved, timing=source.entries[0].timing)]
    source.changes += 1
    assert simulation.look() == at("01T04:00")

    simulation.restart()

    assert simulation.look() == at("01T04:00")
    assert source.phases == {"s": at("01T00:00")}


def test_a_schedule_that_is_held_back_does_not_run_and_goes_on_when_let() -> None:
    simulation = hourly(suspended={"s"})
    simulation.run(at("01T03:00"))
    assert states(simulation) == []

    simulation.source.suspended.clear()
    simulation.now = at("01T04:00")
    simulation.look()

    assert queued(simulation.queue, "w", "s") == [(at("01T04:00"), "succeeded")]


def test_another_scheduler_s_run_holds_the_schedule_back() -> None:
    simulation = hourly()
    simulation.run(at("01T01:00"))
    known = simulation.source.entries[0]
    simulation.source.entries = [replace(known, noted=at("01T01:00:01"))]
    simulation.source.changes += 1
    simulation.look()
    assert simulation.source.suspended == set()

    simulation.source.entries = [replace(known, noted=at("01T01:41"))]
    simulation.source.changes += 1
    simulation.run(at("01T03:00"))

    assert simulation.source.suspended == {"s"}
    assert len(simulation.work.worked) == 2


def test_what_our_bookkeeping_wrote_is_no_other_scheduler() -> None:
    simulation = hourly()
    simulation.run(at("01T01:00"))
    simulation.source.written["s"] = at("01T01:41")
    known = simulation.source.entries[0]
    simulation.source.entries = [replace(known, noted=at("01T01:41"))]
    simulation.source.changes += 1
    simulation.look()

    assert simulation.source.suspended == set()


def test_wait_waits_until_the_agent_has_been_idle_and_then_runs() -> None:
    simulation = hourly(manners=Manners("wait", 3 * MINUTE))
    simulation.source.seen_agent = at("01T00:00")
    assert simulation.look() == at("01T00:03")
    assert states(simulation) == ["waiting"]

    simulation.now = at("01T00:02")
    simulation.source.seen_agent = at("01T00:01")
    assert simulation.look() == at("01T00:04")
    simulation.now = at("01T00:04")
    simulation.look()

    assert states(simulation) == ["succeeded"]


def test_a_run_that_waits_for_a_schedule_that_is_gone_is_skipped() -> None:
    simulation = hourly()
    simulation.source.seen_agent = at("01T00:00")
    simulation.look()
    simulation.source.entries = []
    simulation.source.changes += 1
    simulation.look()

    assert states(simulation) == ["skipped"]


def test_interrupt_cancels_the_run_at_work_before_its_own() -> None:
    simulation = hourly(manners=Manners("interrupt"))
    other = RunRequest("other", "w", Origin.TASK, "t", "A task", "")
    simulation.queue.enqueue(other, state=RunState.RUNNING)

    simulation.look()

    cancelled = simulation.queue.get("other")
    assert cancelled is not None
    assert (cancelled.state, cancelled.reason) == (
        RunState.CANCELLED, "Interrupted, because `s` was due.",
    )  # fmt: skip
    assert states(simulation) == ["succeeded"]


def test_skip_records_the_slot_and_takes_the_next() -> None:
    simulation = hourly(manners=Manners("skip"))
    other = RunRequest("other", "w", Origin.TASK, "t", "A task", "")
    simulation.queue.enqueue(other, state=RunState.RUNNING)
    simulation.look()
    simulation.queue.cancel("other", "done")
    simulation.run(at("01T01:00"))

    assert states(simulation) == ["skipped", "succeeded"]


def test_without_consent_a_slot_waits_until_a_person_agrees() -> None:
    simulation = hourly(refusal="nobody has approved this schedule yet")
    simulation.look()
    (record,) = simulation.queue.runs(workspace="w")
    assert record.state is RunState.NEEDS_CONSENT
    assert "nobody has approved" in record.reason

    simulation.source.refusal = None
    simulation.look()

    assert states(simulation) == ["succeeded"]


def test_required_activity_skips_when_nothing_happened() -> None:
    simulation = hourly(manners=Manners(require_activity=True))
    simulation.source.quiet = "nothing changed"
    simulation.run(at("01T01:00"))

    assert states(simulation) == ["succeeded", "skipped"]


def test_somebody_else_s_run_is_activity_unless_it_asked_for_activity_itself() -> None:
    asks = Manners(require_activity=True)
    entries = [entry(name, manners=asks, **HOURLY) for name in ("s", "t")]
    simulation = Simulation(MemorySource(entries, quiet="nothing changed"), at("01T00:00"))
    simulation.run(at("01T01:00"))
    assert states(simulation) == ["succeeded", "skipped"]

    simulation.now = at("01T01:30")
    simulation.queue.enqueue(RunRequest("x", "w", Origin.PERSON, "x", "By hand", ""))
    simulation.run(at("01T02:00"))

    assert states(simulation) == ["succeeded", "skipped", "succeeded"]


# --- a real workspace --------------------------------------------------------------------------


def workspace(folder: Path, **fields: object) -> Workspace:
    each = {
        "id": "a", "name": "Hourly", "mode": "code", "taskInstructions": "Go.",
        "scheduleType": "time", "timeInterval": "1", "timeUnit": "hour", "startDate": "2025-05-01",
    }  # fmt: skip
    path = folder / ".roo" / "schedules.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"schedules": [{"id": 5}, each | fields]}), encoding="utf-8")
    return Workspace.open(folder)


def real(opened: Workspace, now: list[datetime], **options: object) -> tuple[Scheduler, Context]:
    settings = Settings(timezone="UTC", runner="agent", schedule_limit_seconds=77)
    context = Context(opened, settings, lambda: now[0], **options)  # type: ignore[arg-type]
    queue = MemoryQueue(lambda: now[0])
    context = replace(context, queue=queue)
    return Scheduler(WorkspaceSource(context), queue), context


def test_a_real_schedule_becomes_a_complete_request(tmp_path: Path) -> None:
    now = [at("01T00:00:30")]
    scheduler, context = real(workspace(tmp_path), now, code_allowed=True)

    assert scheduler.look(now[0]) == at("01T01:00")

    queue = context.queue
    assert queue is not None
    (record,) = queue.runs(workspace=context.workspace.user.workspace_id(tmp_path))
    request = record.request
    assert (request.subject, request.label, request.mode) == ("a", "Hourly", "code")
    assert (request.instructions, request.runner, request.limit_seconds) == ("Go.", "agent", 77)
    assert request.slot == at("01T00:00")
    assert request.run_id.endswith(":a@2025-05-01T00:00:00.000Z")
    assert record.state is RunState.QUEUED


@pytest.mark.parametrize("typed", ["{", '"instructions of nobody"'])
def test_what_is_typed_but_not_saved_is_not_executed(tmp_path: Path, typed: str) -> None:
    opened = workspace(tmp_path)
    saved = (tmp_path / ".roo" / "schedules.json").read_text(encoding="utf-8")
    text = typed if typed == "{" else saved.replace('"Go."', typed)
    opened.overlays.put(".roo/schedules.json", text, 2)
    now = [at("01T00:00:30")]
    scheduler, context = real(opened, now, code_allowed=True)

    assert scheduler.look(now[0]) == at("01T01:00")

    assert context.queue is not None
    (record,) = context.queue.runs(workspace=opened.user.workspace_id(tmp_path))
    assert record.request.instructions == "Go."


def test_a_schedule_that_nobody_approved_needs_consent(tmp_path: Path) -> None:
    now = [at("01T00:00:30")]
    scheduler, context = real(workspace(tmp_path), now)
    scheduler.look(now[0])

    queue = context.queue
    assert queue is not None
    (record,) = queue.runs(workspace=context.workspace.user.workspace_id(tmp_path))
    assert record.state is RunState.NEEDS_CONSENT


def test_a_file_that_comes_changes_and_goes_is_followed(tmp_path: Path) -> None:
    now = [at("01T00:00:30")]
    opened = workspace(tmp_path, active=False)
    path = tmp_path / ".roo" / "schedules.json"
    scheduler, _ = real(opened, now, code_allowed=True)
    assert scheduler.look(now[0]) is None

    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('"active": false', '"active": true'), encoding="utf-8")
    assert scheduler.look(now[0]) == at("01T01:00")

    path.unlink()
    assert scheduler.look(now[0]) is None


def test_a_skipped_slot_is_noted_in_the_file(tmp_path: Path) -> None:
    now = [at("01T00:00:30")]
    opened = workspace(tmp_path)
    scheduler, _ = real(opened, now, code_allowed=True)
    scheduler.look(now[0])
    now[0] = at("01T01:00")
    scheduler.look(now[0])

    schedule = json.loads((tmp_path / ".roo" / "schedules.json").read_text("utf-8"))["schedules"][1]
    assert schedule["lastSkippedTime"] == "2025-05-01T01:00:00.000Z"


# --- requireActivity ---------------------------------------------------------------------------


@pytest.fixture
def quiet(tmp_path: Path) -> Workspace:
    """A workspace in which everything is an hour old."""
    opened = workspace(tmp_path)
    for name in ("src/a.py", ".git/index", "build/x.o", ".sidecar/report.json", "task_timing.tsv"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x", encoding="utf-8")
    (tmp_path / ".gitignore").write_text("build/\n", encoding="utf-8")
    for path in tmp_path.rglob("*"):
        os.utime(path, (NOW.timestamp() - 3600, NOW.timestamp() - 3600))
    return opened


NOW = datetime.now(UTC)


def touch(opened: Workspace, name: str) -> None:
    os.utime(opened.root / name, (NOW.timestamp(), NOW.timestamp()))


def test_a_newer_file_is_activity(quiet: Workspace) -> None:
    assert not changed_since(quiet, NOW - 10 * MINUTE).changed
    touch(quiet, "src/a.py")

    found = changed_since(quiet, NOW - 10 * MINUTE)

    assert (found.changed, found.reason) == (True, "`src/a.py` is newer")


OURS = (".sidecar/report.json", ".roo/schedules.json", "task_timing.tsv")


@pytest.mark.parametrize("name", [".git/index", "build/x.o", *OURS])
def test_what_is_ignored_or_our_own_is_no_activity(quiet: Workspace, name: str) -> None:
    touch(quiet, name)

    assert not changed_since(quiet, NOW - 10 * MINUTE).changed


def test_where_a_bound_is_hit_something_counts_as_changed(quiet: Workspace) -> None:
    few = changed_since(quiet, NOW, entries=2)
    brief = changed_since(quiet, NOW, seconds=0.0)

    assert (few.changed, brief.changed) == (True, True)
    assert "more than 2 entries" in few.reason
    assert "took 0 s" in brief.reason
