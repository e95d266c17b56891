"""What is known of a schedule's runs: from the queue, the delegated tasks and the time log."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sidecar.domain.errors import SidecarError
from sidecar.domain.run import ENDED, RunRecord, RunState
from sidecar.domain.schedules import Schedule
from sidecar.domain.timing import Row
from sidecar.services import suspensions, timing_log, trust
from sidecar.services.context import Context
from sidecar.services.run_requests import OPEN as OPEN_RUNS
from sidecar.services.run_requests import workspace_id
from sidecar.services.schedule_plan import stamp
from sidecar.services.suspensions import Suspension
from sidecar.services.task_queue import HELD, OPEN, Task, TaskQueue

# A delegated task names its schedule by this key of its context.
SCHEDULE_KEY = "schedule_id"
# The newest runs among which the last one of each schedule is looked for.
LOOKED_AT = 500


class LastRun(NamedTuple):
    """How the last run ended, and which is at work now; None where nobody knows.

    ``more`` is what else there is to say, by its name in the answer: nothing for most schedules.
    """

    result: str | None = None
    running: str | None = None
    more: dict[str, Any] = {}  # noqa: RUF012 - a NamedTuple's default, never changed


@dataclass(frozen=True)
class ScheduleRuns:
    """The runs, tasks and rows among which those of a schedule are found."""

    tasks: tuple[Task, ...]
    rows: tuple[Row, ...]
    records: tuple[RunRecord, ...] = ()
    suspended: dict[str, Suspension] = field(default_factory=dict)
    waiting: dict[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, context: Context, schedules: Iterable[Schedule] = ()) -> ScheduleRuns:
        """All as they are now; a time log or a queue that cannot be read counts as empty.

        For ``schedules`` it is also asked whether a person has yet to approve them.
        """
        with context.workspace.store.transaction() as records:
            queue = TaskQueue(records, context.clock(), keep=False)
        try:
            rows = tuple(timing_log.read_log(context).rows)
        except SidecarError:
            rows = ()
        return cls(
            tuple(queue.tasks.values()),
            rows,
            _records(context),
            suspensions.everything(context),
            trust.waiting(context, schedules) if context.queue is not None else {},
        )

    def of(self, schedule: Schedule) -> LastRun:
        """The runs of one schedule: its own id, or the task that its last run is noted under."""
        noted = schedule.values.get("lastTaskId")
        ids = {each for each in (schedule.id, noted) if isinstance(each, str) and each}
        tasks = [
            task
            for task in self.tasks
            if task.id in ids or (schedule.id and task.context.get(SCHEDULE_KEY) == schedule.id)
        ]
        ids |= {task.id for task in tasks}
        rows = [row for row in self.rows if row.task_id in ids]
        runs = [
            each for each in self.records if schedule.id and each.request.subject == schedule.id
        ]
        last = next((each for each in runs if each.state in ENDED), None)
        at_work = next((each for each in runs if each.state is RunState.RUNNING), None)
        return LastRun(
            last.state.value if last else _result(tasks, rows),
            at_work.run_id if at_work else _running(tasks, rows),
            self._more(schedule, runs, last),
        )

    def _more(
        self, schedule: Schedule, runs: Sequence[RunRecord], last: RunRecord | None
    ) -> dict[str, Any]:
        more: dict[str, Any] = {}
        if last is not None:
            more["last_run"] = _shown(last)
        held = (each for each in runs if each.state in OPEN_RUNS)
        waiting = [each for each in held if each.state is not RunState.RUNNING]
        if waiting:
            more["waiting_run"] = _shown(waiting[-1])
        if (held_back := self.suspended.get(schedule.id)) is not None:
            more["suspended"] = {"reason": held_back.reason, "since": held_back.at}
        if (reason := self.waiting.get(schedule.id)) is not None:
            more["needs_consent"] = reason
        return more


def _records(context: Context) -> tuple[RunRecord, ...]:
    """The newest runs of the workspace, the newest first."""
    if context.queue is None:
        return ()
    try:
        return tuple(context.queue.runs(workspace=workspace_id(context), limit=LOOKED_AT))
    except SidecarError:
        return ()


def _shown(record: RunRecord) -> dict[str, Any]:
    """A run in a few words, for a list."""
    told = {
        "run_id": record.run_id,
        "state": record.state.value,
        "due": stamp(record.request.slot),
        "ended": stamp(record.ended),
        "reason": record.reason[:200] or None,
    }
    return {name: value for name, value in told.items() if value is not None}


def _running(tasks: Iterable[Task], rows: Iterable[Row]) -> str | None:
    held = [task.id for task in tasks if task.state in HELD]
    open_rows = [timing_log.printable(row.task_id) for row in rows if row.is_open]
    return next(iter([*held, *reversed(open_rows)]), None)


def _result(tasks: Iterable[Task], rows: list[Row]) -> str | None:
    """The word of the newest task or row that has ended."""
    ended = [(task.updated_at, task.state.value) for task in tasks if task.state not in OPEN]
    ended += [
        (row.ended, timing_log.printable(row.values["result"]).strip() or "completed")
        for row in rows
        if row.ended is not None
    ]
    return max(ended)[1] if ended else None
