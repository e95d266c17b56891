"""Rows of the time log, written durably: append one, close exactly one, finish pending ones."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from sidecar.domain import timing
from sidecar.domain.edit import apply_edits
from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.domain.kind import Kind
from sidecar.domain.timing import Row, TimingFile
from sidecar.services.context import Context
from sidecar.workspace.files import Content

# Rows that could not be written; they are completed at the next start.
PENDING = "pending_rows"
BACKOFF_SECONDS = (0.05, 0.25)
RETRIED = frozenset({ErrorCode.IO, ErrorCode.BUSY, ErrorCode.TIMEOUT, ErrorCode.CONFLICT})
HEAD_BYTES = 4096
LISTED = 10


class TaskOpenError(SidecarError):
    """A task of that id is open already."""

    def __init__(self, task_id: str, file: TimingFile) -> None:
        message = f"Task `{task_id}` is open already."
        hint = f"Stop it first, or start with another task_id. {open_tasks(file)}"
        super().__init__(ErrorCode.CONFLICT, message, hint=hint)


def log_path(context: Context) -> str:
    """The time log's path in the workspace."""
    return context.workspace.path(Kind.TIMING, context.settings.product)


def read_log(context: Context) -> TimingFile:
    """The time log as it is on disk now; an empty one where there is none."""
    path = log_path(context)
    try:
        data = context.workspace.files.read(path).data
    except SidecarError as error:
        if error.code is not ErrorCode.NOT_FOUND:
            raise
        data = b""
    return timing.parse(data.decode("utf-8", "replace"), path=path)


def append(context: Context, values: dict[str, str], *, unique: bool) -> bool:
    """Add one row; with ``unique`` raise E_CONFLICT where its id is open already.

    False when the row could not be made durable and waits in the side journal instead.
    """
    return _durable(
        lambda: _append(context, values, unique=unique),
        lambda: _keep(context, values["task_id"], {"action": "append", "values": values}),
    )


def append_once(context: Context, values: dict[str, str]) -> None:
    """Add one row unless one of its id is there, open or closed; durable when this returns.

    Raises E_UNAVAILABLE after three tries: nothing is left to be written later.
    """
    path = log_path(context)

    def change(content: Content | None) -> bytes | None:
        file = _parsed(content, path)
        known = any(row.task_id == values["task_id"] for row in file.rows)
        return None if known else _with_row(file, values)

    def refuse() -> None:
        message = f"The row of `{values['task_id']}` could not be written to `{path}`."
        raise SidecarError(ErrorCode.UNAVAILABLE, message, hint="Without it nothing is begun.")

    def write() -> None:
        old = _needs_migration(context, path)
        context.workspace.files.update(path, change, backup="migrate" if old else None)

    _durable(write, refuse)


def close(context: Context, row: Row, end: datetime, duration: int, result: str) -> bool:
    """Close the open row with that row's id, wherever it stands by now; False when pending.

    Raises E_NOT_FOUND where it has been closed meanwhile.
    """
    record = {
        "action": "close",
        "end": timing.format_time(end),
        "duration": duration,
        "result": result,
    }
    return _durable(
        lambda: _close(context, row.task_id, record),
        lambda: _keep(context, row.task_id, record),
    )


def close_later(context: Context, task_id: str, end: datetime, duration: int, result: str) -> None:
    """Leave it to the side journal to close the row of a log that cannot be read now."""
    told = {"end": timing.format_time(end), "duration": duration, "result": result}
    _keep(context, task_id, {"action": "close", **told})


def pending(context: Context, task_id: str) -> dict[str, str] | None:
    """The values of a started row that waits in the side journal."""
    with context.workspace.store.transaction() as records:
        record = records.get(PENDING, task_id)
    return record["values"] if record and record["action"] == "append" else None


def complete_pending(context: Context) -> list[str]:
    """Write the rows that wait in the side journal; the ids of those that are written now."""
    with context.workspace.store.transaction() as records:
        waiting = records.items(PENDING)
    done = []
    for task_id, record in waiting:
        try:
            if record["action"] == "append":
                _append(context, record["values"], unique=True)
            else:
                _close(context, task_id, record)
        except SidecarError as error:
            written = isinstance(error, TaskOpenError) or error.code is ErrorCode.NOT_FOUND
            if not written:
                continue
        with context.workspace.store.transaction() as records:
            records.delete(PENDING, task_id)
        done.append(task_id)
    return done


def unknown_task(file: TimingFile, task_id: str) -> SidecarError:
    """The refusal to stop a task that is not open, with the list of those that are."""
    known = [row for row in file.rows if row.task_id == task_id]
    state = f"was stopped before (line {known[-1].line + 1})" if known else "was never started"
    message = f"Task `{task_id}` is not open: it {state}."
    return SidecarError(ErrorCode.NOT_FOUND, message, hint=open_tasks(file))


def open_tasks(file: TimingFile) -> str:
    """A sentence that lists the open tasks, newest first."""
    rows = file.open_rows()[::-1]
    if not rows:
        return "No task is open."
    listed = ", ".join(f"`{printable(row.task_id)}`" for row in rows[:LISTED])
    more = f" and {len(rows) - LISTED} more" if len(rows) > LISTED else ""
    return f"Open tasks: {listed}{more}."


def printable(text: str) -> str:
    """A text without half characters, which no protocol can carry."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _append(context: Context, values: dict[str, str], *, unique: bool) -> None:
    files, path = context.workspace.files, log_path(context)
    columns = None if unique else _columns_ready(context, path)
    if columns is not None:
        row = timing.new_row(values, columns) + "\n"
        files.append(path, row.encode("utf-8", "replace"))
        return
    old = _needs_migration(context, path)

    def change(content: Content | None) -> bytes:
        file = _parsed(content, path)
        if unique and any(row.task_id == values["task_id"] for row in file.open_rows()):
            raise TaskOpenError(values["task_id"], file)
        return _with_row(file, values)

    files.update(path, change, backup="migrate" if old else None)


def _columns_ready(context: Context, path: str) -> tuple[str, ...] | None:
    """The log's columns if a row may simply be appended, None if the header must change first."""
    try:
        head = context.workspace.files.head(path, HEAD_BYTES)
    except SidecarError as error:
        if error.code is not ErrorCode.NOT_FOUND:
            raise
        return None
    file = timing.parse(_to_first_record(head).decode("utf-8", "replace"))
    return None if timing.migrate(file) else file.columns


def _to_first_record(head: bytes) -> bytes:
    """As much as tells the columns: they do not depend on what comes after the first record."""
    first = head.partition(b"\n")[0]
    return first if b"\t" in first and not first.lstrip().startswith(b"#") else head


def _needs_migration(context: Context, path: str) -> bool:
    return context.workspace.files.exists(path) and _columns_ready(context, path) is None


def _with_row(file: TimingFile, values: dict[str, str]) -> bytes:
    text = apply_edits(file.source.text, timing.migrate(file))
    newline = "\r\n" if file.header and "\r\n" in text[: file.header.span.end + 2] else "\n"
    if text and not text.endswith(("\n", "\r")):
        text += newline
    columns = timing.parse(text).columns
    text += timing.new_row(values, columns) + newline
    return text.encode("utf-8", "surrogateescape")


def _close(context: Context, task_id: str, record: dict[str, object]) -> None:
    path = log_path(context)
    end = timing.parse_time(str(record["end"])) or context.clock()

    def change(content: Content | None) -> bytes:
        file = _parsed(content, path)
        rows = [row for row in file.open_rows() if row.task_id == task_id]
        if not rows:
            raise unknown_task(file, task_id)
        duration, result = int(str(record["duration"])), str(record["result"])
        edits = timing.close_row(rows[-1], end=end, duration=duration, result=result)
        return apply_edits(file.source.text, edits).encode("utf-8", "surrogateescape")

    context.workspace.files.update(path, change, backup=None)


def _parsed(content: Content | None, path: str) -> TimingFile:
    # Bytes that are not UTF-8 belong to foreign rows and must survive.
    text = content.data.decode("utf-8", "surrogateescape") if content else ""
    return timing.parse(text, path=path)


def _durable(write: Callable[[], None], keep: Callable[[], None]) -> bool:
    """Try three times; then leave it to the side journal."""
    for delay in (*BACKOFF_SECONDS, None):
        try:
            write()
        except TaskOpenError:
            raise
        except SidecarError as error:
            if error.code not in RETRIED:
                raise
            if delay is None:
                keep()
                return False
            time.sleep(delay)
        else:
            return True
    return False


def _keep(context: Context, task_id: str, record: dict[str, object]) -> None:
    with context.workspace.store.transaction() as records:
        records.put(PENDING, task_id, record)
