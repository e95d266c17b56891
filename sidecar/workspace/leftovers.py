"""Our own unfinished writes, left behind by a crash."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from datetime import datetime, timedelta

from sidecar.domain.errors import SidecarError
from sidecar.workspace.directories import Directory, Tree
from sidecar.workspace.replacing import is_temporary

# A write takes seconds; whatever is older than this has no writer any more.
STALE_AFTER = timedelta(hours=1)
_MOST_FOLDERS = 20_000
_SKIPPED = frozenset({".git", "node_modules", ".venv", "__pycache__"})


@dataclass(frozen=True)
class Leftovers:
    """The stale temporary files found, and whether every folder was searched."""

    paths: tuple[str, ...]
    complete: bool


def find(tree: Tree, now: datetime) -> Leftovers:
    """The workspace's stale temporary files of ours; links are not followed."""
    found: list[str] = []
    pending, seen = [""], 0
    oldest = (now - STALE_AFTER).timestamp()
    while pending and seen < _MOST_FOLDERS:
        seen += 1
        folder = pending.pop()
        try:
            with tree.directory(folder) as directory:
                stale, inner = _sorted_out(directory, oldest)
        except (OSError, SidecarError):
            continue  # gone meanwhile, or not ours to read
        found += [f"{folder}/{name}".lstrip("/") for name in stale]
        pending += [f"{folder}/{name}".lstrip("/") for name in inner]
    return Leftovers(tuple(sorted(found)), complete=not pending)


def remove(tree: Tree, path: str) -> bool:
    """Delete one of them; whether it was there."""
    folder, _, name = path.rpartition("/")
    if not is_temporary(name):
        message = f"{name} is not a temporary file of ours"
        raise ValueError(message)
    try:
        with tree.directory(folder) as directory:
            directory.remove(name)
    except FileNotFoundError:
        return False
    return True


def _sorted_out(directory: Directory, oldest: float) -> tuple[list[str], list[str]]:
    stale: list[str] = []
    inner: list[str] = []
    for name in directory.names():
        try:
            status = directory.status(name)
        except OSError:
            continue
        if is_temporary(name):
            if status.st_mtime < oldest and stat.S_ISREG(status.st_mode):
                stale.append(name)
        elif name not in _SKIPPED and stat.S_ISDIR(status.st_mode):
            inner.append(name)
    return stale, inner
