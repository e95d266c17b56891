"""All models of one moment, for rules and services that look across files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import TypeAlias
from zoneinfo import ZoneInfo

from sidecar.domain import memory, modes, schedules, timing, todo
from sidecar.domain.kind import Kind
from sidecar.domain.timing import SCHEDULE_LIMIT, TASK_LIMIT

File: TypeAlias = (
    modes.ModesFile
    | schedules.SchedulesFile
    | todo.TodoFile
    | timing.TimingFile
    | memory.MemoryFile
)


@dataclass(frozen=True)
class Project:
    """The workspace's files as the models see them, at one instant in one time zone.

    ``global_modes`` are the slugs of the user's global mode file, None where it is not known.
    """

    now: datetime
    tz: ZoneInfo
    modes: modes.ModesFile | None = None
    schedules: schedules.SchedulesFile | None = None
    todo: todo.TodoFile | None = None
    timing: timing.TimingFile | None = None
    memory: memory.MemoryFile | None = None
    global_modes: frozenset[str] | None = None
    product: str = "roo"
    memory_line_limit: int = 300
    todo_limit_seconds: int = TASK_LIMIT
    schedule_limit_seconds: int = SCHEDULE_LIMIT

    def having(self, *files: File) -> Project:
        """The same project with these files as the files of their kinds."""
        project = self
        for file in files:
            match file:
                case modes.ModesFile():
                    project = replace(project, modes=file)
                case schedules.SchedulesFile():
                    project = replace(project, schedules=file)
                case todo.TodoFile():
                    project = replace(project, todo=file)
                case timing.TimingFile():
                    project = replace(project, timing=file)
                case memory.MemoryFile():
                    project = replace(project, memory=file)
        return project


# As many as a project has files, and a few of the texts typed just before.
@lru_cache(maxsize=8)
def parse_file(kind: Kind, text: str, *, path: str, product: str = "roo") -> File:
    """The model of one file of a known kind; never raises, whatever the text.

    The same text gives the same model: a check asks for it once as the file and once as part of
    the project, and models work out what they hold only once.
    """
    match kind:
        case Kind.MODES:
            return modes.parse(text, path=path, product=product)
        case Kind.SCHEDULES:
            return schedules.parse(text, path=path)
        case Kind.TODO:
            return todo.parse(text, path=path)
        case Kind.TIMING:
            return timing.parse(text, path=path)
        case Kind.MEMORY:
            return memory.parse(text, path=path)
