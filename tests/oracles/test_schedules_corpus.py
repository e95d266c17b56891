"""Real schedules files of public repositories, with the real roo-scheduler's verdicts."""

from __future__ import annotations

import csv
from datetime import datetime
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain import roo_calendar, schedules
from sidecar.domain.edit import apply_edits
from sidecar.domain.finding import Severity
from sidecar.domain.kind import Kind
from sidecar.domain.project import Project
from sidecar.rules.registry import check

pytestmark = pytest.mark.oracle

UTC = ZoneInfo("UTC")


def verdicts(corpus: Path) -> list[dict[str, str]]:
    with (corpus / "verdicts_schedules.tsv").open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines, delimiter="\t"))


@cache
def read(path: Path) -> str:
    return path.read_bytes().decode("utf-8")


def next_times(file: schedules.SchedulesFile, now: datetime) -> list[str]:
    found = []
    for schedule in file.schedules:
        if schedules.is_timed(schedule.raw):
            moment = roo_calendar.next_execution(schedule.raw, now, UTC)
            if moment:
                found.append(moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"))
    return found


def test_every_real_file_is_loaded_as_roo_scheduler_loads_it(corpus: Path):
    rows = verdicts(corpus)
    for row in rows:
        file = schedules.parse(read(corpus / row["file"]))
        now = datetime.fromisoformat(row["clock(UTC, commit date)"])
        outcome = schedules.outcome(file, now, UTC)

        assert (outcome.verdict != "activation-fails") == (row["initialize"] == "ok"), row["file"]
        assert outcome.loaded == int(row["schedules_loaded"]), row["file"]

    assert len(rows) >= 29


def test_every_timer_in_the_real_files_is_set_as_roo_scheduler_sets_it(corpus: Path):
    for row in verdicts(corpus):
        now = datetime.fromisoformat(row["clock(UTC, commit date)"])
        found = next_times(schedules.parse(read(corpus / row["file"])), now)

        assert ",".join(found) == row["next_times"], row["file"]
        assert len(found) == int(row["timers_set"]), row["file"]


def test_an_error_is_found_in_a_real_file_only_where_roo_scheduler_really_fails(corpus: Path):
    """A schedule that gets no timer although it is active is such a failure."""
    failing = {row["file"] for row in verdicts(corpus) if really_fails(corpus, row)}
    for row in verdicts(corpus):
        file = schedules.parse(read(corpus / row["file"]))
        now = datetime.fromisoformat(row["clock(UTC, commit date)"])
        project = Project(now=now, tz=UTC, schedules=file)
        found = check(Kind.SCHEDULES, file, project)
        errors = {finding.code for finding in found if finding.severity is Severity.ERROR}

        assert bool(errors) == (row["file"] in failing), (row["file"], errors)


def really_fails(corpus: Path, row: dict[str, str]) -> bool:
    file = schedules.parse(read(corpus / row["file"]))
    active = [each for each in file.schedules if each.raw.get("active") is not False]
    return row["initialize"] != "ok" or int(row["timers_set"]) < len(active)


def test_no_real_file_crashes_the_rules(corpus: Path):
    files = sorted((corpus / "schedules").iterdir())
    for path in files:
        for tz in ("UTC", "America/Chicago", "Asia/Tokyo"):
            file = schedules.parse(read(path))
            now = datetime.fromisoformat("2026-06-01T00:30:00Z")
            for finding in check(Kind.SCHEDULES, file, Project(now, ZoneInfo(tz), schedules=file)):
                assert 0 <= finding.span.start <= finding.span.end <= len(file.source.text)

    assert len(files) >= 31


@given(st.data())
def test_no_mutation_of_a_real_file_crashes_or_leaves_the_text(corpus: Path, data: st.DataObject):
    path = data.draw(st.sampled_from(sorted((corpus / "schedules").iterdir())))
    text = read(path)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        cut = data.draw(st.sampled_from((0, 1, 2, 50)))
        put = data.draw(
            st.sampled_from(["", *'{}[]:,"\\', "\x00", "null", "9", "//", "\r\n", "😀"])
        )
        text = text[:at] + put + text[at + cut :]

    file = schedules.parse(text)
    project = Project(datetime.fromisoformat("2026-06-01T00:30:00Z"), UTC, schedules=file)

    for finding in check(Kind.SCHEDULES, file, project):
        assert 0 <= finding.span.start <= finding.span.end <= len(text)
        for fix in finding.fixes:
            assert apply_edits(text, fix.edits) != text
