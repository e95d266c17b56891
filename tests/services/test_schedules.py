"""The schedules' two tools on real files: what they show, what they change, what they refuse."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.services.context import Context
from sidecar.services.schedules import ScheduleChanged, get_schedule_status, manage_schedules
from sidecar.settings import Settings
from sidecar.workspace.workspace import Workspace

LOOP = "1745000000001"
REVIEW = "1745000000002"
NEW = {
    "name": "Weekly",
    "mode": "planning-analysis",
    "taskInstructions": "Plan.",
    "timeInterval": 7,
    "timeUnit": "day",
}


@pytest.fixture
def file(context: Context) -> Path:
    return context.workspace.root / ".roo" / "schedules.json"


@pytest.fixture
def empty(tmp_path: Path, clock: datetime) -> Context:
    """A caller's view of a folder with nothing in it."""
    root = tmp_path / "empty"
    root.mkdir()
    return Context(Workspace.open(root), Settings(timezone="UTC"), lambda: clock)


def status(context: Context, **arguments: Any):
    return get_schedule_status.call(context, arguments)


def manage(context: Context, action: str, **arguments: Any) -> ScheduleChanged:
    return manage_schedules.call(context, {"action": action, **arguments})


def refused(context: Context, action: str, **arguments: Any) -> SidecarError:
    with pytest.raises(SidecarError) as caught:
        manage(context, action, **arguments)
    return caught.value


def test_both_calendars_are_shown_and_what_is_overdue(context: Context):
    loop, review = status(context).schedules

    assert loop["computed_next_execution"] == "2025-05-01T10:30:00.000Z"
    assert loop["roo_next_execution"] == "2025-05-01T10:30:00.000Z"
    assert loop["overdue_seconds"] == 225
    assert (loop["last_result"], loop["running_task_id"], loop["expired"]) == (None, None, False)
    assert review["computed_next_execution"] == "2025-05-02T09:30:00.000Z"
    assert review["roo_next_execution"] is None


def test_an_entry_is_returned_as_stored(context: Context, file: Path):
    answer = status(context, schedule_id=REVIEW, format_output=False)
    stored = json.loads(file.read_text())["schedules"][1]

    assert answer.schedules == [stored]
    assert answer.stored[0] in file.read_text()
    assert json.loads(answer.stored[0]) == stored


def test_broken_entries_are_named_and_the_others_shown(context: Context, file: Path):
    entries = json.loads(file.read_text())["schedules"]
    entries += [7, {"id": "bad", "scheduleType": "time", "timeInterval": "x", "timeUnit": "day"}]
    file.write_text(json.dumps({"schedules": entries}))

    answer = status(context)

    assert [each.get("id") for each in answer.schedules] == [LOOP, REVIEW, "bad"]
    assert (answer.problems[0].index, answer.problems[0].error) == (
        2, "Entry 3 is a number, not a schedule.")  # fmt: skip
    assert "bad" in [each.id for each in answer.problems]
    assert any("`timeInterval`" in each.error for each in answer.problems if each.id == "bad")


def test_pages_follow_each_other(context: Context):
    first = status(context, limit=1)
    second = status(context, limit=1, cursor=first.next_cursor)

    assert (first.truncated, second.truncated) == (True, False)
    assert [first.schedules[0]["id"], second.schedules[0]["id"]] == [LOOP, REVIEW]


def test_only_what_is_due_soon_is_shown(context: Context):
    manage(context, "update", schedule_id=REVIEW, update_fields={
        "startHour": "09", "startDate": "2025-05-02"})  # fmt: skip

    assert [each["id"] for each in status(context, due_within_seconds=600).schedules] == [LOOP]


def test_inactive_schedules_are_shown_on_demand(context: Context):
    manage(context, "deactivate", schedule_id=LOOP)

    assert [each["id"] for each in status(context).schedules] == [REVIEW]
    shown = status(context, include_inactive=True).schedules
    assert [each["id"] for each in shown] == [LOOP, REVIEW]
    assert shown[0]["computed_next_execution"] is None


def test_a_schedule_without_any_date_counts_from_the_first_sight(empty: Context, clock: datetime):
    folder = empty.workspace.root / ".roo"
    folder.mkdir()
    entry = {"id": "1", "scheduleType": "time", "timeInterval": "1", "timeUnit": "hour"}
    (folder / "schedules.json").write_text(json.dumps({"schedules": [entry]}))

    first = status(empty).schedules[0]
    later = Context(empty.workspace, empty.settings, lambda: clock + timedelta(minutes=90))
    second = status(later).schedules[0]

    assert first["computed_next_execution"] == "2025-05-01T11:23:45.678Z"
    assert second["computed_next_execution"] == "2025-05-01T12:23:45.678Z"


def test_a_file_that_is_no_json_is_corrupt_with_its_place_and_a_backup(
    context: Context, file: Path
):
    manage(context, "deactivate", schedule_id=LOOP)
    file.write_text('{\n "schedules": [,]\n}')

    with pytest.raises(SidecarError) as caught:
        status(context)

    assert caught.value.code is ErrorCode.CORRUPT
    assert "line 2, column 16" in caught.value.message
    newest = context.workspace.backups.list(".roo/schedules.json")[0].id
    assert newest in caught.value.hint


def test_an_unknown_id_is_not_found_with_a_suggestion(context: Context):
    with pytest.raises(SidecarError) as caught:
        status(context, schedule_id="1745000000003")

    assert caught.value.code is ErrorCode.NOT_FOUND
    assert LOOP in caught.value.hint


def test_an_update_changes_the_named_field_and_no_other_byte(context: Context, file: Path):
    before = file.read_bytes()

    answer = manage(context, "update", schedule_id=LOOP, update_fields={"time_interval": 15})

    assert file.read_bytes() == before.replace(b'"timeInterval": "10"', b'"timeInterval": "15"')
    assert (answer.before, answer.after) == ({"timeInterval": "10"}, {"timeInterval": "15"})
    backup = context.workspace.backups.find(".roo/schedules.json", answer.backup_id or "")
    assert context.workspace.backups.read(backup) == before
    assert answer.etag == status(context).etag


def test_unknown_keys_and_the_other_spelling_survive(context: Context, file: Path):
    text = (
        '{"schedules":[{"id":1,"note":{"x":[1,2]},"name":"n","mode":"code",'
        '"task_instructions":"t","schedule_type":"time","time_interval":5,"time_unit":"hour"}],'
        '"top":1}\r\n'
    )
    file.write_bytes(text.encode())

    manage(context, "update", schedule_id="1", update_fields={"timeInterval": "6", "active": True})

    expected = text.replace('"time_interval":5', '"time_interval":6')
    expected = expected.replace('"hour"}', '"hour", "active":true}')
    assert file.read_bytes() == expected.encode()


def test_a_second_activation_changes_nothing(context: Context, file: Path):
    before = file.read_bytes()

    answer = manage(context, "activate", schedule_id=LOOP)

    assert (answer.success, answer.changed, answer.backup_id) == (True, False, None)
    assert file.read_bytes() == before


def test_creating_in_an_empty_folder_makes_the_folder_and_the_file(empty: Context):
    answer = manage(
        empty, "create", schedule_data=NEW | {"mode": "code", "startDate": "2025-06-01"}
    )

    text = (empty.workspace.root / ".roo" / "schedules.json").read_text()
    stored = json.loads(text)["schedules"][0]
    assert stored["id"] == answer.schedule_id == "1746095025678"
    assert (stored["timeInterval"], stored["startHour"]) == ("7", "00")
    assert (stored["scheduleType"], stored["active"]) == ("time", True)
    assert status(empty).problems == []


def test_ids_never_collide_and_a_caller_s_id_is_honoured(context: Context):
    ids = {manage(context, "create", schedule_data=NEW).schedule_id for _ in range(3)}
    own = manage(context, "create", schedule_data=NEW | {"id": "weekly"}).schedule_id

    assert len(ids) == 3
    assert own == "weekly"
    assert (
        refused(context, "create", schedule_data=NEW | {"id": "weekly"}).code is ErrorCode.CONFLICT
    )


def test_deleting_takes_one_entry_out(context: Context, file: Path):
    manage(context, "delete", schedule_id=LOOP)

    assert [each["id"] for each in json.loads(file.read_text())["schedules"]] == [REVIEW]
    assert refused(context, "delete", schedule_id=LOOP).code is ErrorCode.NOT_FOUND


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"time_intervall": 5}, "timeInterval"),
        ({"timeInterval": 0}, "`timeInterval` must be a whole number"),
        ({"timeInterval": "10min"}, "`timeInterval`"),
        ({"timeUnit": "weeks"}, "minute or hour or day"),
        ({"startDate": "2025-02-30"}, "does not exist"),
        ({"startHour": 24}, "`startHour`"),
        ({"selectedDays": {"someday": True}}, "`selectedDays`"),
        ({"taskInteraction": "queue"}, "wait or interrupt or skip"),
        ({"mode": "planning-analysi"}, "planning-analysis"),
        ({"active": "false"}, "true or false"),
        ({"timeUnit": "day", "time_unit": "hour"}, "twice"),
        ({"name": None}, "null"),
        ({}, "required"),
    ],
)
def test_what_could_not_run_is_refused_and_nothing_written(
    context: Context, file: Path, fields: dict[str, Any], told: str
):
    before = file.read_bytes()

    error = refused(context, "update", schedule_id=LOOP, update_fields=fields)

    assert error.code is ErrorCode.INVALID
    assert told in str(error)
    assert file.read_bytes() == before


def test_a_schedule_that_is_broken_elsewhere_is_not_activated(context: Context):
    manage(context, "deactivate", schedule_id=REVIEW)

    error = refused(context, "activate", schedule_id=REVIEW)

    assert "quality-securty" in error.message


def test_hours_are_padded_and_long_day_names_understood(context: Context, file: Path):
    fields = {"startHour": 9, "selectedDays": {"monday": True}, "mode": "code"}
    manage(context, "update", schedule_id=REVIEW, update_fields=fields)

    stored = json.loads(file.read_text())["schedules"][1]
    assert stored["startHour"] == "09"
    assert [day for day, chosen in stored["selectedDays"].items() if chosen] == ["mon"]


def test_a_dry_run_shows_the_change_and_writes_nothing(context: Context, file: Path):
    before = file.read_bytes()

    answer = manage(context, "delete", schedule_id=LOOP, dry_run=True)

    assert (answer.changed, answer.before["name"]) == (False, "Loop")
    assert file.read_bytes() == before


def test_another_etag_is_a_conflict_that_names_the_present_one(context: Context):
    etag = status(context).etag

    error = refused(context, "deactivate", schedule_id=LOOP, if_match="0" * 64)

    assert error.code is ErrorCode.CONFLICT
    assert etag in error.message
    assert manage(context, "deactivate", schedule_id=LOOP, if_match=etag).changed


def test_run_now_without_a_queue_is_refused_not_forgotten(context: Context):
    error = refused(context, "run_now", schedule_id=LOOP)

    assert error.code is ErrorCode.UNAVAILABLE


def test_a_paused_schedule_is_held_back_until_it_is_resumed(context: Context, file: Path):
    before = file.read_bytes()

    tried = manage(context, "pause", schedule_id=LOOP, dry_run=True)
    paused, again = (manage(context, "pause", schedule_id=LOOP) for _ in range(2))
    shown = status(context, schedule_id=LOOP).schedules[0]
    resumed, twice = (manage(context, "resume", schedule_id=LOOP) for _ in range(2))

    assert (tried.changed, paused.changed, again.changed) == (False, True, False)
    assert shown["suspended"]["reason"] == "paused by cli"
    assert (resumed.changed, twice.changed) == (True, False)
    assert resumed.before == {"suspended": "paused by cli"}
    assert "suspended" not in status(context, schedule_id=LOOP).schedules[0]
    assert file.read_bytes() == before


def test_validate_reports_the_rules_findings_and_writes_nothing(context: Context, file: Path):
    before = file.read_bytes()

    whole, one = manage(context, "validate"), manage(context, "validate", schedule_id=LOOP)
    given = manage(context, "validate", schedule_data=NEW | {"timeUnit": "weeks"})

    assert (whole.valid, one.valid, given.valid) == (False, True, False)
    assert any("SC013" in problem for problem in whole.problems)
    assert file.read_bytes() == before


def test_the_real_file_is_changed_in_one_place_only(real_workspace: Path, clock: datetime):
    context = Context(Workspace.open(real_workspace), Settings(timezone="UTC"), lambda: clock)
    path = real_workspace / ".roo" / "schedules.json"
    before = path.read_bytes()
    schedule = status(context).schedules[0]

    manage(context, "deactivate", schedule_id=schedule["id"])

    assert path.read_bytes() == before.replace(b'"active": true', b'"active": false')
    assert len(schedule["taskInstructions"]) == 201
