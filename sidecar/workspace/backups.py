"""Earlier contents of files, by content: identical bytes are kept once.

The bytes lie in the workspace's state folder, small ones in the index until there are many. The
index lies on the user's side, and nothing is restored whose hash it does not know.
"""

from __future__ import annotations

import json
import secrets
import time
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.workspace import paths
from sidecar.workspace.state import State
from sidecar.workspace.store import Record, Store, Transaction

FOLDER = "backups"
KEPT_PER_FILE = 50
KEPT_FOR = timedelta(days=90)
MOST_BYTES = 512 * 1024 * 1024
MANIFEST_BYTES = 4 * 1024 * 1024
EXPLICIT = frozenset({"backup_file", "checkpoint"})
_MANIFEST = f"{FOLDER}/manifest.jsonl"
_INDEX = "backups"
_REFERENCES = "backup-references"
_TOTAL = "backup-total"
_BYTES = "backup-bytes"
# Larger contents would make the index's file large.
_SMALL_BYTES = 64 * 1024
# One backup in so many, by chance, looks whether index or manifest have grown too long.
_LOOK_EVERY = 64
_MOST_IN_INDEX = 256
_TOGETHER = 32
# Files whose backups are remembered.
_MOST_KNOWN = 64


@dataclass(frozen=True, slots=True)
class Backup:
    """One manifest line: which file, when, which bytes, why; ``blob`` lies in the state folder."""

    id: str
    path: str
    sha256: str
    size: int
    created: str
    reason: str
    mode: int
    name: str = ""

    @property
    def blob(self) -> str:
        """The state file that holds the bytes."""
        return _blob(self.sha256)

    @property
    def at(self) -> datetime:
        """The instant of the backup."""
        return datetime.fromisoformat(self.created)


_FIELDS = fields(Backup)


@dataclass(frozen=True, slots=True)
class Kept:
    """A content to keep, and why."""

    data: bytes
    reason: str
    mode: int = 0o644
    name: str = ""


def _stamp() -> tuple[str, str]:
    nanoseconds = time.time_ns()
    moment = datetime.fromtimestamp(nanoseconds // 10**9, UTC)
    fraction = nanoseconds % 10**9
    compact = f"{moment:%Y%m%dT%H%M%S}.{fraction:09d}Z"
    return compact, f"{moment:%Y-%m-%dT%H:%M:%S}.{fraction // 1000:06d}+00:00"


def _made(path: str, content: Kept) -> Backup:
    compact, created = _stamp()
    digest, size = sha256(content.data).hexdigest(), len(content.data)
    identity = f"{compact}-{digest[:8]}-{secrets.token_hex(2)}"
    return Backup(identity, path, digest, size, created, content.reason, content.mode, content.name)


@dataclass(frozen=True)
class Backups:
    """The backups of one workspace."""

    state: State
    store: Store
    most_bytes: int = MOST_BYTES
    # By file and key; a record of the index never changes.
    _known: dict[str, dict[str, Backup]] = field(default_factory=dict, repr=False, compare=False)

    def add(
        self, path: str, data: bytes, *, reason: str, mode: int = 0o644, name: str = ""
    ) -> Backup:
        """Keep the bytes of a file; when this returns they are durable."""
        return self.add_all(path, [Kept(data, reason, mode, name)])[0]

    def add_all(
        self, path: str, contents: Sequence[Kept], also: Sequence[Record] = ()
    ) -> list[Backup]:
        """Keep several contents that one file had, oldest first, in one transaction.

        Other records may be put into the same transaction: a transaction is a wait for the disk.
        """
        path = paths.clean(path)
        made = [_made(path, content) for content in contents]
        # Inside the transaction, so that no other process removes the blob found here.
        with self.store.transaction() as records:
            for record in also:
                records.put(*record)
            self._keep(records, made, contents)
            for backup in made:
                records.put(_INDEX, _key(backup), _record(backup))
            unused = self._counted(records, made, self._stale(records, path, made))
            unused += self._counted(records, (), self._beyond_the_cap(records))
            looking = secrets.randbelow(_LOOK_EVERY) == 0
            if looking:
                self._settle(records)
        self._remove(unused)
        if made:
            self.state.append(_MANIFEST, _lines(made))
        if looking:
            self._shorten_manifest()
        return made

    def _keep(self, records: Transaction, made: Sequence[Backup], contents: Sequence[Kept]) -> None:
        """Make durable what is not there yet.

        The small ones that nobody has asked for lie in the index's file, and are durable with it:
        that is one wait for the disk less. Most are dropped before there is need of a file.
        """
        files: dict[str, bytes] = {}
        for backup, content in zip(made, contents, strict=True):
            if backup.size <= _SMALL_BYTES and backup.reason not in EXPLICIT:
                if not self._is_kept(records, backup.sha256):
                    encoded = b64encode(content.data).decode("ascii")
                    records.put(_BYTES, backup.sha256, {"base64": encoded})
                continue
            if not self._holds(backup.sha256):
                files[backup.blob] = content.data
            records.delete(_BYTES, backup.sha256)
        if files:
            self.state.write_all(files)

    def _is_kept(self, records: Transaction, digest: str) -> bool:
        if records.get(_REFERENCES, digest) is None:
            return False
        return records.get(_BYTES, digest) is not None or self._holds(digest)

    def _settle(self, records: Transaction) -> None:
        """Make files of what only the index holds, where that has become much."""
        digests = records.keys(_BYTES)
        if len(digests) <= _MOST_IN_INDEX:
            return
        # Each of them is open until all are flushed.
        for group in (digests[at : at + _TOGETHER] for at in range(0, len(digests), _TOGETHER)):
            self.state.write_all({_blob(each): _bytes(records, each) or b"" for each in group})
        for digest in digests:
            records.delete(_BYTES, digest)

    def _remove(self, unused: Sequence[str]) -> None:
        """Remove the blobs of contents that no backup needs any more.

        In a transaction of its own: had the first one failed after this, the index would name
        bytes that are gone.
        """
        if not unused:
            return
        with self.store.transaction() as records:
            for digest in unused:
                again = records.get(_REFERENCES, digest) is not None
                if not again or records.get(_BYTES, digest) is not None:
                    self.state.remove(_blob(digest))

    def _shorten_manifest(self) -> None:
        """Make the manifest, which only people read, anew where it has grown too long."""
        if self.state.size(_MANIFEST) < MANIFEST_BYTES:
            return
        with self.store.view() as records:
            known = [_backup(value) for _, value in records.items(_INDEX)]
        self.state.write(_MANIFEST, _lines(sorted(known, key=lambda backup: backup.created)))

    def _holds(self, digest: str) -> bool:
        try:
            return sha256(self.state.read(_blob(digest))).hexdigest() == digest
        except SidecarError:
            return False

    @staticmethod
    def _counted(records: Transaction, made: Sequence[Backup], gone: Sequence[Backup]) -> list[str]:
        """Forget backups and count what still needs each content: those whose blob nothing does."""
        for backup in gone:
            records.delete(_INDEX, _key(backup))
        changes = Counter(backup.sha256 for backup in made)
        changes.subtract(backup.sha256 for backup in gone)
        sizes = {backup.sha256: backup.size for backup in (*made, *gone)}
        unused: list[str] = []
        grown = 0
        for digest, change in changes.items():
            before = int((records.get(_REFERENCES, digest) or {}).get("count", 0))
            after = max(0, before + change)
            grown += (bool(after) - bool(before)) * sizes[digest]
            if after:
                records.put(_REFERENCES, digest, {"count": after})
                continue
            records.delete(_REFERENCES, digest)
            if not records.delete(_BYTES, digest):
                unused.append(digest)
        if grown:
            total = int((records.get(_TOTAL, _TOTAL) or {}).get("bytes", 0))
            records.put(_TOTAL, _TOTAL, {"bytes": max(0, total + grown)})
        return unused

    def _stale(self, records: Transaction, path: str, made: Sequence[Backup]) -> list[Backup]:
        found = self._of_file(records, path, made)
        automatic = [backup for backup in found if backup.reason not in EXPLICIT]
        oldest = datetime.now(UTC) - KEPT_FOR
        surplus, kept = automatic[:-KEPT_PER_FILE], automatic[-KEPT_PER_FILE:]
        return surplus + [backup for backup in kept[:-1] if backup.at < oldest]

    def _of_file(self, records: Transaction, path: str, made: Sequence[Backup]) -> list[Backup]:
        """The backups of one file, oldest first; what is in the index is read once."""
        known = self._known.get(path, {}) | {_key(backup): backup for backup in made}
        keys = records.keys(_INDEX, prefix=f"{path}\n")
        if not known.keys() >= set(keys):
            known = {key: _backup(value) for key, value in records.items(_INDEX, f"{path}\n")}
        if len(self._known) > _MOST_KNOWN:
            self._known.clear()
        self._known[path] = {key: known[key] for key in keys}
        return list(self._known[path].values())

    def _beyond_the_cap(self, records: Transaction) -> list[Backup]:
        """The oldest automatic backups of all files, when all together are too large.

        A file's newest backup stays.
        """
        over = int((records.get(_TOTAL, _TOTAL) or {}).get("bytes", 0)) - self.most_bytes
        if over <= 0:
            return []
        known = [_backup(value) for _, value in records.items(_INDEX)]
        newest = {backup.path: backup.id for backup in known}
        going = []
        for backup in sorted(known, key=lambda each: each.created):
            if over <= 0:
                break
            if backup.reason not in EXPLICIT and newest[backup.path] != backup.id:
                going.append(backup)
                over -= backup.size
        return going

    def list(self, path: str) -> list[Backup]:
        """The backups of one file, newest first."""
        with self.store.view() as records:
            found = records.items(_INDEX, prefix=f"{paths.clean(path)}\n")
        return [_backup(value) for _, value in reversed(found)]

    def find(self, path: str, which: str) -> Backup:
        """The backup of this very file with this id, name or blob path; raises E_NOT_FOUND."""
        for backup in self.list(path):
            if which in {backup.id, backup.name, backup.blob, f"{self.state.folder}/{backup.blob}"}:
                return backup
        message = f"`{paths.clean(path)}` has no backup `{which}`."
        raise SidecarError(ErrorCode.NOT_FOUND, message, hint="Ask with list=true for all of them.")

    def read(self, backup: Backup) -> bytes:
        """The bytes of a backup, verified; raises E_CORRUPT where they are not what was kept."""
        missing: SidecarError | None = None
        try:
            data = self.state.read(backup.blob)
        except SidecarError as error:
            data, missing = b"", error
        if sha256(data).hexdigest() == backup.sha256 and not missing:
            return data
        with self.store.view() as records:
            kept = _bytes(records, backup.sha256)
        if missing and kept is None:
            raise missing
        if kept is None or sha256(kept).hexdigest() != backup.sha256:
            message = f"The backup `{backup.id}` does not hold the bytes that were put there."
            raise SidecarError(ErrorCode.CORRUPT, message, hint="Choose another backup.")
        return kept


def _blob(digest: str) -> str:
    return f"{FOLDER}/blobs/{digest[:2]}/{digest}"


def _bytes(records: Transaction, digest: str) -> bytes | None:
    found = records.get(_BYTES, digest)
    return None if found is None else b64decode(str(found["base64"]))


def _key(backup: Backup) -> str:
    return f"{backup.path}\n{backup.id}"


def _record(backup: Backup) -> dict[str, Any]:
    # asdict copies each value deeply, which takes longer than to write the record.
    return {each.name: getattr(backup, each.name) for each in _FIELDS}


def _backup(value: dict[str, Any]) -> Backup:
    return Backup(**value)


def _lines(backups: Sequence[Backup]) -> bytes:
    return "".join(json.dumps(_record(b), ensure_ascii=False) + "\n" for b in backups).encode()
