"""Pages: how much of an ordered answer is given at once, and where the next part begins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from sidecar.domain.errors import ErrorCode, SidecarError

# An answer beyond this is cut or refused by most clients.
REPLY_CHARACTERS = 100_000
T = TypeVar("T")


def fitting(items: Sequence[T], size: Callable[[T], int]) -> Sequence[T]:
    """The first items that fit into one answer by their sizes in characters, at least one."""
    left = REPLY_CHARACTERS
    for count, item in enumerate(items):
        left -= size(item)
        if left < 0:
            return items[: max(1, count)]
    return items


def cut(text: str, most: int) -> str:
    """The text, or as much of it as allowed and a sign that there is more."""
    return text if len(text) <= most else f"{text[:most]}…"


def start_of(cursor: str | None) -> int:
    """How many items earlier pages have given; raises E_INVALID for a cursor that is not ours."""
    if cursor is None:
        return 0
    if cursor.isascii() and cursor.isdigit() and len(cursor) <= 12:
        return int(cursor)
    message = "The cursor is not one that an earlier answer gave."
    raise SidecarError(ErrorCode.INVALID, message, hint="Pass next_cursor unchanged.")


def cursor_after(start: int, given: int, total: int) -> str | None:
    """The cursor of the page that follows, None after the last."""
    return str(start + given) if given and start + given < total else None
