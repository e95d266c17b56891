"""The workspace's files: read, replaced, appended and walked, always beneath the root."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Literal, TypeVar

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.workspace import paths, replacing, trouble
from sidecar.workspace.backups import Backups
from sidecar.workspace.directories import Tree
from sidecar.workspace.journal import Journal
from sidecar.workspace.locking import Locks
from sidecar.workspace.overlays import Overlays
from sidecar.workspace.paths import Policy
from sidecar.workspace.replacing import ForeignWriterError, Stamp
from sidecar.workspace.walking import Found, Walk

MAX_BYTES = 64 * 1024 * 1024
_ATTEMPTS = 20
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Content:
    """One file's bytes at one moment; ``sha256`` is its etag, ``mode`` its permission bits."""

    path: str
    data: bytes
    sha256: str
    modified: datetime
    mode: int
    source: Literal["disk", "editor"] = "disk"

    @property
    def text(self) -> str:
        """The bytes as UTF-8; raises E_INVALID where they are none."""
        try:
            return self.data.decode("utf-8")
        except UnicodeDecodeError as error:
            message = f"`{self.path}` is not UTF-8 text: byte {error.start} does not fit."
            raise SidecarError(ErrorCode.INVALID, message) from None


@dataclass(frozen=True, slots=True)
class Written:
    """What a write left: hashes are SHA-256; ``changed`` is false where nothing had to change."""

    path: str
    size: int
    sha256: str
    previous_sha256: str | None
    backup_id: str | None
    changed: bool


Change = Callable[[Content | None], bytes | None]


def _conflict(path: str, current: str | None) -> SidecarError:
    now = f"its etag is now {current}" if current else "it does not exist"
    message = f"`{path}` has changed meanwhile: {now}."
    return SidecarError(ErrorCode.CONFLICT, message, hint="Read it again, then repeat the change.")


def _restless(path: str) -> SidecarError:
    message = f"`{path}` is being changed by another program again and again."
    return SidecarError(ErrorCode.CONFLICT, message, hint="Try again when it has finished.")


def _appending(data: bytes) -> Change:
    def appended(current: Content | None) -> bytes:
        before = current.data if current else b""
        return before + replacing.separator(before[-1:]) + data

    return appended


@dataclass(frozen=True)
class Files:
    """All access of tools and services to the workspace's files."""

    tree: Tree
    policy: Policy
    locks: Locks
    backups: Backups
    journal: Journal
    overlays: Overlays

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
        edited = self._edited(paths.clean(path)) if prefer_editor else None
        try:
            saved = self._resolved(path, lambda real: self._read(real, most)[0])
        except SidecarError:
            if edited is None:
                raise
            return edited
        return saved if edited is None or edited.data == saved.data else edited

    def _edited(self, path: str) -> Content | None:
        overlay = self.overlays.get(path)
        if overlay is None:
            return None
        self.policy.check(path)
        data = overlay.text.encode("utf-8", "replace")
        return Content(path, data, sha256(data).hexdigest(), overlay.changed, 0o644, "editor")

    def _read(self, path: str, limit: int) -> tuple[Content, os.stat_result]:
        for _ in range(_ATTEMPTS):
            descriptor = self.tree.open(path)
            try:
                before = os.fstat(descriptor)
                if before.st_size > limit:
                    raise trouble.too_large(path, limit)
                data = replacing.read_all(descriptor, limit)
                after = os.fstat(descriptor)
            finally:
                os.close(descriptor)
            if len(data) > limit:
                raise trouble.too_large(path, limit)
            # A writer in place was at work: these bytes may be half old and half new.
            if Stamp.of(before) == Stamp.of(after):
                break
        modified = datetime.fromtimestamp(after.st_mtime, UTC)
        mode = stat.S_IMODE(after.st_mode)
        return Content(path, data, sha256(data).hexdigest(), modified, mode), after

    def exists(self, path: str) -> bool:
        """Whether a file or folder is there; raises E_PATH_OUTSIDE, E_PROTECTED."""
        real = self.locate(path)
        folder, _, name = real.rpartition("/")
        try:
            with self.tree.directory(folder) as directory:
                return not name or replacing.stamp_of(directory, name) is not None
        except OSError:
            return False

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

    def update(self, path: str, change: Change, *, backup: str | None = "update") -> Written:
        """Read, change and replace a file under its lock; ``change`` may be called again.

        It gets None where there is no file, and returns None where nothing has to change. A
        foreign writer's new content is never overwritten: the change is repeated upon it.
        """
        return self._update(path, change, backup, create=True)

    def _update(self, path: str, change: Change, backup: str | None, *, create: bool) -> Written:
        real = self.locate(path)
        folder, _, name = real.rpartition("/")
        if not name:
            raise trouble.not_regular(path, "the workspace's root")
        with self.locks.hold(real):
            for _ in range(_ATTEMPTS):
                try:
                    return self._replaced(real, change, backup, create=create)
                except ForeignWriterError:
                    continue
                except OSError as error:
                    raise trouble.explained(error, folder or real) from error
        raise _restless(real)

    def _current(self, path: str) -> tuple[Content | None, os.stat_result | None]:
        try:
            return self._read(path, MAX_BYTES)
        except FileNotFoundError:
            return None, None

    def _replaced(self, path: str, change: Change, backup: str | None, *, create: bool) -> Written:
        current, status = self._current(path)
        data = change(current)
        before = current.sha256 if current else None
        if data is None or (current and data == current.data):
            size = len(current.data) if current else 0
            return Written(path, size, before or "", before, None, changed=False)
        kept = None
        if backup is not None and current:
            kept = self.backups.add(path, current.data, reason=backup, mode=current.mode).id
        folder, _, name = path.rpartition("/")
        with self.tree.directory(folder, create=create) as directory:
            temporary = replacing.prepare(directory, data, status)
            try:
                replacing.swap(directory, temporary, name, self._unchanged(path, before))
            except BaseException:
                with suppress(FileNotFoundError):
                    directory.remove(temporary)
                raise
            directory.sync()
        after = sha256(data).hexdigest()
        self.journal.record(backup or "write", path, before, after, kept)
        return Written(path, len(data), after, before, kept, changed=True)

    def _unchanged(self, path: str, digest: str | None) -> Stamp | None:
        """The stamp of the file if it still has the content; preparing may have taken long."""
        current, status = self._current(path)
        if (current.sha256 if current else None) != digest:
            raise ForeignWriterError
        return None if status is None else Stamp.of(status)

    def append(self, path: str, data: bytes) -> Written:
        """Add bytes at the end in one durable write, after the final newline if it is missing.

        ``size`` and ``sha256`` of the result are those of the added bytes.
        """
        real = self.locate(path)
        folder, _, name = real.rpartition("/")
        if not name:
            raise trouble.not_regular(path, "the workspace's root")
        try:
            with self.locks.hold(real), self.tree.directory(folder, create=True) as directory:
                if replacing.has_other_names(directory, name):
                    # Bytes added in place would reach the other names, wherever they are.
                    self._replaced(real, _appending(data), None, create=True)
                else:
                    replacing.append(directory, name, data)
        except ForeignWriterError:
            raise _restless(real) from None
        except OSError as error:
            raise trouble.explained(error, real) from error
        digest = sha256(data).hexdigest()
        self.journal.record("append", real, None, digest)
        return Written(real, len(data), digest, None, None, changed=bool(data))

    def walk(self, directory: str = "", walk: Walk | None = None) -> Iterator[Found]:
        """The entries below a folder, in order; links are named, never followed."""
        start = self.locate(directory)
        return (walk or Walk()).entries(self.tree, self.policy, start)
