"""Changes of files on the disk: under the lock, durable, and as many together as wait for it."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.workspace import content, journal, replacing, trouble
from sidecar.workspace.backups import Backup, Backups, Kept
from sidecar.workspace.committing import Queue
from sidecar.workspace.content import Besides, Change, Content, Written
from sidecar.workspace.directories import Directory, Tree
from sidecar.workspace.journal import Entry, Journal, Origin
from sidecar.workspace.locking import Locks
from sidecar.workspace.replacing import ForeignWriterError, OtherNamesError, Stamp

_ATTEMPTS = 20
# Seconds between two attempts at most, doubled each time up to the longest; 1 s all together.
_PAUSE, _LONGEST_PAUSE = 0.001, 0.1


@dataclass(frozen=True, slots=True)
class Wish:
    """A change that one thread waits for; ``added`` holds the bytes of a mere append."""

    change: Change
    backup: str | None
    create: bool
    origin: Origin
    added: bytes | None = None
    besides: Besides | None = None

    @property
    def family(self) -> tuple[bool, bool]:
        """Appends go together, and so do replacements."""
        return self.added is None, self.create


@dataclass(frozen=True, slots=True)
class _Step:
    """One wish's share of a replacement; ``place`` is its number in the batch."""

    place: int
    wish: Wish
    before: Content | None
    after: Content


Outcomes = list[Written | BaseException]


def _restless(path: str) -> SidecarError:
    message = f"`{path}` is being changed by another program again and again."
    return SidecarError(ErrorCode.CONFLICT, message, hint="Try again when it has finished.")


def _appending(data: bytes) -> Change:
    def appended(current: Content | None) -> bytes:
        before = current.data if current else b""
        return before + replacing.separator(before[-1:]) + data

    return appended


@dataclass(frozen=True)
class Writer:
    """The one way in which files of a workspace are changed; paths are resolved already."""

    tree: Tree
    locks: Locks
    backups: Backups
    journal: Journal
    _queues: dict[str, Queue[Wish, Written]] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def update(
        self,
        path: str,
        change: Change,
        backup: str | None,
        besides: Besides | None = None,
        *,
        create: bool,
    ) -> Written:
        """Replace a file by what ``change`` makes of it; raises what that raises, E_IO, E_BUSY."""
        wish = Wish(change, backup, create, journal.present_origin(), besides=besides)
        return self._queue(path).done(wish, partial(self._serve, path, self._replaced))

    def append(self, path: str, data: bytes) -> Written:
        """Add bytes at the end; raises E_IO, E_BUSY."""
        wish = _append(data, journal.present_origin())
        return self._queue(path).done(wish, partial(self._serve, path, self._appended))

    def _queue(self, path: str) -> Queue[Wish, Written]:
        with self._guard:
            return self._queues.setdefault(path, Queue())

    def _serve(
        self, path: str, work: Callable[[str, Sequence[Wish]], Outcomes], wishes: Sequence[Wish]
    ) -> Outcomes:
        with self.locks.hold(path):
            found = self._tried(path, work, wishes)
            if len(wishes) == 1 or not isinstance(found, SidecarError):
                return found if isinstance(found, list) else [found]
            # One of them may be to blame, so each gets a try of its own.
            alone = [self._tried(path, work, [wish]) for wish in wishes]
        return [each[0] if isinstance(each, list) else each for each in alone]

    def _tried(
        self, path: str, work: Callable[[str, Sequence[Wish]], Outcomes], wishes: Sequence[Wish]
    ) -> Outcomes | SidecarError:
        for attempt in range(_ATTEMPTS):
            try:
                return work(path, wishes)
            except ForeignWriterError:
                # Not in step with a program that saves at regular intervals.
                time.sleep(random.uniform(0, min(_LONGEST_PAUSE, _PAUSE * 2**attempt)))  # noqa: S311
            except SidecarError as error:
                return error
            except OSError as error:
                folder = path.rpartition("/")[0]
                return trouble.explained(error, folder or path)
        # All of them met the same program, and would meet it again.
        return [_restless(path) for _ in wishes]

    def _replaced(self, path: str, wishes: Sequence[Wish]) -> Outcomes:
        current, status = content.current(self.tree, path)
        outcomes, steps = _folded(path, current, wishes)
        if not steps:
            return outcomes
        self._prepared_besides(steps)
        kept = self._backed_up(path, steps)
        before = current.sha256 if current else None
        folder, _, name = path.rpartition("/")
        with self.tree.directory(folder, create=wishes[0].create) as directory:
            temporary = replacing.prepare(directory, steps[-1].after.data, status)
            try:
                replacing.swap(directory, temporary, name, self._unchanged(path, before))
            except BaseException:
                with suppress(FileNotFoundError):
                    directory.remove(temporary)
                raise
            journaled = self.journal.begin([_entry(path, step, kept) for step in steps])
            directory.sync()
            journaled.wait()
        for step in steps:
            outcomes[step.place] = _written(path, step, kept)
        return outcomes

    def _backed_up(self, path: str, steps: Sequence[_Step]) -> dict[int, Backup]:
        """The backups of what each step finds, where it wants one, by the step's place."""
        wanted = {
            step.place: Kept(step.before.data, step.wish.backup, step.before.mode)
            for step in steps
            if step.before is not None and step.wish.backup is not None
        }
        records = [record for step in steps for record in _besides(step).records]
        if not wanted and not records:
            return {}
        made = self.backups.add_all(path, list(wanted.values()), records)
        return dict(zip(wanted, made, strict=True))

    def _prepared_besides(self, steps: Sequence[_Step]) -> None:
        """Append to other files what has to be there before this one is replaced; raises E_IO."""
        pieces: dict[str, list[tuple[Wish, bytes]]] = {}
        for step in steps:
            for path, data in _besides(step).missing():
                pieces.setdefault(path, []).append((step.wish, data))
        for path, added in pieces.items():
            wishes = [_append(data, wish.origin) for wish, data in added]
            for outcome in self._serve(path, self._appended, wishes):
                if isinstance(outcome, BaseException):
                    raise outcome
            for wish, data in added:
                if wish.besides is not None:
                    wish.besides.appended.add((path, data))

    def _unchanged(self, path: str, digest: str | None) -> Stamp | None:
        """The stamp of the file if it still has the content; preparing may have taken long."""
        current, status = content.current(self.tree, path)
        if (current.sha256 if current else None) != digest:
            raise ForeignWriterError
        return None if status is None else Stamp.of(status)

    def _appended(self, path: str, wishes: Sequence[Wish]) -> Outcomes:
        folder, _, name = path.rpartition("/")
        added = [wish.added or b"" for wish in wishes]
        digests = [sha256(data).hexdigest() for data in added]
        entries = [
            Entry(wish.origin, "append", path, None, digest)
            for wish, digest in zip(wishes, digests, strict=True)
        ]
        with self.tree.directory(folder, create=True) as directory:
            try:
                self._extended(directory, name, entries, added)
            except OtherNamesError:
                self._replaced(path, wishes)
        return [
            Written(path, len(data), digest, None, None, changed=bool(data))
            for data, digest in zip(added, digests, strict=True)
        ]

    def _extended(
        self, directory: Directory, name: str, entries: Sequence[Entry], added: Sequence[bytes]
    ) -> None:
        with replacing.appending(directory, name, added) as flush:
            # Nothing is undone by these, so the journal need not reach the disk with the rows.
            self.journal.begin(entries, urgent=False)
            flush()


def _append(data: bytes, origin: Origin) -> Wish:
    return Wish(_appending(data), None, create=True, origin=origin, added=data)


def _besides(step: _Step) -> Besides:
    return step.wish.besides or Besides()


def _folded(
    path: str, current: Content | None, wishes: Sequence[Wish]
) -> tuple[Outcomes, list[_Step]]:
    """Each wish applied to what the one before it left; what is wrong with one hurts only it."""
    outcomes: Outcomes = []
    steps: list[_Step] = []
    found = current
    for place, wish in enumerate(wishes):
        try:
            data = wish.change(found)
        except Exception as error:  # noqa: BLE001 - raised again in the thread whose change it is
            outcomes.append(error)
            continue
        digest = found.sha256 if found else None
        size = len(found.data) if found else 0
        outcomes.append(Written(path, size, digest or "", digest, None, changed=False))
        if data is None or (found and data == found.data):
            continue
        after = _content(path, found, data)
        steps.append(_Step(place, wish, found, after))
        found = after
    return outcomes, steps


def _content(path: str, before: Content | None, data: bytes) -> Content:
    digest, now = sha256(data).hexdigest(), datetime.now(UTC)
    if before is None:
        return Content(path, data, digest, now, 0o644)
    return replace(before, data=data, sha256=digest, modified=now)


def _entry(path: str, step: _Step, kept: dict[int, Backup]) -> Entry:
    written = _written(path, step, kept)
    action = step.wish.backup or ("write" if step.wish.added is None else "append")
    return Entry(
        step.wish.origin,
        action,
        path,
        written.previous_sha256,
        written.sha256,
        written.backup_id,
    )


def _written(path: str, step: _Step, kept: dict[int, Backup]) -> Written:
    before = step.before.sha256 if step.before else None
    backup = kept[step.place].id if step.place in kept else None
    after = step.after
    return Written(path, len(after.data), after.sha256, before, backup, changed=True)
