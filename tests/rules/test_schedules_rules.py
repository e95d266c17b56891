"""The schedules' rules beyond the examples on their pages."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain import modes, schedules
from sidecar.domain.edit import apply_edits
from sidecar.domain.finding import Finding, Severity
from sidecar.domain.kind import Kind
from sidecar.domain.project import Project
from sidecar.domain.roo_calendar import DAYS
from sidecar.rules.registry import check

NOW = datetime(2025, 5, 1, 10, 23, 45, tzinfo=UTC)
SOUND = {
    "id": "1",
    "name": "Nightly",
    "mode": "code",
    "taskInstructions": "Review.",
    "scheduleType": "time",
    "timeInterval": "1",
    "timeUnit": "day",
    "startDate": "2025-04-30",
    "startHour": "09",
    "startMinute": "00",
    "active": True,
}


def found(text: str, tz: str = "UTC", global_modes: frozenset[str] | None = None) -> list[Finding]:
    file = schedules.parse(text)
    project = Project(NOW, ZoneInfo(tz), schedules=file, global_modes=global_modes)
    return check(Kind.SCHEDULES, file, project)


def of(*entries: dict[str, object]) -> str:
    return json.dumps({"schedules": list(entries)}, indent=2)


def codes(text: str, tz: str = "UTC") -> dict[str, Severity]:
    return {finding.code: finding.severity for finding in found(text, tz)}


def test_a_sound_schedule_has_no_finding_anywhere():
    for tz in ("UTC", "America/Chicago", "Asia/Tokyo"):
        assert codes(of(SOUND), tz) == {}


def test_a_missing_start_is_an_error_only_west_of_greenwich():
    text = of(SOUND | {"startDate": ""})

    assert codes(text, "America/Chicago") == {"SC007": Severity.ERROR}
    assert codes(text, "Europe/Warsaw") == {"SC007": Severity.INFO}
    assert "after 19:00 here" in found(text, "America/Chicago")[0].message


def test_the_poison_names_what_it_kills():
    messages = [f.message for f in found(of(SOUND | {"timeUnit": "weeks"}, SOUND | {"id": "2"}))]

    assert any("and the 1 after it never run" in message for message in messages)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"startHour": "9"}, {"SC001", "SC013"}),
        ({"startHour": "9", "selectedDays": {"mon": True}}, {"SC006", "SC013"}),
        ({"startHour": ""}, {"SC001"}),
        ({"startMinute": "5"}, {"SC001", "SC013"}),
        ({"startDate": "2025-05-01T00:00:00.000Z"}, {"SC001"}),
        ({"timeInterval": "0"}, {"SC001", "SC014"}),
        ({"timeInterval": ""}, {"SC006"}),
        ({"timeInterval": "-1"}, {"SC014"}),
        ({"timeInterval": "ten"}, {"SC001", "SC014"}),
        ({"timeUnit": "week"}, {"SC001"}),
        ({"selectedDays": ["mon"]}, {"SC006"}),
        ({"scheduleType": "cron"}, {"SC005"}),
        ({"startDate": "2025-08-01"}, {"SC002"}),
        ({"taskInteraction": "queue"}, {"SC016"}),
    ],
)
def test_an_error_is_found_where_the_product_fails(fields: dict[str, object], expected: set[str]):
    errors = {f.code for f in found(of(SOUND | fields)) if f.severity is Severity.ERROR}

    assert errors == expected


@pytest.mark.parametrize(
    "fields",
    [
        {"timeInterval": "10min"},
        {"selectedDays": {"sun": "false", "mon": True, "thu": True}},
        {"expirationDate": "2025-04-30"},
        {"nextExecutionTime": "2025-04-30T09:00:00.000Z"},
        {"extra": 1},
        {"startHour": 10, "startMinute": 0},
        {"timeInterval": 5},
        {"taskInteraction": ""},
        {"startHour": "9", "active": False},
    ],
)
def test_what_the_product_survives_is_no_error(fields: dict[str, object]):
    findings = found(of(SOUND | fields))

    assert [f.code for f in findings if f.severity is Severity.ERROR] == []


def test_an_unknown_mode_is_an_error_only_where_the_global_ones_are_known():
    text = of(SOUND | {"mode": "elsewhere"})

    assert [f.severity for f in found(text)] == [Severity.WARNING]
    assert [f.severity for f in found(text, global_modes=frozenset())] == [Severity.ERROR]
    assert found(text, global_modes=frozenset({"elsewhere"})) == []


def test_the_real_workspace_s_mistakes_are_found(corpus: Path):
    root = corpus / "loop-orchestrator"
    file = schedules.parse((root / ".roo/schedules.json").read_text("utf-8"))
    mode_file = modes.parse((root / ".roomodes").read_text("utf-8"))
    now = datetime(2025, 11, 1, 15, 42, tzinfo=UTC)
    project = Project(now, ZoneInfo("UTC"), schedules=file, modes=mode_file)

    findings = check(Kind.SCHEDULES, file, project)
    named = [file.source.slice(f.span) for f in findings if f.code == "WS001"]
    rest = {f.code: f.message for f in findings if f.code != "WS001"}

    assert len(named) == 20
    assert {"core-development", "requirements", "version-control"} <= set(named)
    assert set(rest) == {"WS002", "SC007", "SC010", "SC023"}
    assert "`task_timing.tsv`" in rest["WS002"]
    assert "commit changes" in rest["WS002"]
    assert "`orchestrator`" in rest["WS002"]
    spawned = [f for f in check(Kind.MODES, mode_file, project) if f.code == "WS001"]
    texts = [mode_file.source.slice(f.span) for f in spawned]
    assert texts.count("integration-document") == 9


VALUE = st.sampled_from(
    [
        *("", "9", "09", "24", "10min", "0", "-1", "1.5", "hours", "Day", "wait", "Wait", "time"),
        *("cron", "Orchestrator", "code", "2025-05-01", "2025-05-03T00:00:00Z"),
        *(None, True, False, 0, 9, 10, [], ["mon"], {}, {"monday": True}),
        *(dict.fromkeys(DAYS, False), {"sun": "false"}),
    ]
)
KEYS = st.sampled_from([*schedules.FIELDS, "time_unit", "startdate", "note"])


@given(
    st.lists(st.dictionaries(KEYS, VALUE).map(lambda odd: SOUND | odd), max_size=3),
    st.sampled_from(("UTC", "America/New_York", "Pacific/Auckland")),
)
def test_every_fix_of_odd_schedules_applies_and_leaves_valid_json(entries: list, tz: str):
    text = of(*entries)
    for finding in found(text, tz):
        assert 0 <= finding.span.start <= finding.span.end <= len(text)
        assert finding.message.endswith((".", "?"))
        for fix in finding.fixes:
            after = apply_edits(text, fix.edits)
            before = [f for f in found(text, tz) if f.code == finding.code]
            remaining = [f for f in found(after, tz) if f.code == finding.code]

            json.loads(after)
            assert after != text, (finding.code, fix.title)
            assert len(remaining) <= len(before), (finding.code, fix.title, finding.message)


SHAPES = st.recursive(
    VALUE,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(("schedules", "id", "a")), inner)
    ),
)


@given(st.text() | SHAPES.map(json.dumps))
def test_no_text_makes_a_rule_raise(text: str):
    for finding in found(text):
        assert 0 <= finding.span.start <= finding.span.end <= len(text)
