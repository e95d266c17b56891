"""The time log: one row per task in `task_timing.tsv`, started and stopped.

Nine columns since November 2025 (Loop-Orchestrator 7f512f2), eight without `priority` before.
Rows that other programs wrote stay byte for byte; what they mean is read as well as it can be.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

from sidecar.domain import tsv
from sidecar.domain.edit import Edit
from sidecar.domain.source import Source, Span

COLUMNS = (
    "timestamp",
    "mode",
    "task_id",
    "start_time",
    "end_time",
    "duration",
    "task",
    "result",
    "priority",
)
HEADER = "\t".join(COLUMNS)
PRIORITIES = ("schedule", "todo", "normal")
STATUSES = (
    "started",
    "in_progress",
    "completed",
    "failed",
    "cancelled",
    "abandoned",
    "escalated",
    "blocked",
    "skipped",
    "timed-out",
    "interrupted",
)
# How long a task may take before it counts as overdue, in seconds (the specification's limit).
TASK_LIMIT = 3600
SCHEDULE_LIMIT = 7200
MIN_FIELDS = 7
SHOWN = 40

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ISO = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d", re.ASCII)
_UNIX = re.compile(r"\d{9,10}(?:\.\d+)?|\d{13}", re.ASCII)
_MILLISECONDS = 13


@dataclass(frozen=True, slots=True)
class Header:
    """The line that names the columns."""

    line: int
    span: Span
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """One task's row; ``problem`` says why it was not taken at face value."""

    line: int
    span: Span
    raw: tuple[str, ...]
    columns: tuple[str, ...]
    problem: str = ""
    realigned: tuple[str, ...] | None = None

    @cached_property
    def fields(self) -> tuple[tsv.Field, ...]:
        """The fields as they stand, each with its place."""
        return tsv.fields(self.raw, self.span.start)

    @cached_property
    def values(self) -> dict[str, str]:
        """What each column means, with shifted fields put where they belong."""
        if self.realigned is not None:
            return dict(zip(COLUMNS, map(tsv.unescape, self.realigned), strict=True))
        values = dict.fromkeys(COLUMNS, "")
        return values | dict(zip(self.columns, map(tsv.unescape, self.raw), strict=False))

    def field(self, column: str) -> tsv.Field | None:
        """The field that stands under a column, None where the row is too short."""
        index = self.columns.index(column) if column in self.columns else len(self.fields)
        return self.fields[index] if index < len(self.fields) else None

    def span_of(self, column: str) -> Span:
        """Where a column's value stands; the row where it has none."""
        field = self.field(column)
        return field.span if field and field.raw and self.realigned is None else self.span

    @cached_property
    def task_id(self) -> str:
        """The task's id, unique among the open rows of a sound log."""
        return self.values["task_id"].strip()

    @cached_property
    def started(self) -> datetime | None:
        """When the task began; the row's own time stands in for a missing one."""
        return parse_time(self.values["start_time"]) or parse_time(self.values["timestamp"])

    @cached_property
    def ended(self) -> datetime | None:
        """When the task ended."""
        return parse_time(self.values["end_time"])

    @property
    def is_open(self) -> bool:
        """Whether no end is noted."""
        return not self.values["end_time"].strip()

    @cached_property
    def duration(self) -> int | None:
        """How long the task took, in seconds, as noted."""
        text = self.values["duration"].strip()
        return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else None

    @cached_property
    def elapsed(self) -> float | None:
        """How long the task took, in seconds, by its start and end."""
        start = parse_time(self.values["start_time"])
        return (self.ended - start).total_seconds() if start and self.ended else None


@dataclass(frozen=True)
class TimingFile:
    """A parsed time log."""

    source: Source
    path: str
    table: tsv.Table
    header: Header | None
    rows: tuple[Row, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns in force: the header's, else all nine."""
        return self.header.columns if self.header else COLUMNS

    def open_rows(self) -> tuple[Row, ...]:
        """The rows without an end that have an id and can be closed."""
        return tuple(r for r in self.rows if not r.problem and r.is_open and r.task_id)


def parse(text: str, *, path: str = "") -> TimingFile:
    """The model of a time log; never raises."""
    table = tsv.parse(text)
    records = [r for r in table.records if r.kind is tsv.RecordKind.RECORD]
    header = _header(records[0]) if records else None
    columns = header.columns if header else COLUMNS
    rows = tuple(_row(record, columns) for record in records[1 if header else 0 :])
    return TimingFile(table.source, path, table, header, rows)


def parse_time(text: str) -> datetime | None:
    """An instant from ISO 8601 (without a zone: UTC) or Unix seconds or milliseconds."""
    text = text.strip()
    try:
        if _UNIX.fullmatch(text):
            milliseconds = len(text) == _MILLISECONDS and text.isdigit()
            seconds = float(text) / (1000 if milliseconds else 1)
            return _EPOCH + timedelta(seconds=seconds)
        if not _ISO.match(text):
            return None
        time = datetime.fromisoformat(text)
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def format_time(time: datetime) -> str:
    """An instant as the log writes it: UTC, milliseconds, Z."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def new_row(values: dict[str, str], columns: Sequence[str] = COLUMNS) -> str:
    """One row's text without its line end; no value can forge a field or a row."""
    return "\t".join(tsv.escape(values.get(column, "")) for column in columns)


def close_row(row: Row, *, end: datetime, duration: int, result: str) -> tuple[Edit, ...]:
    """The change that closes exactly this row; ``duration`` is in whole seconds."""
    values = {"end_time": format_time(end), "duration": str(duration), "result": result}
    return set_fields(row, values)


def set_fields(row: Row, values: dict[str, str]) -> tuple[Edit, ...]:
    """The change that gives some of a row's columns new values and leaves the rest alone."""
    edits = []
    missing: dict[int, str] = {}
    for column, value in values.items():
        field = row.field(column)
        text = tsv.escape(value)
        if field is None:
            if column in row.columns:
                missing[row.columns.index(column)] = text
        elif field.raw != text:
            edits.append(Edit(field.span, text))
    if missing:
        added = [missing.get(i, "") for i in range(len(row.fields), max(missing) + 1)]
        edits.append(Edit(Span(row.span.end, row.span.end), "\t" + "\t".join(added)))
    return tuple(edits)


def realign(row: Row) -> tuple[Edit, ...]:
    """The change that puts a shifted row's fields under their headings."""
    return () if row.realigned is None else (Edit(row.span, "\t".join(row.realigned)),)


def migrate(file: TimingFile) -> tuple[Edit, ...]:
    """The change that gives the log the header of all nine columns; rows stay as they are.

    An older row simply ends before `priority`. A header in another order is left alone.
    """
    if file.header is None:
        return () if file.rows else (Edit(Span(0, 0), HEADER + "\n"),)
    if file.header.columns == COLUMNS[: len(file.header.columns)] != COLUMNS:
        return (Edit(file.header.span, HEADER),)
    return ()


def delete_row(file: TimingFile, row: Row) -> tuple[Edit, ...]:
    """The change that removes a row with its line end."""
    starts = file.source.line_starts
    if row.line + 1 < len(starts):
        return (Edit(Span(starts[row.line], starts[row.line + 1]), ""),)
    before = file.source.line_span(row.line - 1).end if row.line else 0
    return (Edit(Span(before, row.span.end), ""),)


def _header(record: tsv.Record) -> Header | None:
    names = tuple(name.strip(" \ufeff").casefold() for name in record.raw)
    while names and not names[-1]:
        names = names[:-1]
    if {"task_id", "task"} <= set(names) or names[:2] == COLUMNS[:2]:
        return Header(record.line, record.span, names)
    return None


def _row(record: tsv.Record, columns: tuple[str, ...]) -> Row:
    raw = record.raw
    realigned = _realigned(raw) if columns == COLUMNS[: len(columns)] else None
    problem = ""
    if realigned is not None:
        problem = "shifted"
    elif any(raw[len(COLUMNS) :]):
        problem = "extra-fields"
    elif len(raw) < MIN_FIELDS:
        problem = "missing-fields"
    return Row(record.line, record.span, raw, columns, problem, realigned)


def _realigned(raw: tuple[str, ...]) -> tuple[str, ...] | None:
    """The nine fields of a row whose mode (and own time) is missing, None for any other row."""
    # Ids may be Unix milliseconds, so only a written-out time tells a time from an id.
    times = [_ISO.match(text) is not None for text in raw[:3]]
    if times[:2] == [False, True]:
        task_id, start, rest = raw[0], raw[1], list(raw[2:])
        stamp = start
    elif times[1:] == [False, True] and parse_time(raw[0]):
        stamp, task_id, start, rest = raw[0], raw[1], raw[2], list(raw[3:])
    else:
        return None
    if not task_id:
        return None
    end = rest.pop(0) if rest and (not rest[0] or parse_time(rest[0])) else ""
    duration = rest.pop(0) if rest and (not rest[0] or rest[0].isdigit()) else ""
    task, result, priority = _texts([text for text in rest if text])
    return (stamp, "", task_id, start, end, duration, task, result, priority)


def _texts(texts: list[str]) -> tuple[str, str, str]:
    """Task, result and priority from what is left of a shifted row."""
    priority = texts.pop() if texts and texts[-1].casefold() in PRIORITIES else ""
    if len(texts) == 1:
        return ("", texts[0], priority) if is_status(texts[0]) else (texts[0], "", priority)
    return (texts[0] if texts else "", " ".join(texts[1:]), priority)


def is_status(text: str) -> bool:
    """Whether a text is one of the words for how a task stands."""
    return text.strip().casefold() in STATUSES


def shortened(text: str) -> str:
    """A value short enough for a message."""
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"
