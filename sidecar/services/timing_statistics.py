"""What the time log says: rows chosen by filters, and figures over them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import fmean
from typing import Literal

from pydantic import BaseModel

from sidecar.domain import timing, tsv
from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.domain.timing import Row, TimingFile
from sidecar.services.paging import cut, fitting
from sidecar.services.timing_log import printable

MAX_PROBLEMS = 20
MAX_GROUPS = 50
QUOTED = 160
SHOWN = 4_000
GroupKey = Literal["mode", "priority", "day", "result"]
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_REASONS = {
    "shifted": "the mode is missing, so the fields stand under wrong headings (read realigned)",
    "extra-fields": "more fields than columns: a text holds a tab",
    "missing-fields": "fewer than 7 fields",
}


class Totals(BaseModel):
    """Figures over some rows; seconds are of the rows whose duration is known."""

    count: int
    completed: int
    open: int
    total_seconds: int
    mean_seconds: float | None
    p50_seconds: int | None
    p95_seconds: int | None


class OpenTask(BaseModel):
    """A task without an end."""

    task_id: str
    task: str
    started_at: str | None
    age_seconds: int | None
    limit_seconds: int
    overdue: bool
    line: int

    def line_text(self) -> str:
        """The task in one line."""
        late = "OVERDUE" if self.overdue else "open"
        age = f"{self.age_seconds} of {self.limit_seconds} s"
        return f"{late}: {self.task_id}, {age} (line {self.line})"


class Problem(BaseModel):
    """A line that could not be read as it stands, quoted; lines count from 1."""

    line: int
    reason: str
    text: str


class EntryView(BaseModel):
    """One row of the log; the line counts from 1."""

    line: int
    task_id: str
    mode: str
    task: str
    result: str
    priority: str
    started_at: str | None
    ended_at: str | None
    duration: int | None

    @classmethod
    def of(cls, row: Row) -> EntryView:
        """The row as callers see it."""
        values = {name: cut(printable(value), SHOWN) for name, value in row.values.items()}
        return cls(
            line=row.line + 1,
            task_id=cut(printable(row.task_id), SHOWN),
            mode=values["mode"],
            task=values["task"],
            result=values["result"],
            priority=values["priority"],
            started_at=timing.format_time(row.started) if row.started else None,
            ended_at=timing.format_time(row.ended) if row.ended else None,
            duration=seconds(row),
        )

    def line_text(self) -> str:
        """The entry in one line."""
        took = "open" if self.ended_at is None else f"{self.duration} s"
        where = f"[{self.mode or '?'}]"
        task = " ".join(self.task.split())
        return f"{self.started_at} {where} {self.task_id} {took}: {task} ({self.result})"


@dataclass(frozen=True)
class Filter:
    """Conditions that all must hold; a row without a time never matches a date."""

    mode: str | None
    priority: str | None
    start: datetime | None
    end: datetime | None
    open_only: bool
    task_id: str | None

    @classmethod
    def of(
        cls,
        *,
        mode: str | None,
        priority: str | None,
        start: str | None,
        end: str | None,
        open_only: bool,
        task_id: str | None,
    ) -> Filter:
        """The filter of a request; raises E_INVALID where a date is none or the range is empty."""
        first = instant("start_date", start)
        last = instant("end_date", end)
        if last is not None and end is not None and _DATE.fullmatch(end.strip()):
            last += timedelta(days=1) - timedelta(microseconds=1)
        if first and last and first > last:
            raise SidecarError(ErrorCode.INVALID, "start_date lies after end_date.")
        return cls(mode, priority, first, last, open_only, task_id)

    @property
    def has_dates(self) -> bool:
        """Whether rows without a time are left out."""
        return self.start is not None or self.end is not None

    def matches(self, row: Row) -> bool:
        """Whether all conditions hold for a row."""
        return (
            self.mode in (None, row.values["mode"])
            and self.priority in (None, row.values["priority"].casefold())
            and self.task_id in (None, row.task_id)
            and (row.is_open or not self.open_only)
            and self._in_range(row.started)
        )

    def _in_range(self, time: datetime | None) -> bool:
        if time is None:
            return not self.has_dates
        after = self.start is None or time >= self.start
        return after and (self.end is None or time <= self.end)


def instant(name: str, text: str | None) -> datetime | None:
    """The instant that a caller wrote as a date or time, UTC by default; raises E_INVALID."""
    if text is None:
        return None
    day = _DATE.fullmatch(text.strip())
    try:
        time = (
            datetime.fromisoformat(text.strip()).replace(tzinfo=UTC)
            if day
            else timing.parse_time(text)
        )
    except ValueError:
        time = None
    if time is None:
        message = f"{name} is neither a date nor a time."
        hint = "Write it as 2025-05-01 or 2025-05-01T10:00:00Z."
        raise SidecarError(ErrorCode.INVALID, message, hint=hint)
    return time


def is_readable(row: Row) -> bool:
    """Whether the row's fields can be told apart, perhaps after realigning them."""
    return row.problem != "missing-fields"


def seconds(row: Row) -> int | None:
    """How long a task took: as noted, else by its start and end."""
    if row.is_open:
        return None
    if row.duration is not None:
        return row.duration
    return None if row.elapsed is None else max(0, int(row.elapsed))


def totals(rows: Sequence[Row]) -> Totals:
    """The figures over some rows; percentiles by nearest rank."""
    known = sorted(value for row in rows if (value := seconds(row)) is not None)
    opened = sum(row.is_open for row in rows)
    return Totals(
        count=len(rows),
        completed=len(rows) - opened,
        open=opened,
        total_seconds=sum(known),
        mean_seconds=round(fmean(known), 1) if known else None,
        p50_seconds=_percentile(known, 50),
        p95_seconds=_percentile(known, 95),
    )


def _percentile(ordered: Sequence[int], percent: int) -> int | None:
    if not ordered:
        return None
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def grouped(rows: Sequence[Row], key: GroupKey) -> dict[str, Totals]:
    """The figures by mode, priority, result or UTC day; the largest groups first."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(_group(row, key), []).append(row)
    largest = sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))[:MAX_GROUPS]
    return {name: totals(members) for name, members in largest}


def _group(row: Row, key: GroupKey) -> str:
    if key == "day":
        return f"{row.started:%Y-%m-%d}" if row.started else "(no time)"
    return cut(printable(row.values[key]).strip(), QUOTED) or "(none)"


def open_task(row: Row, now: datetime, limit: int) -> OpenTask:
    """An open row with its age and whether it is beyond its limit in seconds."""
    age = int((now - row.started).total_seconds()) if row.started else None
    return OpenTask(
        task_id=cut(printable(row.task_id), SHOWN),
        task=cut(printable(row.values["task"]), QUOTED),
        started_at=timing.format_time(row.started) if row.started else None,
        age_seconds=age,
        limit_seconds=limit,
        overdue=age is not None and age > limit,
        line=row.line + 1,
    )


def problems(file: TimingFile, *, undated: bool) -> list[Problem]:
    """Every line that is not read as it stands, in order; with ``undated`` those without time."""
    found = []
    for row in file.rows:
        reason = _REASONS.get(row.problem, "")
        if undated and not reason and row.started is None:
            reason = "no time, so no date filter can choose it"
        if reason:
            found.append((row.line, reason, row.span))
    found += [
        (record.line, "NUL bytes: text in another encoding", record.span)
        for record in file.table.records
        if record.kind is tsv.RecordKind.FOREIGN
    ]
    return [
        Problem(line=line + 1, reason=reason, text=printable(file.source.slice(span))[:QUOTED])
        for line, reason, span in sorted(found)
    ]


def page(rows: Sequence[Row], limit: int, cursor: str | None) -> tuple[list[Row], str | None]:
    """The newest rows below the cursor, and the cursor of the next page; raises E_INVALID."""
    ordered = sorted(rows, key=_place, reverse=True)
    if cursor is not None:
        reached = _reached(cursor)
        ordered = [row for row in ordered if _place(row) < reached]
    chosen = list(fitting(ordered[:limit], lambda row: row.span.end - row.span.start))
    more = len(ordered) > len(chosen)
    return chosen, "{:.6f}:{}".format(*_place(chosen[-1])) if more else None


def _place(row: Row) -> tuple[float, int]:
    return (round(row.started.timestamp(), 6) if row.started else 0.0, row.line)


def _reached(cursor: str) -> tuple[float, int]:
    time, _, line = cursor.partition(":")
    try:
        return float(time), int(line)
    except ValueError:
        message = "The cursor is not one of this tool's."
        raise SidecarError(ErrorCode.INVALID, message, hint="Ask without a cursor.") from None
