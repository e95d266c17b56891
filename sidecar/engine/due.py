"""Which slots are due, and what becomes of each: decisions without a clock or a store."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from sidecar.domain.calendar import Calendar, next_slot, slots
from sidecar.domain.run import ENDED, RunRecord, RunState

# A slot that is at most this late was not missed, whatever the setting says.
PUNCTUAL = timedelta(seconds=60)
# Missed slots that are told one by one, and those that `all` makes up for.
TOLD = 100
MADE_UP = 1000
# Clocks of two programs on one machine differ by rounding, and a run is noted a moment later.
_ROUNDING = timedelta(seconds=2)
_NOTED_WITHIN = timedelta(minutes=1)


@dataclass(frozen=True)
class Due:
    """The slots since the last one: to be run, missed, and the next that is to come."""

    run: tuple[datetime, ...] = ()
    missed: tuple[datetime, ...] = ()
    next: datetime | None = None


def due(calendar: Calendar, seen: datetime, now: datetime, catch_up: str) -> Due:
    """What to do about the slots later than ``seen``, up to ``now``.

    ``latest`` runs the newest unless a whole interval has passed since, ``none`` only a punctual
    one, ``all`` every one; what is not run was missed. Of very many only the newest are looked at.
    """
    limit = MADE_UP if catch_up == "all" else TOLD + 1
    pending: deque[datetime] = deque(maxlen=limit)
    following = None
    for slot in slots(calendar, _bounded(calendar, seen, now, limit)):
        if slot > now:
            following = slot
            break
        pending.append(slot)
    if catch_up == "all" or not pending:
        return Due(tuple(pending), (), following)
    newest = pending[-1]
    punctual = now - newest <= PUNCTUAL
    wanted = punctual or (catch_up == "latest" and now <= grace_end(calendar, newest))
    if not wanted:
        return Due((), tuple(pending), following)
    pending.pop()
    return Due((newest,), tuple(pending), following)


def _bounded(calendar: Calendar, seen: datetime, now: datetime, limit: int) -> datetime:
    """Where to start looking, so that a year of minutes is not walked through."""
    length = calendar.step or timedelta(days=calendar.interval)
    if length > timedelta(days=3650):
        return seen
    return max(seen, now - length * (limit + 1))


def grace_end(calendar: Calendar, slot: datetime) -> datetime:
    """One interval after a slot, whatever the weekdays."""
    every_day = replace(calendar, days=frozenset(), end=None)
    return next_slot(every_day, slot) or datetime.max.replace(tzinfo=slot.tzinfo)


@dataclass(frozen=True)
class Manners:
    """What a schedule says about running beside other work.

    ``interaction`` is wait, interrupt or skip; ``delay`` is how long an agent must have been idle.
    """

    interaction: str = "wait"
    delay: timedelta = timedelta(minutes=1)
    require_activity: bool = False


@dataclass(frozen=True)
class Situation:
    """What there is beside a due slot: open runs of the workspace, agents, changes.

    ``agent`` is when an agent was last seen at work, None for not at all; ``activity`` says why
    there was none since an instant, None where there was some.
    """

    now: datetime
    open_runs: Sequence[RunRecord]
    agent: datetime | None
    last_run: RunRecord | None
    activity: Callable[[datetime], str | None]


@dataclass(frozen=True)
class Decision:
    """What becomes of a due slot; ``interrupt`` are runs to be cancelled before."""

    state: RunState
    reason: str = ""
    interrupt: tuple[RunRecord, ...] = ()


def decide(subject: str, manners: Manners, situation: Situation, *, all_slots: bool) -> Decision:
    """Whether a due slot runs, waits or is skipped; with ``all_slots`` it is never skipped."""
    busy = idle_from(manners, situation.agent) > situation.now
    skipped = None if all_slots else _skipped(subject, manners, situation, busy=busy)
    if skipped is not None:
        return Decision(RunState.SKIPPED, f"Skipped, because {skipped}.")
    if manners.interaction == "interrupt":
        return Decision(RunState.QUEUED, "", tuple(filter(_at_work, situation.open_runs)))
    if not busy:
        return Decision(RunState.QUEUED)
    minutes = manners.delay.total_seconds() / 60
    return Decision(RunState.WAITING, f"Waits until the agent has been idle {minutes:g} minutes.")


def _skipped(subject: str, manners: Manners, situation: Situation, *, busy: bool) -> str | None:
    """Why a slot is passed over, None where it is not."""
    for run in situation.open_runs:
        if run.request.subject == subject and not _at_work(run):
            slot = run.request.slot
            when = "" if slot is None else f" of {slot:%Y-%m-%d %H:%M} UTC"
            return f"the run{when} is still {run.state.value}"
    if (quiet := _unchanged(manners, situation)) is not None:
        return quiet
    if manners.interaction != "skip":
        return None
    running = next(filter(_at_work, situation.open_runs), None)
    if running is not None:
        return f"`{running.request.label}` was at work"
    return "an agent was at work" if busy else None


def _at_work(run: RunRecord) -> bool:
    """Whether a run is under way, or between two attempts."""
    return run.state is RunState.RUNNING or (run.state is RunState.WAITING and run.attempts > 0)


def _unchanged(manners: Manners, situation: Situation) -> str | None:
    if not manners.require_activity or situation.last_run is None:
        return None
    last = situation.last_run
    since = last.ended or last.started or last.created
    return None if since is None else situation.activity(since)


def idle_from(manners: Manners, agent: datetime | None) -> datetime:
    """From when on the workspace's agent counts as idle."""
    if agent is None:
        return datetime.min.replace(tzinfo=UTC)
    return agent + manners.delay


def foreign_advance(
    before: datetime | None, after: datetime | None, ours: Iterable[RunRecord]
) -> bool:
    """Whether ``lastExecutionTime`` was moved forward, and not because of a run of ours."""
    if after is None or (before is not None and after <= before):
        return False
    return not any(_explains(run, after) for run in ours)


def _explains(run: RunRecord, moment: datetime) -> bool:
    slot = run.request.slot
    if slot is not None and abs(slot - moment) <= _ROUNDING:
        return True
    if run.started is None or moment < run.started - _ROUNDING:
        return False
    return run.state not in ENDED or run.ended is None or moment <= run.ended + _NOTED_WITHIN
