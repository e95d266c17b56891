"""Time tracking on the real log: what is started can be stopped, and nothing else changes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.domain.timing import COLUMNS, HEADER, parse
from sidecar.services.context import Context
from sidecar.services.timed_tasks import start_task, stop_task
from sidecar.services.timing import get_time_tracking, track_task_time
from sidecar.settings import Settings
from sidecar.workspace.workspace import Workspace

START = datetime(2025, 11, 2, 12, tzinfo=UTC)


class Clock:
    """A clock that the test moves on."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def ticking() -> Clock:
    return Clock()


@pytest.fixture
def real(real_workspace: Path, ticking: Clock) -> Context:
    return Context(Workspace.open(real_workspace), Settings(), ticking)


@pytest.fixture
def empty(tmp_path: Path, ticking: Clock) -> Context:
    (tmp_path / "empty").mkdir()
    return Context(Workspace.open(tmp_path / "empty"), Settings(), ticking)


def log_of(context: Context) -> Path:
    return context.workspace.root / "task_timing.tsv"


def refused(code: ErrorCode, action) -> SidecarError:
    with pytest.raises(SidecarError) as caught:
        action()
    assert caught.value.code is code
    assert str(caught.value.message).endswith(".")
    return caught.value


def test_a_start_appends_one_row_and_a_stop_replaces_exactly_that_row(
    real: Context, ticking: Clock
):
    before = log_of(real).read_bytes()
    task = start_task(real, "Fix the parser", mode="code", priority="todo")
    started = log_of(real).read_bytes()
    start_task(real, "Something else")
    ticking.forward(90.9)
    stopped = stop_task(real, task.task_id, result="completed")
    lines = log_of(real).read_bytes().split(b"\n")

    assert started.startswith(before + b"\n")
    assert started.count(b"\n") == before.count(b"\n") + 2
    assert b"\n".join(lines[:30]) == before
    assert lines[30].decode().split("\t") == [
        "2025-11-02T12:00:00.000Z",
        "code",
        task.task_id,
        "2025-11-02T12:00:00.000Z",
        "2025-11-02T12:01:30.900Z",
        "90",
        "Fix the parser",
        "completed",
        "todo",
    ]
    assert (stopped.duration, stopped.limit) == (90, 3600)


def test_a_duration_of_zero_is_written(real: Context):
    task = start_task(real, "Quick")
    stop_task(real, task.task_id)

    assert parse(log_of(real).read_text()).rows[-1].duration == 0


def test_no_description_can_forge_a_row(real: Context):
    start_task(real, "a\tb\nx\t2025-01-01T00:00:00Z\r\\n", mode="m\n\t")
    file = parse(log_of(real).read_text())

    assert len(file.rows) == 30
    assert file.rows[-1].values["task"] == "a\tb\nx\t2025-01-01T00:00:00Z\r\\n"


def test_foreign_rows_comments_and_wrong_bytes_survive_a_stop(real: Context):
    foreign = b"# note\n\xff\xfea\x00b\x00\nx\ty\n\x80\t\t\n"
    log_of(real).write_bytes(HEADER.encode() + b"\textra\r\n" + foreign)
    task = start_task(real, "x", task_id="mine")
    stop_task(real, task.task_id)

    assert log_of(real).read_bytes().startswith(HEADER.encode() + b"\textra\r\n" + foreign)


def test_an_open_id_cannot_be_started_again(real: Context):
    start_task(real, "one", task_id="mine")
    error = refused(ErrorCode.CONFLICT, lambda: start_task(real, "two", task_id="mine"))

    assert "`mine`" in error.hint
    assert log_of(real).read_text().count("\tmine\t") == 1
    stop_task(real, "mine")
    start_task(real, "again", task_id="mine")


def test_stopping_what_is_not_open_names_what_is(real: Context):
    unknown = refused(ErrorCode.NOT_FOUND, lambda: stop_task(real, "nope"))
    closed = refused(ErrorCode.NOT_FOUND, lambda: stop_task(real, "tt1234"))

    assert "orch_session_001" in unknown.hint or "1762009987327" in unknown.hint
    assert "line 3" in closed.message


def test_without_an_id_the_only_open_task_is_stopped(empty: Context, real: Context):
    refused(ErrorCode.NOT_FOUND, lambda: stop_task(empty))
    task = start_task(empty, "only")

    assert stop_task(empty).task_id == task.task_id
    assert "must say which" in refused(ErrorCode.CONFLICT, lambda: stop_task(real)).message


def test_the_first_start_makes_the_file_with_its_header(empty: Context):
    start_task(empty, "first")

    assert log_of(empty).read_text().splitlines()[0] == HEADER


def test_a_file_of_eight_columns_is_migrated_once_with_a_backup(empty: Context):
    old = "\t".join(COLUMNS[:-1]) + "\nold\trow\n"
    log_of(empty).write_text(old)
    start_task(empty, "one")
    backups = list((empty.workspace.root / ".sidecar").rglob("*"))
    start_task(empty, "two")

    text = log_of(empty).read_text()
    assert text.startswith(HEADER + "\nold\trow\n")
    assert [row.values["priority"] for row in parse(text).rows[1:]] == ["normal", "normal"]
    assert backups
    assert list((empty.workspace.root / ".sidecar").rglob("*")) == backups


@pytest.mark.parametrize("task_id", ["", "a\tb", "x" * 201, "2025-05-01T10:00:00Z"])
def test_an_id_that_would_break_the_row_is_refused(empty: Context, task_id: str):
    refused(ErrorCode.INVALID, lambda: start_task(empty, "x", task_id=task_id))
    refused(ErrorCode.INVALID, lambda: start_task(empty, "  "))

    assert not log_of(empty).exists()


def test_a_stop_says_whether_the_limit_was_exceeded(empty: Context, ticking: Clock):
    arguments = {"task_description": "x", "task_id": "a", "limit_seconds": 60}
    started = track_task_time.call(empty, arguments)
    ticking.forward(61)
    stopped = track_task_time.call(
        empty, {"task_description": "x", "task_id": "a", "start_tracking": False}
    )

    assert started.deadline == "2025-11-02T12:01:00.000Z"
    assert (stopped.limit_seconds, stopped.limit_exceeded) == (60, True)
    assert "OVER" in stopped.summary()


def test_the_real_log_is_reported_with_its_problems(real: Context):
    report = get_time_tracking.call(real, {"limit": 5})

    assert (report.total_entries, report.filtered_entries) == (29, 29)
    assert (report.statistics.open, report.statistics.completed) == (13, 16)
    assert [problem.line for problem in report.problems] == [8, 9, 12]
    assert [entry.line for entry in report.entries] == [30, 29, 28, 27, 26]
    assert report.open_tasks[0].overdue
    assert report.statistics.p50_seconds == 637
    assert sum(group.count for group in report.priority_statistics.values()) == 29


def test_pages_cover_every_row_once_while_rows_come_in(real: Context):
    seen: list[int] = []
    cursor = None
    for number in range(20):
        page = get_time_tracking.call(real, {"limit": 4, "cursor": cursor})
        seen += [entry.line for entry in page.entries]
        start_task(real, f"new {number}")
        cursor = page.next_cursor
        if cursor is None:
            break

    assert sorted(seen) == list(range(2, 31))


def test_dates_apply_to_whole_days_and_never_fail_silently(real: Context):
    def lines(**arguments: str) -> int:
        return get_time_tracking.call(real, arguments).filtered_entries

    assert lines(start_date="2030-01-01") == 0
    assert lines(start_date="2025-11-01") == 17
    assert lines(end_date="2025-10-27") == 12
    assert lines(start_date="2025-11-01", end_date="2025-11-01") == 17
    assert lines(start_date="2025-11-01T15:00:00") == 3
    assert lines(start_date="2025-11-01T16:00:00+01:00") == 3
    refused(ErrorCode.INVALID, lambda: lines(start_date="garbage"))
    refused(ErrorCode.INVALID, lambda: lines(start_date="2025-11-02", end_date="2025-11-01"))
    refused(ErrorCode.INVALID, lambda: lines(cursor="x"))


def test_filters_apply_together_and_groups_cover_what_they_choose(real: Context):
    report = get_time_tracking.call(
        real, {"filter_mode": "orchestrator", "open_only": True, "group_by": "day"}
    )

    assert report.filtered_entries == 5
    assert {name: group.count for name, group in report.groups.items()} == {
        "2025-11-01": 3,
        "2025-10-27": 2,
    }


def test_the_filtered_file_is_read_anew_each_time(real: Context):
    get_time_tracking.call(real, {})
    log_of(real).write_text(HEADER + "\n")

    assert get_time_tracking.call(real, {}).total_entries == 0


CHILD = """
import json, resource, signal, sys
from pathlib import Path
from sidecar.services.context import Context
from sidecar.services.timed_tasks import start_task, stop_task
from sidecar.settings import Settings
from sidecar.workspace.workspace import Workspace
context = Context(Workspace.open(Path(sys.argv[1])), Settings())
"""
FULL_DISK = """
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
limit = (context.workspace.root / "task_timing.tsv").stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
first = start_task(context, "first")
second = start_task(context, "second", task_id="second")
ended = stop_task(context, "second", result="done")
try:
    start_task(context, "third", task_id="second")
except Exception as error:
    refused = str(error.code)
print(json.dumps([first.task_id, first.recorded, second.recorded, ended.recorded, refused]))
"""
WRITER = """
ids = []
for number in range(12):
    own = f"w{sys.argv[2]}-{number}" if number % 2 else None
    task = start_task(context, f"task {number}", task_id=own)
    if number % 3 == 0:
        stop_task(context, task.task_id)
    ids.append(task.task_id)
print(json.dumps(ids))
"""


def run_child(code: str, root: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CHILD + code, str(root), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.faults
@pytest.mark.skipif(sys.platform == "win32", reason="no limit of a file's size on Windows")
def test_a_row_that_cannot_be_written_waits_and_is_written_at_the_next_start(empty: Context):
    padding = HEADER + "\n" + "# " + "x" * 1_000_000 + "\n"
    log_of(empty).write_text(padding)
    child = run_child(FULL_DISK, empty.workspace.root)
    first, *recorded, code = json.loads(child.communicate(timeout=60)[0])

    assert recorded == [False, False, False]
    assert code == "E_CONFLICT"
    assert log_of(empty).read_text() == padding

    start_task(empty, "third")
    rows = {row.task_id: row for row in parse(log_of(empty).read_text()).rows}
    assert len(rows) == 3
    assert rows[first].is_open
    assert (rows["second"].values["result"], rows["second"].is_open) == ("done", False)


@pytest.mark.faults
def test_several_processes_lose_no_row_and_tear_none(real: Context):
    before = log_of(real).read_bytes()
    children = [run_child(WRITER, real.workspace.root, str(number)) for number in range(3)]
    acknowledged = [
        task_id for child in children for task_id in json.loads(child.communicate(timeout=120)[0])
    ]
    after = log_of(real).read_bytes()
    rows = parse(after.decode()).rows[29:]

    assert after.startswith(before)
    assert Counter(row.task_id for row in rows) == Counter(acknowledged)
    assert all(len(row.fields) == 9 and not row.problem for row in rows)
    assert sum(not row.is_open for row in rows) == 3 * 4


def test_a_limit_past_the_calendars_end_is_refused(context: Context):
    with pytest.raises(ValidationError):
        track_task_time.call(context, {"task_description": "x", "limit_seconds": 10**12})
