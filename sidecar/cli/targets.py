"""Which files the paths of a command line mean, and of which workspace each is."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sidecar.domain.kind import Kind
from sidecar.workspace.layout import kind_of

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
    """One file to check: as typed, its workspace's root, its path there, its kind."""

    shown: str
    root: Path
    path: str
    kind: Kind | None


def targets(paths: Sequence[str]) -> Iterator[Target]:
    """The files that the paths mean: a folder is searched, a file is taken as it is."""
    for typed in paths:
        path = Path(typed)
        if path.is_dir():
            yield from _searched(path)
        else:
            yield _target(path, _kind_by_name(path.name) or kind_of(path.name))


def _searched(folder: Path) -> Iterator[Target]:
    for directory, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in SKIPPED_FOLDERS)
        for name in sorted(files):
            path = Path(directory, name)
            kind = kind_of(PurePosixPath(path).as_posix())
            if kind is not None:
                yield _target(path, kind)


def _kind_by_name(name: str) -> Kind | None:
    lower = name.lower()
    return next((kind for end, kind in SUFFIXES.items() if lower.endswith(end)), None)


def _target(path: Path, kind: Kind | None) -> Target:
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 - a link named here is checked as itself
    folder = absolute.parent
    root = folder.parent if folder.name in {".roo", ".zoo"} else folder
    return Target(path.as_posix(), root, absolute.relative_to(root).as_posix(), kind)
