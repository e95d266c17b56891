"""Our calendar, against a model that walks minute by minute."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.domain.calendar import DAYS, Calendar, describe, explain, next_slot, slots
from sidecar.domain.plan import NotRunnable, plan

# Seven that change their clocks, one of them by half an hour, and three that do not.
ZONES = (
    "UTC",
    "America/New_York",
    "America/Chicago",
    "America/St_Johns",
    "America/Santiago",
    "Europe/Warsaw",
    "Asia/Tokyo",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Pacific/Auckland",
)
MINUTE = timedelta(minutes=1)
SEEN = datetime(2025, 5, 1, 10, 23, 45, 678901, tzinfo=UTC)


def schedule(**fields: object) -> dict[str, object]:
    return {"id": "1", "scheduleType": "time", "timeInterval": "1", "timeUnit": "day"} | fields


def planned(tz: str = "UTC", **fields: object) -> Calendar:
    calendar = plan(schedule(**fields), tz=ZoneInfo(tz), first_seen=SEEN)
    assert isinstance(calendar, Calendar), calendar
    return calendar


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def walked(calendar: Calendar, after: datetime, days: int) -> list[datetime]:
    """The slots of some days, found by looking at every minute."""
    found = []
    first = after.replace(second=0, microsecond=0)
    passed = (first - calendar.anchor) // MINUTE
    length = calendar.interval * {"minute": 1, "hour": 60}.get(calendar.unit, 1)
    wall, minute = local_wall(calendar, first), local_wall(calendar, calendar.anchor).minute
    for number in range(1, days * 1440 + 1):
        if calendar.unit != "day" and (passed + number) % length:
            continue
        moment = first + number * MINUTE
        before, wall = wall, local_wall(calendar, moment)
        if calendar.unit == "day" and wall.minute != minute and wall - before == MINUTE:
            continue
        if calendar.end is not None and moment >= calendar.end:
            break
        selected = not calendar.days or wall.weekday() in calendar.days
        if passed + number >= 0 and selected and is_slot(calendar, moment, before, wall):
            found.append(moment)
    return found


def local_wall(calendar: Calendar, moment: datetime) -> datetime:
    return moment.astimezone(calendar.tz).replace(tzinfo=None)


def is_slot(calendar: Calendar, moment: datetime, before: datetime, wall: datetime) -> bool:
    """Whether a minute of a day's calendar is one; ``before`` is the minute before it."""
    if calendar.unit != "day":
        return True
    anchor = local_wall(calendar, calendar.anchor)
    # A minute after a gap stands for all that the gap left out.
    stands_for = [wall - n * MINUTE for n in range(max(1, (wall - before) // MINUTE))]
    days = [meant.date() - anchor.date() for meant in stands_for if meant.time() == anchor.time()]
    if not any(passed.days % calendar.interval == 0 for passed in days):
        return False
    return not moment.astimezone(calendar.tz).fold or moment == calendar.anchor


@st.composite
def calendars(draw: st.DrawFn) -> Calendar:
    unit = draw(st.sampled_from(("minute", "hour", "day")))
    longest = {"minute": 3000, "hour": 60, "day": 9}[unit]
    around = draw(
        st.sampled_from(("2025-03-0", "2025-03-2", "2025-11-0", "2025-09-2", "2025-04-0"))
    )
    fields: dict[str, object] = {
        "timeInterval": str(draw(st.integers(1, longest))),
        "timeUnit": unit,
        "startDate": around + str(draw(st.integers(1, 9))),
        "startHour": f"{draw(st.integers(0, 23)):02}",
        "startMinute": f"{draw(st.sampled_from((0, 30, 59))):02}",
        "selectedDays": draw(
            st.dictionaries(st.sampled_from(DAYS), st.booleans(), max_size=7) | st.just({})
        ),
    }
    if draw(st.booleans()):
        fields["expirationDate"] = "2025-04-0" + str(draw(st.integers(1, 9)))
    return planned(draw(st.sampled_from(ZONES)), **fields)


@settings(max_examples=2 * settings().max_examples)
@given(calendars(), st.integers(-2000, 20000))
def test_slots_equal_those_found_minute_by_minute(calendar: Calendar, minutes: int) -> None:
    after = calendar.anchor + minutes * MINUTE
    days = 4 if calendar.unit == "day" else 2
    model = walked(calendar, after, days)
    if model:
        assert list(islice(slots(calendar, after), len(model))) == model
    following = next_slot(calendar, after)
    if following is not None and not model:
        assert following > after + timedelta(days=days) - 2 * MINUTE


@given(calendars(), st.integers(0, 60 * 24 * 400))
def test_slots_rise_and_asking_again_gives_the_same(calendar: Calendar, minutes: int) -> None:
    after = calendar.anchor + minutes * MINUTE
    found = list(islice(slots(calendar, after), 20))
    assert all(a < b for a, b in pairwise([after, *found]))
    for before, slot in pairwise([after, *found]):
        assert next_slot(calendar, before) == slot
        assert next_slot(calendar, slot - timedelta(milliseconds=1)) == slot


@given(calendars())
def test_the_weekday_mask_drops_slots_and_keeps_the_phase(calendar: Calendar) -> None:
    unmasked = Calendar(
        calendar.interval, calendar.unit, calendar.anchor, "test", calendar.tz, end=calendar.end
    )
    every = set(islice(slots(unmasked, calendar.anchor), 300))
    limit = max(every, default=calendar.anchor)
    for slot in islice(slots(calendar, calendar.anchor), 40):
        assert slot > limit or slot in every


def test_a_daily_nine_o_clock_stays_nine_o_clock_when_the_clocks_change() -> None:
    calendar = planned("America/New_York", startDate="2025-03-08", startHour="09")

    found = list(islice(slots(calendar, utc("2025-03-08T00:00")), 3))

    assert found == [utc("2025-03-08T14:00"), utc("2025-03-09T13:00"), utc("2025-03-10T13:00")]


def test_a_slot_in_a_gap_runs_at_the_gap_s_end() -> None:
    calendar = planned("America/New_York", startDate="2025-03-08", startHour="02", startMinute="30")

    slot = next_slot(calendar, utc("2025-03-08T12:00"))

    assert slot == utc("2025-03-09T07:00")
    assert "gap's end" in explain(calendar, slot)


def test_a_doubled_slot_runs_once() -> None:
    calendar = planned("America/New_York", startDate="2025-11-01", startHour="01", startMinute="30")

    found = list(islice(slots(calendar, utc("2025-11-01T12:00")), 2))

    assert found == [utc("2025-11-02T05:30"), utc("2025-11-03T06:30")]
    assert "doubled" in explain(calendar, found[0])


def test_hours_are_fixed_lengths_across_a_change_of_clocks() -> None:
    calendar = planned(
        "America/New_York", timeUnit="hour", timeInterval=24, startDate="2025-03-08", startHour="09"
    )

    assert next_slot(calendar, utc("2025-03-09T00:00")) == utc("2025-03-09T14:00")


def test_every_two_days_keeps_its_phase_under_a_mask() -> None:
    calendar = planned(
        startDate="2025-05-05",
        startHour="09",
        timeInterval="2",
        selectedDays={"mon": True, "wed": True, "fri": True},
    )

    found = [slot.day for slot in islice(slots(calendar, utc("2025-05-05T00:00")), 5)]

    assert found == [5, 7, 9, 19, 21]


def test_the_expiration_s_minute_is_included() -> None:
    fields = {"startDate": "2025-05-01", "timeUnit": "minute", "expirationDate": "2025-05-01"}

    with_hour = planned(**fields, expirationHour="10", expirationMinute="30")
    whole_day = planned(**fields)

    assert [*slots(with_hour, utc("2025-05-01T10:28"))][-1] == utc("2025-05-01T10:30")
    assert [*slots(whole_day, utc("2025-05-01T23:57"))][-1] == utc("2025-05-01T23:59")


@pytest.mark.parametrize(
    ("fields", "anchor", "origin"),
    [
        ({"startDate": "2025-05-03"}, "2025-05-03T00:00", "startDate"),
        ({"lastExecutionTime": "2025-05-01T01:02Z"}, "2025-05-01T01:02", "lastExecutionTime"),
        ({"createdAt": "2025-04-01T00:00:00Z"}, "2025-04-01T00:00", "createdAt"),
        ({"createdAt": "soon"}, "2025-05-01T10:23:45.678", "when it was first seen"),
    ],
)  # fmt: skip
def test_the_anchor_is_the_start_else_the_last_run_else_the_creation_else_the_first_sight(
    fields: dict[str, object], anchor: str, origin: str
) -> None:
    calendar = planned(**fields)

    assert (calendar.anchor, calendar.origin) == (utc(anchor), origin)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"timeInterval": "0"}, "timeInterval"),
        ({"timeInterval": "1.5"}, "timeInterval"),
        ({"timeInterval": "10min"}, "timeInterval"),
        ({"timeInterval": None}, "timeInterval"),
        ({"timeInterval": True}, "timeInterval"),
        ({"timeUnit": "hours"}, "timeUnit"),
        ({"timeUnit": ["day"]}, "timeUnit"),
        ({"scheduleType": "cron"}, "scheduleType"),
        ({"startDate": "2025-02-30"}, "startDate"),
        ({"startDate": "2025-02-01", "startHour": "24"}, "startHour"),
        ({"startDate": "2025-02-01", "startMinute": "x"}, "startMinute"),
        ({"expirationDate": "tomorrow"}, "expirationDate"),
        ({"selectedDays": ["mon"]}, "selectedDays"),
        ({"selectedDays": {"monday": True}}, "selectedDays"),
        ({"selectedDays": {"mon": "false"}}, "selectedDays"),
        ({"active": "false"}, "active"),
        ({"startDate": "0001-01-01", "_tz": "Asia/Tokyo"}, "startDate"),
    ],
)
def test_a_malformed_field_is_named_in_a_sentence(fields: dict[str, object], field: str) -> None:
    tz = ZoneInfo(str(fields.pop("_tz", "UTC")))

    verdict = plan(schedule(**fields), tz=tz, first_seen=SEEN)

    assert isinstance(verdict, NotRunnable)
    assert (verdict.field, verdict.malformed) == (field, True)
    assert str(verdict).startswith("Not runnable, because `" + field)


def test_a_schedule_that_is_switched_off_is_not_malformed() -> None:
    verdict = plan(schedule(active=False), tz=ZoneInfo("UTC"), first_seen=SEEN)

    assert isinstance(verdict, NotRunnable)
    assert not verdict.malformed


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
FIELDS = st.sampled_from(
    (
        *("timeInterval", "timeUnit", "startDate", "startHour", "startMinute", "selectedDays"),
        *("active", "expirationDate", "expirationHour", "createdAt", "lastExecutionTime"),
        "scheduleType",
    )
)


@given(st.dictionaries(FIELDS, JSON | st.sampled_from(("9999-12-31", "0001-01-01", "23", "5"))))
def test_no_value_whatever_raises(fields: dict[str, object]) -> None:
    calendar = plan(schedule(**fields), tz=ZoneInfo("Pacific/Auckland"), first_seen=SEEN)

    if isinstance(calendar, Calendar):
        assert describe(calendar)
        for slot in islice(slots(calendar, SEEN), 3):
            assert slot > SEEN
            assert explain(calendar, slot)


def test_an_interval_that_never_meets_a_selected_day_has_no_slot() -> None:
    calendar = planned(startDate="2025-05-01", timeInterval="7", selectedDays={"mon": True})

    assert next_slot(calendar, SEEN) is None


def test_an_interval_beyond_the_calendar_s_end_has_its_first_slot_only() -> None:
    for unit in ("minute", "hour", "day"):
        calendar = planned(startDate="2025-06-01", timeInterval="9" * 15, timeUnit=unit)

        assert [*slots(calendar, SEEN)] == [utc("2025-06-01T00:00")]
