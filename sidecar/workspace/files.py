"""The workspace's files: read, replaced, appended and walked, always beneath the root."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.workspace import paths, replacing, trouble
from sidecar.workspace.backups import Backups
from sidecar.workspace.content import MAX_BYTES, Besides, Change, Content, Written, load, of_editor
from sidecar.workspace.directories import Tree
from sidecar.workspace.journal import Journal
from sidecar.workspace.locking import Locks
from sidecar.workspace.overlays import Overlays
from sidecar.workspace.paths import Policy
from sidecar.workspace.walking import Found, Walk
from sidecar.workspace.writing import Writer

T = TypeVar("T")
_ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}
__all__ = ("MAX_BYTES", "Besides", "Change", "Content", "Files", "Written")


def _conflict(path: str, current: str | None) -> SidecarError:
    now = f"its etag is now {current}" if current else "it does not exist"
    message = f"`{path}` has changed meanwhile: {now}."
    return SidecarError(ErrorCode.CONFLICT, message, hint="Read it again, then repeat the change.")


@dataclass(frozen=True)
class Files:
    """All access of tools and services to the workspace's files."""

    tree: Tree
    policy: Policy
    locks: Locks
    backups: Backups
    journal: Journal
    overlays: Overlays

    @cached_property
    def _writer(self) -> Writer:
        return Writer(self.tree, self.locks, self.backups, self.journal)

    def locate(self, path: str) -> str:
        """The one spelling of a path, links inside the workspace resolved.

        Raises E_PATH_OUTSIDE, E_PROTECTED, E_INVALID.
        """
        named = paths.clean(path)
        self.policy.check(named)
        try:
            real = self.tree.canonical(named)
        except OSError as error:
            raise trouble.explained(error, named) from error
        if real != named:
            self.policy.check(real)
        return real

    def _resolved(self, path: str, use: Callable[[str], T]) -> T:
        """Use a path as named; where a link stands in it, as resolved."""
        named = paths.clean(path)
        self.policy.check(named)
        try:
            return use(named)
        except OSError as error:
            if error.errno not in {errno.ELOOP, errno.ENOTDIR}:
                raise trouble.explained(error, named) from error
        real = self.locate(path)
        try:
            return use(real)
        except OSError as error:
            raise trouble.explained(error, named) from error

    def read(self, path: str, *, limit: int | None = None, prefer_editor: bool = False) -> Content:
        """A file's content, at most ``limit`` bytes; raises E_NOT_FOUND, E_TOO_LARGE, E_INVALID.

        With ``prefer_editor`` the text of an open editor is answered in place of the disk's.
        """
        most = MAX_BYTES if limit is None else limit
        try:
            saved = self._resolved(path, lambda real: load(self.tree, real, most)[0])
        except SidecarError:
            edited = self._edited(path, None) if prefer_editor else None
            if edited is None:
                raise
            return edited
        edited = self._edited(path, saved.data) if prefer_editor else None
        return edited or saved

    def head(self, path: str, size: int) -> bytes:
        """At most the first ``size`` bytes of a file, however long it is; raises E_NOT_FOUND."""

        def read(real: str) -> bytes:
            descriptor = self.tree.open(real)
            try:
                return replacing.read_all(descriptor, size - 1)
            finally:
                os.close(descriptor)

        return self._resolved(path, read)

    def _edited(self, path: str, saved: bytes | None) -> Content | None:
        named = paths.clean(path)
        overlay = self.overlays.unsaved(named, saved)
        if overlay is None:
            return None
        self.policy.check(named)
        return of_editor(named, overlay)

    def exists(self, path: str) -> bool:
        """Whether a file or folder is there; raises E_PATH_OUTSIDE, E_PROTECTED, E_IO."""
        named = paths.clean(path)
        self.policy.check(named)
        if (seen := self.tree.seen(named)) is not None:
            return seen
        real = self.locate(path)
        folder, _, name = real.rpartition("/")
        try:
            with self.tree.directory(folder) as directory:
                return not name or replacing.stamp_of(directory, name) is not None
        except OSError as error:
            if error.errno in _ABSENT:
                return False
            raise trouble.explained(error, real) from error

    def write(
        self,
        path: str,
        data: bytes,
        *,
        if_match: str | None = None,
        backup: str | None = "write",
        create_directories: bool = True,
    ) -> Written:
        """Replace a file atomically and durably, or create it; raises E_CONFLICT, E_IO.

        ``if_match`` is the etag that the file must have, ``backup`` the reason noted with the
        backup of what was there; None keeps none.
        """

        def replaced(current: Content | None) -> bytes:
            found = current.sha256 if current else None
            if if_match is not None and if_match != found:
                raise _conflict(path, found)
            return data

        return self._update(path, replaced, backup, create=create_directories)

    def update(
        self,
        path: str,
        change: Change,
        *,
        backup: str | None = "update",
        besides: Besides | None = None,
    ) -> Written:
        """Read, change and replace a file under its lock; ``change`` may be called again.

        It gets None where there is no file, and returns None where nothing has to change. A
        foreign writer's new content is never overwritten: the change is repeated upon it, and
        refused with E_CONFLICT where that writer gives no peace. ``besides`` is what the change
        says has to be durable before it.
        """
        return self._update(path, change, backup, create=True, besides=besides)

    def _update(
        self,
        path: str,
        change: Change,
        backup: str | None,
        *,
        create: bool,
        besides: Besides | None = None,
    ) -> Written:
        return self._writer.update(self._named(path), change, backup, besides, create=create)

    def _named(self, path: str) -> str:
        real = self.locate(path)
        if not real:
            raise trouble.not_regular(path, "the workspace's root")
        return real

    def append(self, path: str, data: bytes) -> Written:
        """Add bytes at the end in one durable write, after the final newline if it is missing.

        ``size`` and ``sha256`` of the result are those of the added bytes.
        """
        return self._writer.append(self._named(path), data)

    def walk(self, directory: str = "", walk: Walk | None = None) -> Iterator[Found]:
        """The entries below a folder, in order; links are named, never followed."""
        start = self.locate(directory)
        return (walk or Walk()).entries(self.tree, self.policy, start)
