"""roo-scheduler's next run, bugs included: the cases behind our diagnostics."""

from __future__ import annotations

import math
from contextlib import suppress
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain import js_date, roo_calendar

NOW = datetime(2025, 5, 1, 10, 23, 45, 678000, tzinfo=UTC)


def next_run(tz: str = "UTC", now: datetime = NOW, **fields: object) -> str | None:
    schedule = {"scheduleType": "time", "timeInterval": "1", "timeUnit": "hour"} | fields
    moment = roo_calendar.next_execution(schedule, now, ZoneInfo(tz))
    return None if moment is None else moment.isoformat(timespec="milliseconds")


def test_west_of_greenwich_a_schedule_without_start_stalls_in_the_evening():
    evening = datetime(2025, 5, 2, 1, 30, tzinfo=UTC)

    stalled = next_run("America/Chicago", evening, timeInterval="10", timeUnit="minute")

    assert stalled == "2025-05-03T01:00:00.000+00:00"


def test_an_unpadded_hour_is_an_invalid_date():
    with pytest.raises(roo_calendar.InvalidDate):
        next_run(startDate="2025-05-01", startHour="9")


def test_with_a_weekday_mask_an_invalid_date_never_runs_instead():
    assert next_run(startDate="2025-05-01", startHour="9", selectedDays={"mon": True}) is None


def test_a_run_due_exactly_now_on_a_selected_day_is_lost():
    now = datetime(2025, 5, 5, 9, tzinfo=UTC)
    lost = next_run(now=now, startDate="2025-05-01", startHour="09", selectedDays={"mon": True})

    assert lost == "2025-05-12T09:00:00.000+00:00"


def test_zeroing_the_seconds_in_a_doubled_hour_goes_back_to_the_first():
    now = datetime(2025, 11, 2, 6, 10, tzinfo=UTC)
    ran = "2025-11-02T06:05:30.000Z"

    assert next_run("America/New_York", now, lastExecutionTime=ran, timeInterval="30",
                    timeUnit="minute") == "2025-11-02T05:36:00.000+00:00"  # fmt: skip


def test_the_expiration_s_default_is_the_day_s_last_minute():
    moment = roo_calendar.expiration({"expirationDate": "2025-05-09"}, ZoneInfo("Asia/Tokyo"))

    assert moment == datetime(2025, 5, 9, 14, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "number"),
    [("10min", 10), (" 7", 7), ("0x10", 16), ("-1", -1), (1.5, 1), (5e-7, 5), ([3], 3)],
)
def test_numbers_are_read_as_parse_int_reads_them(value: object, number: int):
    assert js_date.parse_int(value) == number


def test_a_word_is_no_number():
    assert math.isnan(js_date.parse_int(True))


# Node 20.20 in the zone America/New_York.
@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("2025-05-01", 1746057600000),
        ("2025-05-01T10:20", 1746109200000),
        ("2025-05-01T24:00", 1746158400000),
        ("2025-05-01T24:01", None),
        ("2025-05-01T10:20:30.123456+02:00", 1746087630123),
        ("2025-02-30", 1740873600000),
        ("2025-02-32", None),
        ("2025-5-1", 1746072000000),
        ("May 1 2025 10:20 PM", 1746152400000),
        ("Thu May 01 2025 10:20:30 GMT+0200 (CEST)", 1746087630000),
        ("5/1/25", 1746072000000),
        ("2025-03-09T02:30", 1741505400000),
        ("2025-11-02T01:30", 1762061400000),
        ("yesterday", None),
        ("", None),
    ],
)
def test_dates_are_read_as_v8_reads_them(text: str, milliseconds: int | None):
    assert js_date.parse(text, ZoneInfo("America/New_York")) == milliseconds


JSON = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12)
FIELDS = ("timeInterval", "timeUnit", "startDate", "startHour", "startMinute", "selectedDays")


@given(
    st.dictionaries(
        st.sampled_from((*FIELDS, "lastExecutionTime", "lastSkippedTime", "expirationDate")),
        JSON
        | st.lists(JSON, max_size=2)
        | st.dictionaries(st.sampled_from(roo_calendar.DAYS), JSON)
        | st.sampled_from(("day", "9999-12-31", "0001-01-01", "23", "1", "999999999999")),
    ),
    st.sampled_from(("UTC", "Pacific/Auckland", "America/New_York")),
)  # fmt: skip
def test_no_value_raises_anything_but_invalid_date(fields: dict[str, object], tz: str):
    with suppress(roo_calendar.InvalidDate):
        roo_calendar.next_execution(fields, NOW, ZoneInfo(tz))
    roo_calendar.expiration(fields, ZoneInfo(tz))
