"""Whether anything happened in a workspace: a walk over its files that gives up in time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sidecar.domain.errors import SidecarError
from sidecar.domain.kind import Kind
from sidecar.workspace.layout import kind_of
from sidecar.workspace.walking import Found, Walk
from sidecar.workspace.workspace import Workspace

ENTRIES = 50_000
SECONDS = 2.0
# The sidecar writes these itself, for every run and every skip.
_OWN = frozenset({Kind.SCHEDULES, Kind.TIMING})


@dataclass(frozen=True)
class Change:
    """Whether something changed, and how that is known."""

    reason: str
    changed: bool = True


def changed_since(
    workspace: Workspace, since: datetime, *, entries: int = ENTRIES, seconds: float = SECONDS
) -> Change:
    """Look for a file newer than an instant; where a bound is hit, something counts as changed.

    Ignored folders, links, and what the sidecar itself writes are not looked at.
    """
    end = time.monotonic() + seconds
    count = 0
    try:
        for found in _entries(workspace):
            count += 1
            if found.modified > since and _counts(found):
                return Change(f"`{found.path}` is newer")
            if count >= entries:
                return Change(f"not all known: more than {entries:,} entries")
            if time.monotonic() > end:
                return Change(f"not all known: {count:,} entries took {seconds:g} s")
    except SidecarError as error:
        return Change(f"not all known: {error.message}")
    return Change(f"{count:,} entries looked at", changed=False)


def _entries(workspace: Workspace) -> Iterator[Found]:
    own = workspace.state.folder
    return workspace.files.walk("", Walk(hidden=True, exclude=(f"/{own}/", "/.git/")))


def _counts(found: Found) -> bool:
    """Whether an entry tells of work; a folder is newer also when we write a file into it."""
    return found.type == "file" and kind_of(found.path) not in _OWN
