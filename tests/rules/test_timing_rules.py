"""What the rules of the time log find in the real log: every irregularity that they cover."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain.edit import apply_edits
from sidecar.domain.finding import Finding
from sidecar.domain.kind import Kind
from sidecar.domain.project import Project
from sidecar.domain.timing import HEADER, parse
from sidecar.rules.registry import check

NOW = datetime(2025, 11, 2, tzinfo=UTC)


def findings(text: str) -> list[tuple[str, int, Finding]]:
    file = parse(text, path="task_timing.tsv")
    project = Project(NOW, ZoneInfo("UTC"), timing=file)
    return [
        (finding.code, file.source.position(finding.span.start).line + 1, finding)
        for finding in check(Kind.TIMING, file, project)
    ]


@pytest.fixture
def real_log(corpus: Path) -> str:
    return (corpus / "loop-orchestrator/task_timing.tsv").read_bytes().decode()


def test_every_irregularity_of_the_real_log_is_found(real_log: str):
    lines = defaultdict(list)
    for code, line, finding in findings(real_log):
        lines[code, finding.severity.value].append(line)

    assert dict(lines) == {
        ("TT001", "error"): [8, 9, 12],
        ("TT002", "warning"): [7],
        ("TT003", "warning"): [16, 26],
        ("TT004", "warning"): [6, 8, 9, 11, 21, 22, 23, 24, 26, 27, 28, 29, 30],
        ("TT005", "warning"): [7, 9, 10],
        ("TT006", "warning"): [2, 4, 18, 20, 27],
        ("TT006", "hint"): [10, 13, 16, 17],
        ("TT007", "hint"): [2],
        ("TT008", "warning"): [20],
        ("TT009", "warning"): [7],
    }


def test_the_messages_name_the_figures(real_log: str):
    messages = {(code, line): finding.message for code, line, finding in findings(real_log)}

    assert "1088 s, but from start to end it is 1094.6 s" in messages["TT003", 16]
    assert "20 of 29 rows have no priority" in messages["TT007", 2]
    assert "same as line 8" in messages["TT005", 9]


def test_each_fix_of_the_real_log_changes_only_its_spans_and_removes_its_finding(real_log: str):
    found = findings(real_log)
    for code, _, finding in found:
        before = sum(other == code for other, _, _ in found)
        for fix in finding.fixes:
            text = apply_edits(real_log, fix.edits)

            assert sum(other == code for other, _, _ in findings(text)) < before, fix.title


def test_applying_the_safe_fixes_until_none_is_left_ends(real_log: str):
    text = real_log
    for _ in range(40):
        fixes = [f for _, _, finding in findings(text) for f in finding.fixes if f.safe]
        if not fixes:
            break
        text = apply_edits(text, fixes[0].edits)

    assert not any(fix.safe for _, _, finding in findings(text) for fix in finding.fixes)
    assert not any(code == "TT001" for code, _, _ in findings(text))
    # Line 9 was the same row as line 8; each other row is still there.
    assert len(parse(text).rows) == 28


def test_a_utf16_part_is_one_error_with_a_fix():
    time = "2025-10-01T10:00:00Z"
    row = f"{time}\tcode\tt\t{time}\t{time}\t0\tx\tcompleted\ttodo"
    part = f"{row}\r\n".encode("utf-16").decode("utf-8", "replace")
    text = f"{HEADER}\n{part}"
    ((code, line, finding),) = findings(text)

    assert (code, line) == ("TT002", 2)
    assert apply_edits(text, finding.fixes[0].edits) == f"{HEADER}\n{row}\r\n"


@given(st.data())
def test_changed_real_logs_never_stop_the_rules(corpus: Path, data: st.DataObject):
    text = (corpus / "loop-orchestrator/task_timing.tsv").read_bytes().decode()
    for _ in range(data.draw(st.integers(0, 5))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 60)))
        text = (
            text[:start]
            + data.draw(st.sampled_from(["\t", "\n", "", "\x00", "x\t\t"]))
            + text[end:]
        )
    for _, _, finding in findings(text):
        assert 0 <= finding.span.start <= finding.span.end <= len(text)
        for fix in finding.fixes:
            apply_edits(text, fix.edits)


def messages(row: str, header: str = f"{HEADER}\n") -> str:
    found = findings(f"{header}{row}\n")
    return "\n".join(finding.message for _, _, finding in found)


def test_a_row_that_ends_before_it_starts_is_told_so_and_keeps_its_figures():
    row = "2025-05-01T10:00:00Z\tcode\tt\t2025-05-01T10:00:00Z\t2025-05-01T09:00:00Z\t-3600\tx"
    [(code, _, finding)] = findings(f"{HEADER}\n{row}\tcompleted\ttodo\n")

    assert code == "TT003"
    assert "ends before it starts" in finding.message
    assert not finding.fixes


def test_an_unknown_word_is_not_called_a_sentence():
    row = "2025-05-01T10:00:00Z\tcode\tt\t2025-05-01T10:00:00Z\t2025-05-01T10:00:05Z\t5\tx"

    assert "`done` is no status" in messages(f"{row}\tdone\ttodo")
    assert "The result is a sentence" in messages(f"{row}\tdone at last\ttodo")


def test_a_log_without_headings_gets_them_back():
    row = "2025-05-01T10:00:00Z\tcode\tt\t2025-05-01T10:00:00Z\t2025-05-01T10:00:05Z\t5\tx"
    text = f"{row}\tcompleted\ttodo\n"
    [(code, line, finding)] = findings(text)

    assert (code, line) == ("TT001", 1)
    assert apply_edits(text, finding.fixes[0].edits) == f"{HEADER}\n{text}"


def test_an_empty_field_is_called_nothing():
    assert "and nothing for the task's id" in messages("t_1\t2025-05-01T10:00:00Z\t\t\t\t\tgo on")


def test_an_open_row_is_overdue_by_the_limit_of_its_priority():
    """The settings decide both limits; a schedule's run may take longer than a task."""
    began = "2025-05-01T10:00:00Z"
    rows = [
        f"{began}\tcode\t{name}\t{began}\t\t\tWork\tstarted\t{name}"
        for name in ("schedule", "todo")
    ]
    file = parse("\n".join([HEADER, *rows, ""]))
    now = Project(datetime(2025, 5, 1, 11, 30, tzinfo=UTC), ZoneInfo("UTC"))
    strict = replace(now, todo_limit_seconds=10_000, schedule_limit_seconds=60)
    found = [check(Kind.TIMING, file, project) for project in (now, strict)]
    told = [[each.message for each in one if each.code == "TT004"] for one in found]
    assert [[message.split()[1] for message in one] for one in told] == [["`todo`"], ["`schedule`"]]
    assert "limit of 60 s" in told[1][0]
