"""What the scheduler reads of a workspace: its schedules, what holds them back, who is at work."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

from sidecar.domain.calendar import Calendar
from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.domain.plan import NotRunnable, parse_instant
from sidecar.domain.run import RunRequest, RunState, slot_run_id
from sidecar.domain.schedules import INTERACTIONS, Schedule
from sidecar.engine import activity
from sidecar.engine.due import Manners
from sidecar.services import (
    run_requests,
    schedule_bookkeeping,
    schedule_plan,
    suspensions,
    trust,
)
from sidecar.services.context import Context

_MILLISECOND = timedelta(milliseconds=1)
_DEFAULT_DELAY = 1.0


@dataclass(frozen=True)
class Entry:
    """One schedule as the scheduler needs it.

    ``since`` is the instant whose later slots count when nothing of it ever ran here; ``timing``
    differs whenever the phase may; ``noted`` is the file's ``lastExecutionTime``.
    """

    id: str
    label: str
    calendar: Calendar | NotRunnable
    since: datetime
    timing: str
    manners: Manners = field(default_factory=Manners)
    noted: datetime | None = None


class Source(Protocol):
    """What the scheduler reads and tells; each method may raise SidecarError."""

    @property
    def workspace(self) -> str:
        """The workspace's id in the queue."""

    @property
    def catch_up(self) -> str:
        """What happens to missed slots: latest, none or all."""

    def version(self) -> object:
        """A value that differs whenever ``load`` may give something else; cheap."""

    def load(self, now: datetime) -> list[Entry]:
        """The schedules as they are now."""

    def request(self, entry: Entry, slot: datetime) -> tuple[RunRequest, str | None]:
        """The run of a slot, and why it needs a person's consent first, None where it does not."""

    def consented(self, schedule_id: str) -> bool:
        """Whether a schedule that waited for consent may run now."""

    def held_back(self) -> Collection[str]:
        """The ids of the schedules that do not run until somebody lets them."""

    def hold_back(self, entry: Entry) -> None:
        """Let a schedule run no more because another scheduler runs it."""

    def ours(self, schedule_id: str) -> datetime | None:
        """The ``lastExecutionTime`` that we wrote last."""

    def keep_phase(self, entry: Entry, anchor: datetime) -> None:
        """Remember what a schedule without a start is counted from."""

    def skipped(self, entry: Entry, slot: datetime) -> None:
        """Tell other readers of the file that a slot was skipped."""

    def agent(self) -> datetime | None:
        """When an agent that is no run of ours was last seen at work."""

    def unchanged(self, since: datetime) -> str | None:
        """Why nothing happened in the workspace since an instant, None where something did."""


def nobody() -> datetime | None:
    """No agent that anybody could see."""
    return None


@dataclass
class WorkspaceSource:
    """A real workspace; ``seen_agent`` tells when a connected agent last called a tool."""

    context: Context
    seen_agent: Callable[[], datetime | None] = nobody
    _schedules: dict[str, Schedule] = field(default_factory=dict, repr=False)

    @property
    def workspace(self) -> str:
        """The workspace's id in the queue."""
        return run_requests.workspace_id(self.context)

    @property
    def catch_up(self) -> str:
        """What happens to missed slots."""
        return self.context.settings.catch_up

    def version(self) -> object:
        """The file's identity, size and time of change, and the settings that decide slots."""
        settings = self.context.settings
        path = schedule_plan.path_of(self.context)
        try:
            found = os.stat(self.context.workspace.root / path, follow_symlinks=False)  # noqa: PTH116 - asked at each wake-up
        except OSError:
            return path, settings.timezone
        return path, settings.timezone, found.st_ino, found.st_size, found.st_mtime_ns

    def load(self, now: datetime) -> list[Entry]:
        """Every schedule with an id; none where there is no file."""
        try:
            file, _ = schedule_plan.read(self.context, saved=True)
        except SidecarError as error:
            if error.code is not ErrorCode.NOT_FOUND:
                raise
            self._schedules = {}
            return []
        found = [(s, c) for s, c in schedule_plan.calendars(self.context, file, now) if s.id]
        # Of several with one id the first counts, as the file's other readers have it.
        self._schedules = {schedule.id: schedule for schedule, _ in reversed(found)}
        entries = (_entry(s, c) for s, c in found if self._schedules[s.id] is s)
        return list(entries)

    def request(self, entry: Entry, slot: datetime) -> tuple[RunRequest, str | None]:
        """The run under the slot's id, and what trust says of it."""
        schedule = self._schedules[entry.id]
        made = run_requests.for_schedule(self.context, schedule, slot=slot)
        run_id = slot_run_id(made.workspace, entry.id, slot)
        return replace(made, run_id=run_id), trust.may_run(self.context, schedule)

    def consented(self, schedule_id: str) -> bool:
        """Whether the schedule is still there and a person agreed to it."""
        schedule = self._schedules.get(schedule_id)
        return schedule is not None and trust.may_run(self.context, schedule) is None

    def held_back(self) -> Collection[str]:
        """Those that are given up, paused or disputed."""
        return suspensions.everything(self.context).keys()

    def hold_back(self, entry: Entry) -> None:
        """Suspend it until the user decides who runs it."""
        reason = "another scheduler is active: it advanced `lastExecutionTime`"
        suspensions.suspend(self.context, entry.id, reason, cause="another-scheduler")

    def ours(self, schedule_id: str) -> datetime | None:
        """What the bookkeeping wrote."""
        written = schedule_bookkeeping.written(self.context, schedule_id)
        return parse_instant(written.get("lastExecutionTime"))

    def keep_phase(self, entry: Entry, anchor: datetime) -> None:
        """Let everybody who shows the schedule count from the same instant."""
        schedule_plan.keep_phase(self.context, entry.id, entry.timing, anchor)

    def skipped(self, entry: Entry, slot: datetime) -> None:
        """Note the slot in the file."""
        schedule_bookkeeping.note_skip(self.context, entry.id, slot)

    def agent(self) -> datetime | None:
        """What the sessions of connected agents tell; others are unknown."""
        return self.seen_agent()

    def unchanged(self, since: datetime) -> str | None:
        """Look at the workspace's files, within bounds."""
        change = activity.changed_since(self.context.workspace, since)
        return None if change.changed else f"nothing changed in the workspace ({change.reason})"


def _entry(schedule: Schedule, calendar: Calendar | NotRunnable) -> Entry:
    values = schedule.values
    names = ("lastExecutionTime", "lastSkippedTime", "createdAt", "updatedAt")
    known = [moment for name in names if (moment := parse_instant(values.get(name)))]
    return Entry(
        schedule.id,
        schedule.label,
        calendar,
        max(known) if known else _unknown_since(calendar),
        schedule_plan.timing_of(schedule),
        _manners(schedule),
        parse_instant(values.get("lastExecutionTime")),
    )


def _unknown_since(calendar: Calendar | NotRunnable) -> datetime:
    """From when slots count where the file names no moment at all."""
    if isinstance(calendar, NotRunnable):
        return datetime.max.replace(tzinfo=UTC)
    # A start that somebody wrote is a slot; the moment of the first sight is none.
    return calendar.anchor - (_MILLISECOND if calendar.origin == "startDate" else timedelta())


def _manners(schedule: Schedule) -> Manners:
    named = schedule.text("taskInteraction")
    try:
        minutes = float(schedule.text("inactivityDelay") or _DEFAULT_DELAY)
    except ValueError:
        minutes = _DEFAULT_DELAY
    return Manners(
        named if named in INTERACTIONS else "wait",
        timedelta(minutes=min(max(minutes, 0.0), 24 * 60)),
        schedule.values.get("requireActivity") is True,
    )


def runnable(entries: Collection[Entry]) -> Iterator[tuple[Entry, Calendar]]:
    """Those that have a calendar."""
    for entry in entries:
        if isinstance(entry.calendar, Calendar):
            yield entry, entry.calendar


def state_of(refusal: str | None, wanted: RunState) -> RunState:
    """The state in which a run enters the queue: consent comes before everything else."""
    return wanted if refusal is None else RunState.NEEDS_CONSENT
