"""Whether a task may be created: its mode, its place below others, its time, its size."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.domain.suggest import did_you_mean
from sidecar.services.context import Context
from sidecar.services.mode_choice import SHOWN, Choice, Mode, ranked
from sidecar.services.task_queue import OPEN, Priority, Task, TaskQueue

MAX_DEPTH = 5
MAX_EXTRA_BYTES = 64_000


def choose_mode(
    wanted: str | None, description: str, modes: Sequence[Mode]
) -> tuple[str | None, list[Choice]]:
    """The mode wanted, else the best with the candidates; raises E_NOT_FOUND."""
    slugs = [mode.slug for mode in modes]
    if wanted is not None:
        if wanted in slugs:
            return wanted, []
        hint = did_you_mean(wanted, slugs) or f"The modes are: {', '.join(slugs)}."
        raise SidecarError(ErrorCode.NOT_FOUND, f"There is no mode `{wanted}`.", hint=hint)
    if not modes:
        return None, []
    choices = ranked(description, modes)[:SHOWN]
    if not choices:
        message = "No mode says that it is for such a task."
        hint = f"Name one by `target_mode`: {', '.join(slugs)}."
        raise SidecarError(ErrorCode.NOT_FOUND, message, hint=hint)
    return choices[0].slug, choices


def open_parent(queue: TaskQueue, task_id: str | None) -> Task | None:
    """The task under which another is created; raises E_NOT_FOUND, E_CONFLICT."""
    if task_id is None:
        return None
    parent = queue.get(task_id)
    if parent.state not in OPEN:
        message = f"Task `{parent.id}` is {parent.state}; it cannot delegate any more."
        raise SidecarError(ErrorCode.CONFLICT, message)
    return parent


def check_descent(queue: TaskQueue, parent: Task, mode: str | None, description: str) -> None:
    """Refuse what is too deep (E_LIMIT) or asks a mode above for the same (E_CONFLICT)."""
    if parent.depth + 1 > MAX_DEPTH:
        message = f"Tasks may be delegated {MAX_DEPTH} levels deep; `{parent.id}` is at the last."
        raise SidecarError(ErrorCode.LIMIT, message, hint="Do the work there instead.")
    same = " ".join(description.lower().split())
    for each in queue.ancestors(parent.id):
        if each.mode == mode and " ".join(each.description.lower().split()) == same:
            message = f"Task `{each.id}` above asks `{mode}` for the same: this is a cycle."
            raise SidecarError(ErrorCode.CONFLICT, message, hint="Delegate a part of it.")


def budget(
    context: Context, priority: Priority, deadline: datetime | None, parent: Task | None
) -> int:
    """Seconds the task may take: its kind's limit, its deadline, half of what its parent has."""
    settings, now = context.settings, context.clock()
    scheduled = priority == "schedule"
    limits = [settings.schedule_limit_seconds if scheduled else settings.todo_limit_seconds]
    if deadline is not None:
        limits.append(int((deadline - now).total_seconds()))
    if parent is not None:
        spent = (now - parent.claimed_at).total_seconds() if parent.claimed_at else 0
        left = [parent.budget_seconds - spent]
        if parent.deadline is not None:
            left.append((parent.deadline - now).total_seconds())
        limits.append(int(min(left) / 2))
    if min(limits) < 1:
        message = "No time is left for a further task under this parent."
        raise SidecarError(ErrorCode.LIMIT, message, hint="Do the work there instead.")
    return min(limits)


def future_deadline(text: str | None, now: datetime) -> datetime | None:
    """The instant that the text names; a date alone means the end of that day, naive is UTC.

    Raises E_INVALID for what is no date, or past.
    """
    if text is None:
        return None
    try:
        if len(text) == 10:  # a date alone
            parsed = datetime.combine(date.fromisoformat(text) + timedelta(days=1), time())
        else:
            parsed = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        told = f"`deadline` {text[:40]!r} is no ISO 8601 date or time."
        raise invalid(told, "For example 2026-03-01T17:00:00Z.") from None
    moment = parsed.replace(tzinfo=parsed.tzinfo or UTC).astimezone(UTC)
    if moment <= now:
        raise invalid(f"`deadline` {stamp(moment)} is not in the future; now is {stamp(now)}.")
    return moment


def bounded(name: str, value: dict[str, Any] | None) -> dict[str, Any]:
    """The value if it is small enough to be kept; raises E_TOO_LARGE."""
    size = len(json.dumps(value or {}))
    if size > MAX_EXTRA_BYTES:
        message = f"`{name}` has {size} bytes; {MAX_EXTRA_BYTES} are allowed."
        raise SidecarError(ErrorCode.TOO_LARGE, message, hint="Name files instead of quoting them.")
    return value or {}


def invalid(message: str, hint: str = "") -> SidecarError:
    """The refusal of an argument."""
    return SidecarError(ErrorCode.INVALID, message, hint=hint)


def stamp(moment: datetime) -> str:
    """An instant as results show it: UTC to the second."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
