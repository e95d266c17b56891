"""The fields that runs leave in schedules.json: minimal edits, delayed by editors, never lost."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sidecar.services import schedule_bookkeeping as bookkeeping
from sidecar.services.context import Context

SCHEDULE = "1745000000001"
STARTED = datetime(2025, 5, 1, 10, 20, 1, tzinfo=UTC)


@pytest.fixture
def file(example_workspace: Path) -> Path:
    return example_workspace / ".roo" / "schedules.json"


def fields(file: Path) -> dict[str, object]:
    found = json.loads(file.read_text())["schedules"]
    return next(each for each in found if each["id"] == SCHEDULE)


def test_a_run_changes_its_own_fields_and_not_one_other_character(context: Context, file: Path):
    before = file.read_text().splitlines()
    assert bookkeeping.note_run(context, SCHEDULE, started=STARTED, task_id="run-1")
    after = file.read_text().splitlines()
    changed = [line for line in after if line not in before]
    assert len(after) - len(before) <= 3
    names = {line.strip().partition(":")[0].strip('"') for line in changed}
    # A comma may have come behind the line that was the last.
    assert {"lastExecutionTime", "lastTaskId", "nextExecutionTime"} <= names
    assert fields(file)["lastExecutionTime"] == "2025-05-01T10:20:01.000Z"
    assert fields(file)["nextExecutionTime"] == "2025-05-01T10:30:00.000Z"


def test_unsaved_changes_in_an_editor_delay_the_edit(context: Context, file: Path):
    before = file.read_text()
    context.workspace.overlays.put(".roo/schedules.json", before + "\n", 3)
    assert not bookkeeping.note_run(context, SCHEDULE, started=STARTED, task_id="run-1")
    assert not bookkeeping.note_skip(context, SCHEDULE, STARTED)
    assert file.read_text() == before
    assert bookkeeping.write_pending(context) == []
    context.workspace.overlays.remove(".roo/schedules.json")
    assert bookkeeping.write_pending(context) == [SCHEDULE]
    assert fields(file)["lastTaskId"] == "run-1"
    assert fields(file)["lastSkippedTime"] == "2025-05-01T10:20:01.000Z"
    assert bookkeeping.write_pending(context) == []


def test_of_two_runs_the_later_counts_in_whatever_order_they_end(context: Context, file: Path):
    later = STARTED + timedelta(minutes=10)
    bookkeeping.note_run(context, SCHEDULE, started=later, task_id="run-2")
    bookkeeping.note_run(context, SCHEDULE, started=STARTED, task_id="run-1")
    assert fields(file)["lastTaskId"] == "run-2"
    assert fields(file)["lastExecutionTime"] == "2025-05-01T10:30:01.000Z"


def test_what_was_written_is_remembered_so_that_another_scheduler_is_noticed(context, file):
    bookkeeping.note_run(context, SCHEDULE, started=STARTED, task_id="run-1")
    written = bookkeeping.written(context, SCHEDULE)
    assert written["lastExecutionTime"] == fields(file)["lastExecutionTime"]


@pytest.mark.parametrize("text", ["", "{", '{"schedules": []}'])
def test_a_file_without_the_schedule_is_left_as_it_is(context: Context, file: Path, text: str):
    file.write_text(text)
    assert bookkeeping.note_run(context, SCHEDULE, started=STARTED, task_id="run-1")
    assert file.read_text() == text
    file.unlink()
    assert bookkeeping.note_run(context, SCHEDULE, started=STARTED, task_id="run-2")
    assert not file.exists()
