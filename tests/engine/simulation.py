"""A scheduler in simulated time: schedules from memory, a queue, and what ran of what was due."""

# ruff: noqa: ARG002 - what the protocols say
from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Any
from zoneinfo import ZoneInfo

from sidecar.domain.calendar import Calendar, slots
from sidecar.domain.plan import NotRunnable, plan
from sidecar.domain.run import Origin, RunRequest, slot_run_id
from sidecar.engine.due import Manners
from sidecar.engine.memory_queue import MemoryQueue
from sidecar.engine.schedule_source import Entry
from sidecar.engine.scheduler import Scheduler
from sidecar.services.ports import RunQueue

MILLISECOND = timedelta(milliseconds=1)


def calendar(tz: str = "UTC", **fields: object) -> Calendar | NotRunnable:
    """The calendar of a schedule's fields."""
    values = {"scheduleType": "time", "timeInterval": "1", "timeUnit": "day"} | fields
    return plan(values, tz=ZoneInfo(tz), first_seen=datetime(2025, 1, 1, tzinfo=UTC))


def entry(schedule_id: str, tz: str = "UTC", **fields: object) -> Entry:
    """A schedule as the scheduler sees it; its slots count from its start on."""
    manners = fields.pop("manners", Manners())
    made = calendar(tz, **fields)
    anchor = made.anchor if isinstance(made, Calendar) else datetime.max.replace(tzinfo=UTC)
    assert isinstance(manners, Manners)
    return Entry(schedule_id, schedule_id, made, anchor - MILLISECOND, str(fields), manners)


@dataclass
class MemorySource:
    """Schedules in memory; a test changes the fields and raises ``changes``."""

    entries: list[Entry]
    catch_up: str = "latest"
    workspace: str = "w"
    changes: int = 0
    suspended: set[str] = field(default_factory=set)
    written: dict[str, datetime] = field(default_factory=dict)
    refusal: str | None = None
    seen_agent: datetime | None = None
    quiet: str | None = None
    skips: list[tuple[str, datetime]] = field(default_factory=list)
    phases: dict[str, datetime] = field(default_factory=dict)

    def version(self) -> object:
        return self.changes

    def load(self, now: datetime) -> list[Entry]:
        return list(self.entries)

    def request(self, entry: Entry, slot: datetime) -> tuple[RunRequest, str | None]:
        run_id = slot_run_id(self.workspace, entry.id, slot)
        made = RunRequest(
            run_id, self.workspace, Origin.SCHEDULE, entry.id, entry.label, "Do it.", slot=slot
        )
        return made, self.refusal

    def consented(self, schedule_id: str) -> bool:
        return self.refusal is None

    def held_back(self) -> Collection[str]:
        return self.suspended

    def hold_back(self, entry: Entry) -> None:
        self.suspended.add(entry.id)

    def ours(self, schedule_id: str) -> datetime | None:
        return self.written.get(schedule_id)

    def keep_phase(self, entry: Entry, anchor: datetime) -> None:
        self.phases[entry.id] = anchor

    def skipped(self, entry: Entry, slot: datetime) -> None:
        self.skips.append((entry.id, slot))

    def agent(self) -> datetime | None:
        return self.seen_agent

    def unchanged(self, since: datetime) -> str | None:
        return self.quiet


class CountingWork:
    """Work that counts how often each run was worked on."""

    def __init__(self) -> None:
        self.worked: Counter[str] = Counter()

    def begin(self, request: dict[str, Any]) -> dict[str, Any]:
        return {}

    def attempt(
        self, request: dict[str, Any], begun: dict[str, Any], number: int, stop: threading.Event
    ) -> dict[str, Any]:
        self.worked[request["run_id"]] += 1
        return {"status": "succeeded", "reason": "done"}

    def finish(
        self, request: dict[str, Any], begun: dict[str, Any], outcomes: list[dict[str, Any]]
    ) -> dict[str, Any]:
        return {}

    def recover(self, request: dict[str, Any]) -> None:
        self.worked["recovered"] += 1


@dataclass
class Simulation:
    """Time that jumps from one due instant to the next."""

    source: MemorySource
    now: datetime
    work: CountingWork = field(default_factory=CountingWork)

    def __post_init__(self) -> None:
        self.queue = MemoryQueue(lambda: self.now)
        self.scheduler = Scheduler(self.source, self.queue)

    def restart(self) -> None:
        """Another process goes on from what the queue holds."""
        self.scheduler = Scheduler(self.source, self.queue)

    def look(self) -> datetime | None:
        """One pass, and work on what it queued."""
        following = self.scheduler.look(self.now)
        self.queue.run_queued(self.work)
        return following

    def run(self, until: datetime, every: Callable[[int], None] = lambda _: None) -> None:
        """Pass after pass; ``every`` may disturb with the number of the pass."""
        count = 0
        following = self.look()
        while following is not None and following <= until:
            self.now = max(self.now, following)
            following = self.look()
            count += 1
            every(count)


def expected(workspace: str, entries: Collection[Entry], until: datetime) -> set[str]:
    """The ids of all slots up to an instant."""
    found: set[str] = set()
    for each in entries:
        if isinstance(each.calendar, Calendar):
            due = takewhile(lambda slot: slot <= until, slots(each.calendar, each.since))
            found |= {slot_run_id(workspace, each.id, slot) for slot in due}
    return found


def queued(queue: RunQueue, workspace: str, subject: str) -> list[tuple[datetime, str]]:
    """The slots of a schedule that the queue knows, with their states, oldest first."""
    runs = queue.runs(workspace=workspace, subject=subject, limit=10_000)
    return [(run.request.slot, run.state.value) for run in reversed(runs) if run.request.slot]
