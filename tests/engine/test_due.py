"""Which slots are due, and what becomes of each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import takewhile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain.calendar import Calendar, slots
from sidecar.domain.run import Origin, RunRecord, RunRequest, RunState
from sidecar.engine.due import (
    Decision,
    Manners,
    Situation,
    decide,
    due,
    foreign_advance,
    grace_end,
)
from tests.engine.simulation import calendar

NOW = datetime(2025, 5, 1, 10, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2025-05-{text}").replace(tzinfo=UTC)


def hourly(**fields: object) -> Calendar:
    made = calendar(timeUnit="hour", startDate="2025-05-01", **fields)
    assert isinstance(made, Calendar)
    return made


def daily(**fields: object) -> Calendar:
    made = calendar(startDate="2025-04-01", startHour="09", **fields)
    assert isinstance(made, Calendar)
    return made


def test_a_punctual_slot_runs_whatever_the_setting() -> None:
    for catch_up in ("latest", "none", "all"):
        found = due(hourly(), at("01T09:00"), at("01T10:00:05"), catch_up)

        assert (found.run, found.missed) == ((at("01T10:00"),), ())
        assert found.next == at("01T11:00")


def test_latest_runs_the_newest_missed_slot_and_records_the_others() -> None:
    found = due(hourly(), at("01T05:00"), at("01T09:30"), "latest")

    assert found.run == (at("01T09:00"),)
    assert found.missed == (at("01T06:00"), at("01T07:00"), at("01T08:00"))


def test_none_runs_no_missed_slot() -> None:
    found = due(hourly(), at("01T05:00"), at("01T07:30"), "none")

    assert (found.run, found.missed) == ((), (at("01T06:00"), at("01T07:00")))


def test_all_runs_every_missed_slot_in_order() -> None:
    found = due(hourly(), at("01T05:00"), at("01T07:30"), "all")

    assert (found.run, found.missed) == ((at("01T06:00"), at("01T07:00")), ())


def test_latest_gives_up_a_slot_when_a_whole_interval_has_passed() -> None:
    """A daily slot of Friday is made up for until Saturday's time, though Saturday has none."""
    weekdays = daily(selectedDays=dict.fromkeys(("mon", "tue", "wed", "thu", "fri"), True))
    friday = at("02T09:00")

    assert due(weekdays, at("01T09:00"), at("03T08:59"), "latest").run == (friday,)
    late = due(weekdays, at("01T09:00"), at("03T09:01"), "latest")
    assert (late.run, late.missed, late.next) == ((), (friday,), at("05T09:00"))


def test_the_grace_of_a_day_is_a_calendar_day() -> None:
    made = calendar("America/New_York", startDate="2025-03-01", startHour="09")
    assert isinstance(made, Calendar)
    before = datetime(2025, 3, 8, 14, tzinfo=UTC)

    assert grace_end(made, before) - before == timedelta(hours=23)


def test_an_expired_schedule_makes_up_for_its_last_slot_only_within_the_grace() -> None:
    ended = hourly(expirationDate="2025-05-01", expirationHour="08")

    assert due(ended, at("01T07:00"), at("01T08:30"), "latest").run == (at("01T08:00"),)
    assert due(ended, at("01T07:00"), at("01T10:30"), "latest").run == ()
    assert due(ended, at("01T08:00"), at("01T10:30"), "latest").next is None


def test_a_slot_years_away_simply_waits() -> None:
    far = calendar(startDate="2035-01-01", startHour="09")
    assert isinstance(far, Calendar)

    found = due(far, NOW, NOW + timedelta(days=400), "latest")

    assert (found.run, found.missed) == ((), ())
    assert found.next == datetime(2035, 1, 1, 9, tzinfo=UTC)


def test_a_year_of_missed_minutes_is_bounded() -> None:
    minutely = calendar(timeUnit="minute", startDate="2024-01-01")
    assert isinstance(minutely, Calendar)

    latest = due(minutely, at("01T00:00") - timedelta(days=365), NOW, "latest")
    every = due(minutely, at("01T00:00") - timedelta(days=365), NOW, "all")

    assert (len(latest.run), len(latest.missed)) == (1, 100)
    assert len(every.run) == 1000


@given(
    st.integers(1, 90), st.sampled_from(("minute", "hour", "day")),
    st.sampled_from(("latest", "none", "all")), st.integers(0, 5000), st.integers(0, 3000),
)  # fmt: skip
def test_each_slot_is_run_or_missed_or_still_to_come(
    interval: int, unit: str, catch_up: str, seen: int, passed: int
) -> None:
    made = calendar(timeUnit=unit, timeInterval=interval, startDate="2025-05-01")
    assert isinstance(made, Calendar)
    since = made.anchor + seen * MINUTE
    now = since + passed * MINUTE

    found = due(made, since, now, catch_up)

    both = [*found.missed, *found.run]
    newest = list(takewhile(lambda slot: slot <= now, slots(made, since)))
    assert both == newest[len(newest) - len(both) :]
    assert len(both) == len(newest) or len(both) >= 101
    assert found.next is not None
    assert found.next > now
    assert due(made, max([since, *both]), now, catch_up).run == ()


def run(
    subject: str = "s",
    state: RunState = RunState.RUNNING,
    *,
    attempts: int = 0,
    ended: bool = False,
) -> RunRecord:
    request = RunRequest("r", "w", Origin.SCHEDULE, subject, f"run of {subject}", "", slot=NOW)
    started = NOW if state is not RunState.QUEUED else None
    return RunRecord(request, state, attempts, started=started, ended=NOW if ended else None)


def decided(
    manners: Manners, *runs: RunRecord, agent: datetime | None = None, all_slots: bool = False,
    last: RunRecord | None = None, quiet: str | None = None,
) -> Decision:  # fmt: skip
    situation = Situation(NOW, runs, agent, last, lambda _: quiet)
    return decide("s", manners, situation, all_slots=all_slots)


def test_with_nobody_at_work_each_interaction_runs_at_once() -> None:
    for interaction in ("wait", "interrupt", "skip"):
        assert decided(Manners(interaction)) == Decision(RunState.QUEUED)


def test_wait_lets_a_run_queue_behind_the_one_at_work() -> None:
    assert decided(Manners("wait"), run("other")).state is RunState.QUEUED
    assert decided(Manners("wait"), run("s")).state is RunState.QUEUED


def test_wait_waits_for_an_agent_that_was_just_at_work() -> None:
    manners = Manners("wait", timedelta(minutes=3))

    assert decided(manners, agent=NOW - 2 * MINUTE).state is RunState.WAITING
    assert decided(manners, agent=NOW - 3 * MINUTE).state is RunState.QUEUED


def test_interrupt_cancels_what_runs_and_then_runs() -> None:
    running, queued = run("other"), run("third", RunState.QUEUED)

    found = decided(Manners("interrupt"), running, queued, agent=NOW)

    assert found == Decision(RunState.QUEUED, "", (running,))


@pytest.mark.parametrize(
    ("beside", "word"),
    [
        ({"runs": [run("other")]}, "`run of other` was at work"),
        ({"runs": [run("other", RunState.WAITING, attempts=1)]}, "was at work"),
        ({"agent": NOW}, "an agent was at work"),
    ],
)
def test_skip_passes_a_slot_over_when_somebody_is_at_work(
    beside: dict[str, list[RunRecord]], word: str
) -> None:
    runs = beside.pop("runs", [])

    found = decided(Manners("skip"), *runs, **beside)  # type: ignore[arg-type]

    assert found.state is RunState.SKIPPED
    assert word in found.reason


@pytest.mark.parametrize(
    "state", [RunState.QUEUED, RunState.WAITING, RunState.READY, RunState.NEEDS_CONSENT]
)
@pytest.mark.parametrize("interaction", ["wait", "interrupt", "skip"])
def test_a_schedule_whose_run_has_not_begun_gets_no_second_one(
    interaction: str, state: RunState
) -> None:
    found = decided(Manners(interaction), run("s", state))

    assert found.state is RunState.SKIPPED
    assert f"is still {state.value}" in found.reason


def test_when_every_slot_is_to_run_none_is_passed_over() -> None:
    manners = Manners("skip", require_activity=True)

    found = decided(manners, run("s", RunState.QUEUED), last=run(ended=True), quiet="nothing",
                    all_slots=True)  # fmt: skip

    assert found.state is RunState.QUEUED


def test_required_activity_is_asked_for_since_the_last_run() -> None:
    manners = Manners(require_activity=True)

    assert decided(manners, quiet="nothing new").state is RunState.QUEUED
    last = run(state=RunState.SUCCEEDED, ended=True)
    assert decided(manners, last=last, quiet="nothing new") == Decision(
        RunState.SKIPPED, "Skipped, because nothing new."
    )
    assert decided(manners, last=last).state is RunState.QUEUED
    assert decided(Manners(), last=last, quiet="nothing new").state is RunState.QUEUED


def test_only_a_later_mark_that_no_run_of_ours_explains_is_another_scheduler_s() -> None:
    ours = [run(state=RunState.SUCCEEDED, ended=True)]

    assert not foreign_advance(NOW, NOW, [])
    assert not foreign_advance(NOW, NOW - MINUTE, [])
    assert not foreign_advance(NOW, None, [])
    assert not foreign_advance(None, NOW + timedelta(seconds=30), ours)
    assert foreign_advance(NOW, NOW + 2 * MINUTE, ours)
    assert foreign_advance(None, NOW, [])
