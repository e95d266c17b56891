"""Which files there are and what they hold, so that two moments can be compared.

Regular files and links; what may hold secrets, git's own files and our state are left out. Links
are never followed. A file that has kept its stamp since the snapshot before is not read again.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import Any

from sidecar.domain.errors import SidecarError
from sidecar.workspace.directories import Directory, regular
from sidecar.workspace.walking import Walk
from sidecar.workspace.workspace import Workspace

MAX_FILES = 50_000
# A larger file is known by its stamp alone, and is not kept.
MAX_BYTES = 64 * 1024 * 1024
# A file that was changed so shortly before its stamp was read may change again and keep it.
_UNSURE_NS = 50_000_000
_UNSURE = -1
_CHUNK = 1 << 20
LINK = "link"


@dataclass(frozen=True, slots=True)
class Seen:
    """One file: its stamp, and its content's hash; ``sha256`` begins with ``link:`` for a link.

    ``oid`` is git's name of the content, empty where no git is asked.
    """

    sha256: str
    stamp: tuple[int, ...]
    executable: bool = False
    oid: str = ""

    @property
    def modified_ns(self) -> int:
        """When it was written last, in nanoseconds since 1970."""
        return self.stamp[2]


@dataclass(frozen=True)
class Snapshot:
    """The files of one moment by path; ``complete`` is false where there were too many."""

    files: Mapping[str, Seen] = field(default_factory=dict)
    complete: bool = True

    def to_json(self) -> str:
        """The snapshot as text."""
        files = {
            path: (seen.sha256, seen.stamp, seen.executable, seen.oid)
            for path, seen in self.files.items()
        }
        return json.dumps({"complete": self.complete, "files": files}, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Snapshot:
        """What ``to_json`` wrote."""
        value = json.loads(text)
        files = {
            path: Seen(sha256, tuple(stamp), executable, oid)
            for path, (sha256, stamp, executable, oid) in value["files"].items()
        }
        return cls(files, value["complete"])


@dataclass(frozen=True, slots=True)
class Change:
    """One file that differs: ``status`` is A, M or D, a hash is None where there is no file."""

    path: str
    status: str
    before: str | None
    after: str | None


def walked(workspace: Workspace) -> Iterator[str]:
    """The files and links of a workspace that no ignore file leaves out."""
    for found in workspace.files.walk("", Walk(hidden=True)):
        if found.type in {"file", "symlink"}:
            yield found.path


def take(
    workspace: Workspace,
    paths: Iterable[str],
    known: Snapshot,
    *,
    oid: Callable[[int], Any] | None = None,
) -> Snapshot:
    """A snapshot of these files; ``oid`` begins git's hash of a content of so many bytes."""
    policy = workspace.files.policy
    listed = [path for path in islice(paths, MAX_FILES + 1) if _usable(path)]
    # What was allowed before is allowed now: the policy costs more than the look.
    fine = {path for path in listed[:MAX_FILES] if path in known.files or not policy.denies(path)}
    allowed = sorted(fine, key=_folder)
    files: dict[str, Seen] = {}
    for folder, inside in groupby(allowed, key=lambda path: _folder(path)[0]):
        try:
            with workspace.files.tree.directory(folder) as directory:
                for path in inside:
                    seen = _seen(directory, path, known.files.get(path), oid)
                    if seen is not None:
                        files[path] = seen
        except (OSError, SidecarError):
            continue  # gone since it was listed, or exchanged for a link
    return Snapshot(files, complete=len(listed) <= MAX_FILES)


def compare(before: Snapshot, after: Snapshot) -> list[Change]:
    """What differs, by path."""
    changes = []
    for path in sorted(before.files.keys() | after.files.keys()):
        one, two = before.files.get(path), after.files.get(path)
        if one is None and two is not None:
            changes.append(Change(path, "A", None, two.sha256))
        elif two is None and one is not None:
            changes.append(Change(path, "D", one.sha256, None))
        elif one is not None and two is not None and one.sha256 != two.sha256:
            changes.append(Change(path, "M", one.sha256, two.sha256))
    return changes


def _usable(path: str) -> bool:
    """Whether the name is UTF-8; no other can be named in a record."""
    return path.isascii() or path.encode("utf-8", "replace").decode() == path


def _folder(path: str) -> tuple[str, str]:
    folder, _, name = path.rpartition("/")
    return folder, name


def _seen(
    directory: Directory, path: str, known: Seen | None, oid: Callable[[int], Any] | None
) -> Seen | None:
    name = path.rpartition("/")[2]
    try:
        status = directory.status(name)
    except OSError:
        return None
    stamp = _stamp(status)
    unchanged = known is not None and stamp == known.stamp and _UNSURE not in stamp
    if known is not None and unchanged and (known.oid or oid is None):
        return known
    try:
        if stat.S_ISLNK(status.st_mode):
            return _link(directory.target(name), stamp, oid)
        executable = bool(status.st_mode & stat.S_IXUSR)
        if status.st_size > MAX_BYTES:
            return Seen(f"stamp:{stamp}", stamp, executable)
        sha256, named = _hashed(directory, name, path, oid)
        return Seen(sha256, stamp, executable, named)
    except (OSError, SidecarError):
        return None  # gone, unreadable, or no regular file


def _link(target: str, stamp: tuple[int, ...], oid: Callable[[int], Any] | None) -> Seen:
    named = oid(len(os.fsencode(target))) if oid else None
    if named:
        named.update(os.fsencode(target))
    return Seen(f"{LINK}:{target}", stamp, oid=named.hexdigest() if named else "")


def _stamp(status: os.stat_result) -> tuple[int, ...]:
    changed = status.st_ctime_ns
    if time.time_ns() - max(changed, status.st_mtime_ns) < _UNSURE_NS:
        changed = _UNSURE
    return (status.st_ino, status.st_size, status.st_mtime_ns, changed, status.st_mode)


def _hashed(
    directory: Directory, name: str, path: str, oid: Callable[[int], Any] | None
) -> tuple[str, str]:
    descriptor = regular(directory.open(name, os.O_RDONLY), path)
    try:
        sha256 = hashlib.sha256()
        named = oid(os.fstat(descriptor).st_size) if oid else None
        while chunk := os.read(descriptor, _CHUNK):
            sha256.update(chunk)
            if named:
                named.update(chunk)
    finally:
        os.close(descriptor)
    return sha256.hexdigest(), named.hexdigest() if named else ""
