"""Rules for the values of the time log's rows: status, priority, order, spelling of times."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import accumulate

from sidecar.domain import timing
from sidecar.domain.edit import Edit
from sidecar.domain.finding import Fix, Severity
from sidecar.domain.kind import Kind
from sidecar.domain.project import Project
from sidecar.domain.source import Span
from sidecar.domain.timing import PRIORITIES, Row, TimingFile, shortened
from sidecar.rules.rule import Hit, rule

# Rows are stamped before they are appended, so neighbours may differ by a moment, in seconds.
TOLERANCE = 1.5
_PRIORITY_WORDS = {
    "high": "normal",
    "medium": "normal",
    "low": "normal",
    "urgent": "normal",
    "critical": "normal",
    "none": "normal",
    "scheduled": "schedule",
    "todos": "todo",
    "top priority": "schedule",
}
_STATUS_FIRST = re.compile(rf"({'|'.join(timing.STATUSES)})\b[ \t:.–—-]*", re.IGNORECASE)
_UNFINISHED = ("started", "in_progress")


@rule("TT006", Severity.WARNING, Kind.TIMING)
def bad_status(file: TimingFile, _project: Project) -> Iterator[Hit]:
    """The result is not a status that fits the row.

    Readers count a row by its result, one word such as `completed`, `failed` or `started`. With
    the words under `task` and the prose under `result`, with `started` on a row that has ended,
    or with a whole sentence, it is counted as something else or not at all.

    Bad:
        timestamp⇥mode⇥task_id⇥start_time⇥end_time⇥duration⇥task⇥result⇥priority
        2025-04-30T09:30:00Z⇥code⇥t1⇥2025-04-30T09:30:00Z⇥2025-04-30T09:31:00Z⇥60⇥completed⇥Ran⇥todo
    Bad:
        timestamp⇥mode⇥task_id⇥start_time⇥end_time⇥duration⇥task⇥result⇥priority
        2025-04-30T09:30:00Z⇥code⇥t1⇥2025-04-30T09:30:00Z⇥2025-04-30T09:31:00Z⇥60⇥Run⇥started⇥todo
    Good:
        timestamp⇥mode⇥task_id⇥start_time⇥end_time⇥duration⇥task⇥result⇥priority
        2025-04-30T09:30:00Z⇥code⇥t1⇥2025-04-30T09:30:00Z⇥2025-04-30T09:31:00Z⇥60⇥Run⇥completed⇥todo
        2025-05-01T10:10:00Z⇥code⇥t2⇥2025-05-01T10:10:00Z⇥⇥⇥Run again⇥started⇥todo
    """
    for row in file.rows:
        if row.problem:
            continue
        hit = _swapped(row) or _contradiction(row) or _prose(row)
        if hit:
            yield hit


def _swapped(row: Row) -> Hit | None:
    task, result = row.values["task"].strip(), row.values["result"].strip()
    if not timing.is_status(task) or timing.is_status(result):
        return None
    if result.casefold() in PRIORITIES or result.casefold() in _PRIORITY_WORDS:
        values = {"task": "", "result": task}
        if not row.values["priority"].strip():
            values["priority"] = _PRIORITY_WORDS.get(result.casefold(), result.casefold())
        title, found = "Move them one column on", f"`{task}` and `{result}` stand one column early"
    else:
        values = {"task": result, "result": task}
        title, found = "Swap task and result", f"the status `{task}` stands under `task`"
    return Hit(
        row.span_of("task"),
        f"In this row {found}, so readers find no status and count the row as neither done nor "
        f"open. {title}.",
        (Fix(title, timing.set_fields(row, values)),),
    )


def _contradiction(row: Row) -> Hit | None:
    """The status says started and the row has an end, or the reverse."""
    match = _STATUS_FIRST.match(row.values["result"].strip())
    if match is None:
        return None
    unfinished = match[1].casefold() in _UNFINISHED
    if unfinished is row.is_open:
        return None
    state = "has an end" if unfinished else "has no end"
    right = "completed" if unfinished else "started"
    fix = _one_word(row, right, row.values["result"].strip()[match.end() :])
    return Hit(
        row.span_of("result"),
        f"The result says `{match[1]}`, but the row {state}. Readers that go by the result and "
        "those that go by the end disagree about this task.",
        (fix,),
    )


def _prose(row: Row) -> Hit | None:
    result = row.values["result"].strip()
    if not result or timing.is_status(result):
        return None
    match = _STATUS_FIRST.match(result)
    status = match[1].casefold() if match else ("started" if row.is_open else "completed")
    details = result[match.end() :] if match else result
    shown = f"`{timing.shortened(result)}` is no status"
    what = "The result is a sentence" if " " in result else shown
    return Hit(
        row.span_of("result"),
        f"{what}: readers that look for a status such as `completed` do not count this row. Keep "
        "one word that they know here and the rest under `task`.",
        (_one_word(row, status, details),),
        Severity.HINT if match else Severity.WARNING,
    )


def _one_word(row: Row, status: str, details: str) -> Fix:
    task = " -> ".join(text for text in (row.values["task"].strip(), details) if text)
    edits = timing.set_fields(row, {"task": task, "result": status})
    rest = ", move the rest to the task" if details else ""
    return Fix(f"Say `{status}`{rest}", edits, safe=False)


@rule("TT007", Severity.WARNING, Kind.TIMING)
def bad_priority(file: TimingFile, _project: Project) -> Iterator[Hit]:
    """The priority is none of schedule, todo and normal.

    Reports by priority leave such rows out, and a limit that depends on the priority is not
    applied. Rows from before the column existed have none; one hint tells how many.

    Bad:
        timestamp⇥mode⇥task_id⇥start_time⇥end_time⇥duration⇥task⇥result⇥priority
        2025-04-30T09:30:00Z⇥code⇥t1⇥2025-04-30T09:30:00Z⇥2025-04-30T09:31:00Z⇥60⇥Run⇥completed⇥high
    Good:
        timestamp⇥mode⇥task_id⇥start_time⇥end_time⇥duration⇥task⇥result⇥priority
        2025-04-30T09:30:00Z⇥code⇥t1⇥2025-04-30T09:30:00Z⇥2025-04-30T09:31:00Z⇥60⇥Run⇥completed⇥normal
    """
    if "priority" not in file.columns:
        return
    empty: list[Row] = []
    for row in file.rows:
        priority = row.values["priority"].strip()
        if not priority:
            empty.append(row)
        elif priority not in PRIORITIES and row.problem != "extra-fields":
            folded = priority.casefold()
            right = folded if folded in PRIORITIES else _PRIORITY_WORDS.get(folded, "normal")
            yield Hit(
                row.span_of("priority"),
                f"`{shortened(priority)}` is no priority; reports by priority leave this row out. "
                f"Use {', '.join(PRIORITIES)}.",
                (Fix(f"Use `{right}`", timing.set_fields(row, {"priority": right})),)
                if not row.problem
                else (),
            )
    if empty:
        yield _empty_priorities(file, empty)


def _empty_priorities(file: TimingFile, rows: Sequence[Row]) -> Hit:
    edits = tuple(
        edit
        for row in rows
        if not row.problem
        for edit in timing.set_fields(row, {"priority": "normal"})
    )
    sound = all(not row.problem for row in rows)
    return Hit(
        rows[0].span,
        f"{len(rows)} of {len(file.rows)} rows have no priority, so reports by priority leave them "
        "out. Rows written before November 2025 have none.",
        (Fix("Set them to `normal`", edits, safe=False),) if sound else (),
        Severity.HINT,
    )


@rule("TT008", Severity.WARNING, Kind.TIMING)
def wrong_order(file: TimingFile, _project: Project) -> Iterator[Hit]:
    """A row is older than the one above it.

    The log is appended to, so readers that want the last hours read from its end and stop at the
    first older row. A row out of order hides those above it, or is not found.

    Bad:
        timestamp⇥mode⇥task_id⇥start_time⇥end_time⇥duration⇥task⇥result⇥priority
        2025-04-30T10:00:00Z⇥code⇥t2⇥2025-04-30T10:00:00Z⇥2025-04-30T10:01:00Z⇥60⇥Run⇥completed⇥todo
        2025-04-30T09:30:00Z⇥code⇥t1⇥2025-04-30T09:30:00Z⇥2025-04-30T09:31:00Z⇥60⇥Run⇥completed⇥todo
    Good:
        timestamp⇥mode⇥task_id⇥start_time⇥end_time⇥duration⇥task⇥result⇥priority
        2025-04-30T09:30:00Z⇥code⇥t1⇥2025-04-30T09:30:00Z⇥2025-04-30T09:31:00Z⇥60⇥Run⇥completed⇥todo
        2025-04-30T10:00:00Z⇥code⇥t2⇥2025-04-30T10:00:00Z⇥2025-04-30T10:01:00Z⇥60⇥Run⇥completed⇥todo
    """
    timed = [(row, time) for row in file.rows if (time := _written(row))]
    highest = list(accumulate((time for _, time in timed), max))
    latest: datetime | None = None
    for row, time in timed:
        if latest and (latest - time).total_seconds() > TOLERANCE:
            target = timed[bisect_right(highest, time)][0]
            yield Hit(
                row.span_of("timestamp"),
                f"This row is older than line {target.line + 1} above it. Readers that start from "
                "the end stop here or miss it. Sort it in.",
                (Fix(f"Move it above line {target.line + 1}", _moved(file, row, target)),),
            )
        else:
            latest = time


def _written(row: Row) -> datetime | None:
    """The time by which rows are ordered."""
    return timing.parse_time(row.values["timestamp"])


def _moved(file: TimingFile, row: Row, target: Row) -> tuple[Edit, ...]:
    line_end = file.source.lines[target.line][len(file.source.slice(target.span)) :]
    text = file.source.slice(row.span) + line_end
    start = file.source.line_starts[target.line]
    return (Edit(Span(start, start), text), *timing.delete_row(file, row))


@rule("TT009", Severity.WARNING, Kind.TIMING)
def time_format(file: TimingFile, _project: Project) -> Iterator[Hit]:
    """A time is not written as ISO 8601.

    Unix seconds and other spellings are not compared with the other rows' times by readers that
    expect `2025-05-01T10:00:00.000Z`, so such a row falls out of every report by date.

    Bad:
        timestamp⇥mode⇥task_id⇥start_time⇥end_time⇥duration⇥task⇥result⇥priority
        1746005400.25⇥code⇥t1⇥2025-04-30T09:30:00Z⇥2025-04-30T09:31:00Z⇥60⇥Run⇥completed⇥todo
    Good:
        timestamp⇥mode⇥task_id⇥start_time⇥end_time⇥duration⇥task⇥result⇥priority
        2025-04-30T09:30:00Z⇥code⇥t1⇥2025-04-30T09:30:00Z⇥2025-04-30T09:31:00Z⇥60⇥Run⇥completed⇥todo
    """
    for row in file.rows:
        for column in ("timestamp", "start_time", "end_time"):
            text = row.values[column].strip()
            if row.problem or not text or text[4:5] == "-":
                continue
            time = timing.parse_time(text)
            fixes: tuple[Fix, ...] = ()
            if time:
                edits = timing.set_fields(row, {column: timing.format_time(time)})
                fixes = (Fix("Write it as ISO 8601", edits),)
            yield Hit(
                row.span_of(column),
                f"`{shortened(text)}` is not a time as the other rows have it, so reports by date "
                "leave this row out. Write it as 2025-05-01T10:00:00.000Z.",
                fixes,
            )
