"""The time log: rows as they are meant, and changes that touch one row only."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain.edit import apply_edits
from sidecar.domain.timing import (
    COLUMNS,
    HEADER,
    close_row,
    delete_row,
    format_time,
    migrate,
    new_row,
    parse,
    parse_time,
    realign,
)

TIME = "2025-05-01T10:00:00Z"
END = datetime(2025, 5, 1, 11, tzinfo=UTC)
OLD_HEADER = "\t".join(COLUMNS[:-1])
CELLS = st.sampled_from(
    [
        "",
        "2025-05-01T10:00:00Z",
        "1761600947.72",
        "code",
        "id_1",
        "60",
        "started",
        "completed",
        "normal",
        "high",
        "\x00",
        "#",
        "\\t",
        "�",
        "timestamp",
        "task_id",
    ]
)
LOGS = st.lists(st.lists(CELLS, max_size=11).map("\t".join), max_size=8).map("\n".join)


def check(text: str) -> None:
    file = parse(text)
    for row in file.rows[::5]:
        assert 0 <= row.span.start <= row.span.end <= len(text)
        assert set(row.values) >= set(COLUMNS)
        others = text[: row.span.start], text[row.span.end :]
        for edits in (close_row(row, end=END, duration=0, result="completed"), realign(row)):
            after = apply_edits(text, edits)
            assert (after[: len(others[0])], after[len(after) - len(others[1]) :]) == others
        assert len(parse(apply_edits(text, delete_row(file, row))).rows) <= len(file.rows)


@given(LOGS | st.text())
def test_any_text_gives_rows_and_edits_touch_only_their_row(text: str):
    check(text)
    check(f"{HEADER}\n{text}")


@given(st.data())
def test_changed_real_logs_are_read(real_text, mutated, data: st.DataObject):
    check(mutated(data.draw, real_text("task_timing.tsv")))


@given(st.text(min_size=1), st.text())
def test_no_text_can_forge_a_row_or_a_field(task: str, result: str):
    line = new_row(
        {"timestamp": "2025-05-01T10:00:00Z", "task_id": "t", "task": task, "result": result}
    )
    file = parse(f"{HEADER}\n{line}\n")

    (row,) = file.rows
    assert len(row.fields) == 9
    assert row.task_id == "t"


@pytest.mark.parametrize("ending", ["\n", "\r\n", ""])
@pytest.mark.parametrize("header", [HEADER, OLD_HEADER])
def test_closing_a_row_leaves_every_other_byte(header: str, ending: str):
    newline = ending or "\n"
    first = "# note" + newline + header + newline + "broken" + newline
    row = "2025-05-01T10:00:00Z\tcode\tt1\t2025-05-01T10:00:00Z\t\t\tRun\\tit\tstarted"
    text = first + row + ending
    edits = close_row(parse(text).rows[1], end=END, duration=3600, result="completed")

    assert apply_edits(text, edits) == first + (
        "2025-05-01T10:00:00Z\tcode\tt1\t2025-05-01T10:00:00Z\t2025-05-01T11:00:00.000Z\t3600"
        "\tRun\\tit\tcompleted" + ending
    )


def test_closing_a_short_row_adds_the_missing_fields():
    text = f"{HEADER}\n2025-05-01T10:00:00Z\tcode\tt1\t2025-05-01T10:00:00Z\n"
    edits = close_row(parse(text).rows[0], end=END, duration=0, result="completed")
    (row,) = parse(apply_edits(text, edits)).rows

    assert (row.ended, row.duration, row.values["result"]) == (END, 0, "completed")


def test_an_old_header_gets_the_ninth_column_and_rows_stay():
    text = f"{OLD_HEADER}\r\na\tb\r\n"
    after = apply_edits(text, migrate(parse(text)))

    assert after == f"{HEADER}\r\na\tb\r\n"
    assert migrate(parse(after)) == ()
    assert apply_edits("", migrate(parse(""))) == f"{HEADER}\n"


def test_a_header_in_another_order_rules_the_rows():
    header = "task_id\tstart_time\tend_time\tduration\ttask\tresult\tmode\tpriority"
    text = f"{header}\nt1\t\t\t60\tRun\tdone\tcode\ttodo\n"
    file = parse(text)

    assert file.rows[0].values["mode"] == "code"
    assert migrate(file) == ()
    assert new_row({"task_id": "x", "mode": "m"}, file.columns) == "x\t\t\t\t\t\tm\t"


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2025-05-01T10:00:00Z", "2025-05-01T10:00:00.000Z"),
        ("2025-05-01T12:00:00+02:00", "2025-05-01T10:00:00.000Z"),
        ("2025-05-01 10:00:00", "2025-05-01T10:00:00.000Z"),
        ("1746093600", "2025-05-01T10:00:00.000Z"),
        ("1746093600000", "2025-05-01T10:00:00.000Z"),
        ("1746093600.25", "2025-05-01T10:00:00.250Z"),
    ],
)
def test_times_are_read_as_writers_wrote_them(text: str, time: str):
    assert format_time(parse_time(text)) == time


@pytest.mark.parametrize(
    "text", ["", "soon", "2025-13-01T10:00:00Z", "9" * 400, "0001-01-01T00:00:00+14:00"]
)
def test_what_is_no_time_is_none(text: str):
    assert parse_time(text) is None


def test_the_real_log_has_29_rows_of_which_13_are_open_and_3_shifted(real_text):
    file = parse(real_text("task_timing.tsv"))

    assert len(file.rows) == 29
    assert sum(row.is_open for row in file.rows) == 13
    assert [row.line + 1 for row in file.rows if row.problem == "shifted"] == [8, 9, 12]
    assert file.rows[10].values | {"task": ""} == {
        "timestamp": "2025-10-27T23:32:49.817Z",
        "mode": "",
        "task_id": "continue_fix_issues_session",
        "start_time": "2025-10-27T23:24:33.815Z",
        "end_time": "2025-10-27T23:32:49.817Z",
        "duration": "492",
        "task": "",
        "result": "completed",
        "priority": "",
    }


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        (
            f"c25e8085\t{TIME}\t{TIME}\t81\tRun\tcompleted",
            ("81", "Run", "completed"),
        ),
        (f"c25e8085\t{TIME}\t\t\tRun", ("", "Run", "")),
        (f"c25e8085\t{TIME}\tRun\tstarted\tnormal", ("", "Run", "started")),
    ],
)
def test_rows_that_start_with_the_id_are_put_right(line: str, meant: tuple[str, str, str]):
    (row,) = parse(f"{OLD_HEADER}\n{line}\n").rows

    assert row.problem == "shifted"
    assert row.task_id == "c25e8085"
    assert tuple(row.values[name] for name in ("duration", "task", "result")) == meant
