"""A workspace that keeps nothing: for dry runs, which take the very code of the real ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.workspace import paths, replacing
from sidecar.workspace.backups import Backup, Backups
from sidecar.workspace.files import Besides, Change, Content, Files, Written
from sidecar.workspace.store import Store, Transaction
from sidecar.workspace.workspace import Workspace

_NOT_MADE = "not-made"


def rehearsed(workspace: Workspace) -> Workspace:
    """The workspace as it is, whose changes are seen through this view alone."""
    files = workspace.files
    backups = _RehearsedBackups(workspace.backups.state, workspace.backups.store)
    return replace(
        workspace,
        files=_RehearsedFiles(
            files.tree, files.policy, files.locks, backups, files.journal, files.overlays
        ),
        backups=backups,
        store=_RehearsedStore(workspace.store),
    )


@dataclass(frozen=True)
class _RehearsedFiles(Files):
    """Files whose new contents stay in memory."""

    written: dict[str, Content] = field(default_factory=dict)

    def read(self, path: str, *, limit: int | None = None, prefer_editor: bool = False) -> Content:
        """The content that would be there."""
        known = self.written.get(self.locate(path)) if self.written else None
        return known or super().read(path, limit=limit, prefer_editor=prefer_editor)

    def head(self, path: str, size: int) -> bytes:
        """The first bytes that would be there."""
        return self.read(path).data[:size]

    def exists(self, path: str) -> bool:
        """Whether the file would be there."""
        return self.locate(path) in self.written or super().exists(path)

    def _update(
        self,
        path: str,
        change: Change,
        backup: str | None,  # noqa: ARG002 - the real one's signature
        *,
        create: bool,
        besides: Besides | None = None,
    ) -> Written:
        real = self.locate(path)
        folder = real.rpartition("/")[0]
        if folder and not create and not self.exists(folder):
            message = f"The folder of `{real}` does not exist."
            raise SidecarError(ErrorCode.NOT_FOUND, message)
        current = self.read(real) if self.exists(real) else None
        before = current.sha256 if current else None
        data = change(current)
        if data is None or (current and data == current.data):
            size = len(current.data) if current else 0
            return Written(real, size, before or "", before, None, changed=False)
        for other, piece in besides.missing() if besides else ():
            self.append(other, piece)
        content = self._keep(real, data)
        return Written(real, len(data), content.sha256, before, None, changed=True)

    def append(self, path: str, data: bytes) -> Written:
        """Add bytes at the end, in memory."""
        real = self.locate(path)
        before = self.read(real).data if self.exists(real) else b""
        self._keep(real, before + replacing.separator(before[-1:]) + data)
        digest = sha256(data).hexdigest()
        return Written(real, len(data), digest, None, None, changed=bool(data))

    def _keep(self, path: str, data: bytes) -> Content:
        content = Content(path, data, sha256(data).hexdigest(), datetime.now(UTC), 0o644)
        self.written[path] = content
        return content


class _RehearsedBackups(Backups):
    """Backups that are not made; those that exist can be read."""

    def add(
        self, path: str, data: bytes, *, reason: str, mode: int = 0o644, name: str = ""
    ) -> Backup:
        """The backup as it would be, but for its id."""
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        digest = sha256(data).hexdigest()
        return Backup(_NOT_MADE, paths.clean(path), digest, len(data), now, reason, mode, name)


_Changes = dict[tuple[str, str], dict[str, Any] | None]


class _RehearsedStore(Store):
    """Records whose changes stay in memory."""

    def __init__(self, real: Store) -> None:
        self._real = real
        self._changes: _Changes = {}

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """All or nothing, upon the records as they are and the changes so far."""
        with self._real.transaction() as real:
            mine = _RehearsedTransaction(real, dict(self._changes))
            yield mine
            self._changes = mine.changes

    @contextmanager
    def view(self) -> Iterator[Transaction]:
        """The records as they are, with the changes so far."""
        with self._real.view() as real:
            yield _RehearsedTransaction(real, dict(self._changes))

    def close(self) -> None:
        """Nothing is open; the real records belong to their workspace."""


class _RehearsedTransaction(Transaction):
    """Changes laid over the records; a deleted one is None."""

    def __init__(self, real: Transaction, changes: _Changes) -> None:
        self._real = real
        self.changes = changes

    def get(self, collection: str, key: str) -> dict[str, Any] | None:
        """One record, or None."""
        if (collection, key) in self.changes:
            return self.changes[collection, key]
        return self._real.get(collection, key)

    def put(self, collection: str, key: str, value: dict[str, Any]) -> None:
        """Create or replace one record in memory."""
        self.changes[collection, key] = value

    def delete(self, collection: str, key: str) -> bool:
        """Remove one record in memory; whether it was there."""
        found = self.get(collection, key) is not None
        self.changes[collection, key] = None
        return found

    def keys(self, collection: str, prefix: str = "") -> list[str]:
        """The keys of a collection, in order."""
        return [key for key, _ in self.items(collection, prefix)]

    def items(self, collection: str, prefix: str = "") -> list[tuple[str, dict[str, Any]]]:
        """The records of a collection, by key."""
        found: dict[str, dict[str, Any] | None] = dict(self._real.items(collection, prefix))
        mine = {key: value for (name, key), value in self.changes.items() if name == collection}
        found |= {key: value for key, value in mine.items() if key.startswith(prefix)}
        return [(key, value) for key, value in sorted(found.items()) if value is not None]
