"""The journal of mutations: who changed what, by which call, from which bytes to which."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.workspace import replacing, trouble
from sidecar.workspace.flushing import FLUSHER, Flushed
from sidecar.workspace.locking import Locks
from sidecar.workspace.user_dirs import private

SEGMENT_BYTES = 4 * 1024 * 1024
SEGMENTS_KEPT = 4


@dataclass(frozen=True, slots=True)
class Origin:
    """On whose behalf the present call changes files; ``run`` is the run that it works in."""

    tool: str = ""
    client: str = ""
    arguments_hash: str = ""
    run: str = ""


_NOBODY = Origin()
_origin: ContextVar[Origin] = ContextVar("origin", default=_NOBODY)


@contextmanager
def origin(
    *, tool: str, client: str = "", arguments_hash: str = "", run: str = ""
) -> Iterator[None]:
    """Everything changed inside is journaled as this tool's doing."""
    token = _origin.set(Origin(tool, client, arguments_hash, run))
    try:
        yield
    finally:
        _origin.reset(token)


@dataclass(frozen=True, slots=True)
class Mutation:
    """One journaled change; hashes are SHA-256, None where there was or is no file."""

    at: str
    tool: str
    client: str
    arguments_hash: str
    action: str
    path: str
    before: str | None
    after: str | None
    backup_id: str | None
    run: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """A mutation to be journaled."""

    origin: Origin
    action: str
    path: str
    before: str | None
    after: str | None
    backup_id: str | None = None


@dataclass(frozen=True, slots=True)
class Journaled:
    """Mutations that are being made durable; None where nobody should wait for it."""

    flushed: Flushed | None

    def wait(self) -> None:
        """Wait until they are; raises E_IO."""
        try:
            if self.flushed is not None:
                self.flushed.wait()
        except OSError as error:
            raise _unwritable(error) from error


class Journal:
    """Mutations of one workspace, oldest first, in JSON lines on the user's side."""

    origin = staticmethod(origin)

    def __init__(self, folder: Callable[[], Path], locks: Locks) -> None:
        self._folder = folder
        self._locks = locks

    def begin(self, entries: Sequence[Entry], *, urgent: bool = True) -> Journaled:
        """Add mutations; they are durable when the answer's ``wait`` returns. Raises E_IO.

        Those that are not ``urgent`` outlive this process at once, and a power failure soon after.
        """
        at = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        data = "".join(_line(at, entry) for entry in entries).encode("utf-8", "surrogateescape")
        try:
            return Journaled(self._append(data, urgent=urgent))
        except OSError as error:
            raise _unwritable(error) from error

    def _append(self, data: bytes, *, urgent: bool) -> Flushed | None:
        descriptor = _opened(self._file)
        try:
            replacing.write_all(descriptor, data)
            size = os.fstat(descriptor).st_size
            if size > SEGMENT_BYTES:
                self._rotate(self._file)
        except BaseException:
            os.close(descriptor)
            raise
        if urgent:
            return FLUSHER.begin(descriptor)
        FLUSHER.later(descriptor)
        return None

    @cached_property
    def _file(self) -> Path:
        return self._folder() / "journal.jsonl"

    def _rotate(self, file: Path) -> None:
        with self._locks.hold("journal"):
            if file.stat().st_size <= SEGMENT_BYTES:
                return
            for number in range(SEGMENTS_KEPT - 1, 0, -1):
                older = file.with_suffix(f".{number}.jsonl")
                if older.exists():
                    older.replace(file.with_suffix(f".{number + 1}.jsonl"))
            file.replace(file.with_suffix(".1.jsonl"))

    def entries(
        self, *, path: str | None = None, tool: str | None = None, since: datetime | None = None
    ) -> list[Mutation]:
        """The mutations still kept, oldest first, of one path or one tool where given.

        Those of before ``since`` may be left out: a file that ends before it is not read.
        """
        folder = self._folder()
        numbers = range(SEGMENTS_KEPT, 0, -1)
        files = [*(folder / f"journal.{n}.jsonl" for n in numbers), folder / "journal.jsonl"]
        return [
            entry
            for file in files
            if file.exists() and (since is None or file.stat().st_mtime >= since.timestamp())
            for entry in _parsed(file.read_text(encoding="utf-8", errors="replace"))
            if path in {None, entry.path} and tool in {None, entry.tool}
        ]


def present_origin() -> Origin:
    """On whose behalf this thread works."""
    return _origin.get()


def _line(at: str, entry: Entry) -> str:
    who = entry.origin
    mutation = {
        "at": at,
        "tool": who.tool,
        "client": who.client,
        "arguments_hash": who.arguments_hash,
        "action": entry.action,
        "path": entry.path,
        "before": entry.before,
        "after": entry.after,
        "backup_id": entry.backup_id,
        **({"run": who.run} if who.run else {}),
    }
    return json.dumps(mutation, ensure_ascii=False, separators=(",", ":")) + "\n"


def _unwritable(error: OSError) -> SidecarError:
    message = f"The journal of changes on the user's side is not written: {trouble.reason(error)}."
    hint = "See first whether the file was changed; then make room, or set SIDECAR_HOME."
    return SidecarError(ErrorCode.IO, message, hint=hint)


def _opened(file: Path) -> int:
    flags = os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0)
    with suppress(FileNotFoundError):
        return os.open(file, flags)
    descriptor = os.open(private(file.parent) / file.name, flags | os.O_CREAT, 0o600)
    _sync_folder(file.parent)
    return descriptor


def _sync_folder(folder: Path) -> None:
    if sys.platform != "win32":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _parsed(text: str) -> Iterator[Mutation]:
    for line in text.split("\n"):
        try:
            yield Mutation(**json.loads(line))
        except (ValueError, TypeError):
            continue  # a line cut off by a crash; what it told was never acknowledged
