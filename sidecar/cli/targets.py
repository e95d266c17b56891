"""Which files the paths of a command line mean, and of which workspace each is."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sidecar.domain.kind import Checked, Kind, Other
from sidecar.workspace.layout import SETTINGS_FILES, kind_of

# Folders whose files are other people's or machine made.
SKIPPED_FOLDERS = frozenset({
    ".git", ".hg", ".venv", "venv", "node_modules", "__pycache__", ".sidecar", ".tox", ".nox",
})  # fmt: skip
# Exported and renamed files still show their kind by the end of their name.
SUFFIXES = {
    ".roomodes": Kind.MODES, ".zoomodes": Kind.MODES, ".kilocodemodes": Kind.MODES,
    ".bobmodes": Kind.MODES, "modes.yaml": Kind.MODES, "modes.yml": Kind.MODES,
    "schedules.json": Kind.SCHEDULES, "todo.md": Kind.TODO, "task_timing.tsv": Kind.TIMING,
    "memory.md": Kind.MEMORY,
}  # fmt: skip


@dataclass(frozen=True)
class Target:
    """One file to check: as typed, its workspace's root, its path there, its kind.

    It was ``named`` itself, or found in a folder.
    """

    shown: str
    root: Path
    path: str
    kind: Checked | None
    named: bool = True


def targets(paths: Sequence[str], *, settings: bool = False) -> Iterator[Target]:
    """The files that the paths mean: a folder is searched, a file is taken as it is.

    Settings files are searched for where that is asked.
    """
    for typed in paths:
        path = Path(typed)
        if path.is_dir():
            yield from _searched(path, settings=settings)
        else:
            yield _target(path, _kind_by_name(path.name) or _kind(path), named=True)


def _searched(folder: Path, *, settings: bool) -> Iterator[Target]:
    for directory, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in SKIPPED_FOLDERS)
        for name in sorted(files):
            path = Path(directory, name)
            kind = _kind(path)
            if isinstance(kind, Kind) or (settings and kind):
                yield _target(path, kind, named=False)


def _kind(path: Path) -> Checked | None:
    if path.name in SETTINGS_FILES:
        return Other.SETTINGS
    return kind_of(PurePosixPath(path).as_posix())


def _kind_by_name(name: str) -> Kind | None:
    lower = name.lower()
    return next((kind for end, kind in SUFFIXES.items() if lower.endswith(end)), None)


def _target(path: Path, kind: Checked | None, *, named: bool) -> Target:
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 - a link named here is checked as itself
    folder = absolute.parent
    inner = folder.name in {".roo", ".zoo"} and kind is not Other.SETTINGS
    root = folder.parent if inner else folder
    return Target(path.as_posix(), root, absolute.relative_to(root).as_posix(), kind, named)
