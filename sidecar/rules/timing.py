"""Rules for the time log, task_timing.tsv."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sidecar.domain import timing
from sidecar.domain.edit import Edit
from sidecar.domain.finding import Fix, Severity
from sidecar.domain.kind import Kind
from sidecar.domain.project import Project
from sidecar.domain.source import Span
from sidecar.domain.timing import COLUMNS, Row, TimingFile, shortened
from sidecar.domain.tsv import Segment
from sidecar.rules.rule import Hit, rule

# Writers round, floor, or take the time a moment later; beyond this the figure is wrong.
TOLERANCE = 1.5


@rule("TT001", Severity.ERROR, Kind.TIMING)
def shifted_row(file: TimingFile, _project: Project) -> Iterator[Hit]:
    """A row's fields stand under the wrong headings.

    Readers take the fields by their place. Where one is missing in front, the id is read as the
    time and the time as the mode; where a text holds a tab, everything after it moves on; a row
    of fewer than seven fields is dropped. The task then counts nowhere.

    Bad:
        timestamp⇥mode⇥task_id⇥start_time⇥end_time⇥duration⇥task⇥result⇥priority
        c25e8085⇥2025-04-30T10:00:00Z⇥2025-04-30T10:01:21Z⇥81⇥Commit⇥completed
    Bad:
        timestamp⇥mode⇥task_id⇥start_time⇥end_time⇥duration⇥task⇥result⇥priority
        2025-04-30T10:01:21Z⇥fix_1⇥2025-04-30T10:00:00Z⇥2025-04-30T10:01:21Z⇥81⇥⇥completed⇥⇥
    Good:
        timestamp⇥mode⇥task_id⇥start_time⇥end_time⇥duration⇥task⇥result⇥priority
        2025-04-30T10:00:00Z⇥⇥c25e8085⇥2025-04-30T10:00:00Z⇥2025-04-30T10:01:21Z⇥81⇥Commit⇥completed⇥
    """
    if file.rows and file.header is None:
        yield Hit(
            file.rows[0].span,
            "The line with the headings is missing, so readers take this row for it and leave its "
            "task out. Put the headings above it.",
            (Fix("Insert the headings", (Edit(Span(0, 0), timing.HEADER + "\n"),)),),
        )
    for row in file.rows:
        if row.problem == "shifted":
            mode, task = [*(field.value for field in row.fields), "", ""][1:3]
            yield Hit(
                row.span,
                f"The mode is missing, so readers take {_told(mode)} for the mode and "
                f"{_told(task)} for the task's id. Put the fields under their headings.",
                (Fix("Put the fields under their headings", timing.realign(row)),),
            )
        elif row.problem == "extra-fields":
            yield Hit(
                Span(row.fields[len(COLUMNS)].span.start, row.span.end),
                f"This row has {len(row.fields)} fields for {len(COLUMNS)} columns: a text holds "
                "a tab, and what follows it stands under wrong headings. Write a tab as `\\t`.",
            )
        elif row.problem == "missing-fields":
            yield Hit(
                row.span,
                f"This row has {len(row.fields)} of {len(file.columns)} fields; readers drop a row "
                f"of fewer than {timing.MIN_FIELDS}. Add the missing ones or remove the row.",
            )


def _told(value: str) -> str:
    return f"`{shortened(value)}`" if value.strip() else "nothing"


@rule("TT002", Severity.ERROR, Kind.TIMING)
def foreign_encoding(file: TimingFile, _project: Project) -> Iterator[Hit]:
    """A part of the file is not UTF-8 text.

    PowerShell's `>>` writes UTF-16: every second byte is NUL, and readers that expect UTF-8 fail
    on the whole file or lose the rows. The fix rewrites the part as UTF-8 where nothing is lost.
    A replacement character (U+FFFD) shows that a character was lost before.

    Bad:
        timestamp⇥mode⇥task_id⇥start_time⇥end_time⇥duration⇥task⇥result⇥priority
        t<U+0000>a<U+0000>s<U+0000>k<U+0000>
    Good:
        timestamp⇥mode⇥task_id⇥start_time⇥end_time⇥duration⇥task⇥result⇥priority
        2025-04-30T10:00:00Z⇥code⇥t1⇥2025-04-30T10:00:00Z⇥2025-04-30T10:01:00Z⇥60⇥Ünï⇥completed⇥todo
    """
    for segment in file.table.segments:
        yield _foreign(file, segment)
    for row in file.rows:
        for field in row.fields:
            if "\ufffd" in field.raw:
                place = field.span.start + field.raw.index("\ufffd")
                yield Hit(
                    Span(place, place + 1),
                    "A character was lost here when the text was stored in another encoding "
                    "(U+FFFD). Write it again.",
                    severity=Severity.WARNING,
                )


def _foreign(file: TimingFile, segment: Segment) -> Hit:
    count = file.source.slice(segment.span).count("\x00")
    fixes: tuple[Fix, ...] = ()
    if segment.text is not None:
        fixes = (Fix("Rewrite as UTF-8", (Edit(segment.span, segment.text),)),)
    return Hit(
        segment.span,
        f"{count} NUL bytes: another encoding, probably UTF-16 from PowerShell, stands inside this "
        "UTF-8 file, and readers fail on it. Rewrite this part as UTF-8.",
        fixes,
    )


@rule("TT003", Severity.WARNING, Kind.TIMING)
def duration_mismatch(file: TimingFile, _project: Project) -> Iterator[Hit]:
    """The duration is not the time between start and end.

    Sums and means are taken from this column, in whole seconds. Whoever wrote the row took the
    end at another moment than the duration, or the duration of a task that never ended.

    Bad:
        timestamp⇥mode⇥task_id⇥start_time⇥end_time⇥duration⇥task⇥result⇥priority
        2025-04-30T09:30:00Z⇥code⇥t1⇥2025-04-30T09:30:00Z⇥2025-04-30T09:34:10Z⇥350⇥Run⇥completed⇥todo
    Good:
        timestamp⇥mode⇥task_id⇥start_time⇥end_time⇥duration⇥task⇥result⇥priority
        2025-04-30T09:30:00Z⇥code⇥t1⇥2025-04-30T09:30:00Z⇥2025-04-30T09:34:10Z⇥250⇥Run⇥completed⇥todo
    """
    for row in file.rows:
        if row.problem or not row.values["duration"].strip():
            continue
        place = row.span_of("duration")
        if row.is_open:
            yield Hit(
                place,
                f"This row has a duration of {row.values['duration']} s and no end: readers count "
                "it as open and its time as spent. Add the end or clear the duration.",
                (Fix("Clear the duration", timing.set_fields(row, {"duration": ""}), safe=False),),
            )
        elif row.elapsed is not None and row.elapsed < 0:
            yield Hit(
                row.span_of("end_time"),
                "This row ends before it starts, so no duration is right. Correct one of the two.",
            )
        elif row.elapsed is not None and not _fits(row.duration, row.elapsed):
            right = int(row.elapsed)
            yield Hit(
                place,
                f"The duration is {row.values['duration']} s, but from start to end it is "
                f"{row.elapsed:.1f} s. Sums over this file are wrong by the difference.",
                (
                    Fix(
                        f"Set the duration to {right}",
                        timing.set_fields(row, {"duration": str(right)}),
                    ),
                ),
            )


def _fits(duration: int | None, elapsed: float) -> bool:
    return duration is not None and abs(duration - elapsed) <= TOLERANCE


@rule("TT004", Severity.WARNING, Kind.TIMING)
def open_row(file: TimingFile, project: Project) -> Iterator[Hit]:
    """A task was started long ago and never stopped.

    An open row counts as work that goes on. Beyond the limit of its priority (3,600 s for a task,
    7,200 s for a schedule's run, unless the settings say otherwise) it was probably forgotten: a
    session ended without a stop, or the end was written as a row of its own.

    Bad:
        timestamp⇥mode⇥task_id⇥start_time⇥end_time⇥duration⇥task⇥result⇥priority
        2025-04-30T09:30:00Z⇥code⇥t1⇥2025-04-30T09:30:00Z⇥⇥⇥Run⇥started⇥todo
    Good:
        timestamp⇥mode⇥task_id⇥start_time⇥end_time⇥duration⇥task⇥result⇥priority
        2025-05-01T10:10:00Z⇥code⇥t1⇥2025-05-01T10:10:00Z⇥⇥⇥Run⇥started⇥todo
    """
    ended = {row.task_id: row for row in file.rows if row.ended and not row.problem}
    for row in file.rows:
        if not row.is_open or row.problem == "missing-fields":
            continue
        age = (project.now - row.started).total_seconds() if row.started else None
        limit = _limit(row, project)
        if age is not None and 0 <= age <= limit:
            continue
        since = f"since {timing.format_time(row.started)}" if row.started else "without a start"
        yield Hit(
            row.span_of("task_id"),
            f"Task `{shortened(row.task_id)}` is open {since}, beyond the limit of {limit} s. "
            "Stop it, or note when it ended.",
            tuple(_closings(row, ended)) if not row.problem else (),
        )


def _limit(row: Row, project: Project) -> int:
    scheduled = row.values["priority"].casefold() == "schedule"
    return project.schedule_limit_seconds if scheduled else project.todo_limit_seconds


def _closings(row: Row, ended: Mapping[str, Row]) -> Iterator[Fix]:
    if row.started is None:
        return
    other = ended.get(row.task_id)
    if other and other.line > row.line and other.ended:
        seconds = max(0, int((other.ended - row.started).total_seconds()))
        values = {"end_time": other.values["end_time"], "duration": str(seconds)}
        edits = timing.set_fields(row, values)
        yield Fix(f"Close it with the end on line {other.line + 1}", edits, safe=False)
    else:
        edits = timing.close_row(row, end=row.started, duration=0, result="abandoned")
        yield Fix("Close it as abandoned, with no time spent", edits, safe=False)


@rule("TT005", Severity.WARNING, Kind.TIMING)
def duplicate_row(file: TimingFile, _project: Project) -> Iterator[Hit]:
    """A task's id stands on more than one row.

    The same row twice counts its time twice. Two different rows under one id are mostly a start
    and an end that were written apart: neither has a duration. Each task needs one row.

    Bad:
        timestamp⇥mode⇥task_id⇥start_time⇥end_time⇥duration⇥task⇥result⇥priority
        2025-04-30T09:30:00Z⇥code⇥t1⇥2025-04-30T09:30:00Z⇥2025-04-30T09:31:00Z⇥60⇥Run⇥completed⇥todo
        2025-04-30T09:30:00Z⇥code⇥t1⇥2025-04-30T09:30:00Z⇥2025-04-30T09:31:00Z⇥60⇥Run⇥completed⇥todo
    Good:
        timestamp⇥mode⇥task_id⇥start_time⇥end_time⇥duration⇥task⇥result⇥priority
        2025-04-30T09:30:00Z⇥code⇥t1⇥2025-04-30T09:30:00Z⇥2025-04-30T09:31:00Z⇥60⇥Run⇥completed⇥todo
        2025-04-30T09:40:00Z⇥code⇥t2⇥2025-04-30T09:40:00Z⇥2025-04-30T09:41:00Z⇥60⇥Run⇥completed⇥todo
    """
    same: dict[tuple[str, ...], Row] = {}
    first: dict[str, Row] = {}
    for row in file.rows:
        if not row.task_id or row.problem == "missing-fields":
            continue
        copy = same.setdefault(row.raw, row)
        other = first.setdefault(row.task_id, row)
        if copy is not row:
            yield Hit(
                row.span,
                f"This row is the same as line {copy.line + 1}: its time counts twice. Remove it.",
                (Fix("Remove this row", timing.delete_row(file, row)),),
            )
        elif other is not row:
            yield Hit(
                row.span_of("task_id"),
                f"Task `{shortened(row.task_id)}` stands on line {other.line + 1} too. A task "
                "needs one row with start, end and duration: merge them, or give it another id.",
            )
