"""Walking a folder tree by descriptors: no link is followed, no protected name is told."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from sidecar.domain.errors import SidecarError
from sidecar.workspace import replacing, trouble
from sidecar.workspace.directories import Directory, Tree, regular
from sidecar.workspace.paths import Globs, Policy

DEPTH_LIMIT = 64
_IGNORE_FILE = ".gitignore"
_IGNORE_BYTES = 1024 * 1024

EntryType = Literal["file", "directory", "symlink", "other"]


@dataclass(frozen=True, slots=True)
class Found:
    """One entry: ``path`` is relative to the workspace, ``depth`` 0 in the folder walked."""

    path: str
    type: EntryType
    size: int
    modified: datetime
    depth: int

    @property
    def name(self) -> str:
        """The entry's own name."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class _Ignore:
    """The patterns of one .gitignore and the folder in which it lies."""

    folder: str
    globs: Globs

    def verdict(self, path: str) -> bool | None:
        if self.folder and not path.startswith(f"{self.folder}/"):
            return None
        inner = path[len(self.folder) + 1 :] if self.folder else path
        return self.globs.verdict(inner)


def _ignored(path: str, ignores: tuple[_Ignore, ...]) -> bool:
    """What the innermost ignore file with an opinion says."""
    verdicts = (ignore.verdict(path) for ignore in reversed(ignores))
    return next((verdict for verdict in verdicts if verdict is not None), False)


def _type(mode: int) -> EntryType:
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "directory"
    return "symlink" if stat.S_ISLNK(mode) else "other"


@dataclass(frozen=True)
class Walk:
    """What a walk shows: hidden names or not, how deep, which are left out.

    ``exclude`` are gitignore-style patterns relative to the workspace; ``max_depth`` 0 is the
    folder itself, None the limit of 64.
    """

    hidden: bool = False
    gitignore: bool = True
    recursive: bool = True
    max_depth: int | None = None
    exclude: tuple[str, ...] = ()

    def entries(self, tree: Tree, policy: Policy, start: str) -> Iterator[Found]:
        """Every entry, a folder before what it holds; raises E_NOT_FOUND for a missing start."""
        deepest = DEPTH_LIMIT if self.max_depth is None else min(self.max_depth, DEPTH_LIMIT)
        steps = _Steps(self, policy, 0 if not self.recursive else deepest)
        try:
            with tree.directory(start) as directory:
                yield from steps.inside(directory, start, 0, steps.above(tree, start))
        except NotADirectoryError:
            raise trouble.not_regular(start, "not a folder") from None
        except OSError as error:
            raise trouble.explained(error, start) from error


class _Steps:
    """One walk under way."""

    def __init__(self, walk: Walk, policy: Policy, deepest: int) -> None:
        self._walk = walk
        self._policy = policy
        self._deepest = deepest
        self._exclude = Globs(walk.exclude)

    def above(self, tree: Tree, start: str) -> tuple[_Ignore, ...]:
        """The ignore files of the folders above the start, outermost first."""
        found: tuple[_Ignore, ...] = ()
        names = start.split("/") if start else []
        for count in range(len(names)):
            folder = "/".join(names[:count])
            with tree.directory(folder) as directory:
                found = self._with_ignore(directory, folder, found)
        # Who names an ignored folder wants to see what is in it.
        parents = ["/".join(names[:count]) + "/" for count in range(1, len(names) + 1)]
        return () if any(_ignored(parent, found) for parent in parents) else found

    def _with_ignore(
        self, directory: Directory, folder: str, outer: tuple[_Ignore, ...]
    ) -> tuple[_Ignore, ...]:
        if not self._walk.gitignore:
            return outer
        try:
            descriptor = regular(directory.open(_IGNORE_FILE, os.O_RDONLY), _IGNORE_FILE)
        except (OSError, SidecarError):
            return outer
        try:
            text = replacing.read_all(descriptor, _IGNORE_BYTES).decode("utf-8", "replace")
        finally:
            os.close(descriptor)
        return (*outer, _Ignore(folder, Globs(text.split("\n"), lenient=True)))

    def inside(
        self, directory: Directory, folder: str, depth: int, outer: tuple[_Ignore, ...]
    ) -> Iterator[Found]:
        """The entries of an open folder, then of each folder in it."""
        ignores = self._with_ignore(directory, folder, outer)
        for name in directory.names():
            path = f"{folder}/{name}" if folder else name
            try:
                status = directory.status(name)
            except OSError:
                continue  # gone since it was listed
            kind = _type(status.st_mode)
            if self._left_out(path, name, ignores, is_directory=kind == "directory"):
                continue
            modified = datetime.fromtimestamp(status.st_mtime, UTC)
            size = status.st_size if kind == "file" else 0
            yield Found(path, kind, size, modified, depth)
            if kind == "directory" and depth < self._deepest:
                yield from self._below(directory, name, path, depth + 1, ignores)

    def _below(
        self,
        directory: Directory,
        name: str,
        path: str,
        depth: int,
        ignores: tuple[_Ignore, ...],
    ) -> Iterator[Found]:
        try:
            inner = directory.child(name)
        except OSError:
            return  # unreadable, gone, or exchanged for a link since it was listed
        try:
            yield from self.inside(inner, path, depth, ignores)
        finally:
            inner.close()

    def _left_out(
        self, path: str, name: str, ignores: tuple[_Ignore, ...], *, is_directory: bool
    ) -> bool:
        if not self._walk.hidden and name.startswith("."):
            return True
        if replacing.is_temporary(name) or self._policy.denies(path, directory=is_directory):
            return True
        shown = f"{path}/" if is_directory else path
        if self._exclude.match(shown):
            return True
        return _ignored(shown, ignores)
