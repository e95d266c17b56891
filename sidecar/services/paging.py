"""Cursors: where the next page of an ordered answer begins."""

from __future__ import annotations

from sidecar.domain.errors import ErrorCode, SidecarError


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
