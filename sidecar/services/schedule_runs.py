"""What is known of a schedule's runs: from the delegated tasks and the time log."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from sidecar.domain.errors import SidecarError
from sidecar.domain.schedules import Schedule
from sidecar.domain.timing import Row
from sidecar.services import timing_log
from sidecar.services.context import Context
from sidecar.services.task_queue import HELD, OPEN, Task, TaskQueue

# A delegated task names its schedule by this key of its context.
SCHEDULE_KEY = "schedule_id"


class LastRun(NamedTuple):
    """How the last run ended, and which task is at work now; None where nobody knows."""

    result: str | None = None
    running: str | None = None


@dataclass(frozen=True)
class ScheduleRuns:
    """The tasks and the rows among which runs of schedules are found."""

    tasks: tuple[Task, ...]
    rows: tuple[Row, ...]

    @classmethod
    def load(cls, context: Context) -> ScheduleRuns:
        """Both as they are now; a time log that cannot be read counts as empty."""
        with context.workspace.store.transaction() as records:
            queue = TaskQueue(records, context.clock(), keep=False)
        try:
            rows = tuple(timing_log.read_log(context).rows)
        except SidecarError:
            rows = ()
        return cls(tuple(queue.tasks.values()), rows)

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
        return LastRun(_result(tasks, rows), _running(tasks, rows))


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
