"""Saying which of a workspace's files may have changed on disk: once for each save.

Only the folders that hold our files are watched, never recursively: a recursive watch of a large
tree overflows the kernel's queue and then loops or misses saves. A slow look at each file's status
stands beside it, and takes over where the system has no watches left.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver, ObservedWatch

from sidecar.workspace.replacing import Stamp

logger = logging.getLogger(__name__)

SETTLE_SECONDS = 0.075
LONGEST_SETTLE_SECONDS = 0.5
POLL_SECONDS = 5.0
POLL_SECONDS_UNWATCHED = 1.0
# Without a filter watchdog also asks for "opened", which every reader causes.
_EVENTS: list[type[FileSystemEvent]] = [
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileDeletedEvent,
    FileClosedEvent,
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
]


class _Handler(FileSystemEventHandler):
    """Hands on both paths of every event: a save by renaming names the file as destination."""

    def __init__(self, told: Callable[[Iterable[str]], None]) -> None:
        self._told = told

    def on_any_event(self, event: FileSystemEvent) -> None:
        self._told(os.fsdecode(path) for path in (event.src_path, event.dest_path) if path)


class Watcher:
    """Watches a changing set of one workspace's files by one observer.

    ``look`` is called from the watcher's own thread with the paths that may have changed.
    """

    def __init__(
        self,
        root: Path,
        look: Callable[[frozenset[str]], None],
        *,
        poll_seconds: float = POLL_SECONDS,
        observe: Callable[[], BaseObserver] = Observer,
    ) -> None:
        self._root = root
        self._look = look
        self._poll_seconds = poll_seconds
        self._observe = observe
        self._observer: BaseObserver | None = None
        # Held while the files, their stamps and the watched folders change.
        self._guard = threading.Lock()
        self._stamps: dict[str, Stamp | None] = {}
        self._watches: dict[str, tuple[ObservedWatch, int]] = {}
        self._unwatched = False
        # Its lock is the only one that the observer waits for, so nobody who has it may wait.
        self._wake = threading.Condition()
        self._paths: frozenset[str] = frozenset()
        self._touched: set[str] = set()
        self._last_event = 0.0
        self._stopping = False
        self._due = 0.0
        self._thread = threading.Thread(target=self._run, name="sidecar-watcher", daemon=True)

    @property
    def polling(self) -> bool:
        """Whether the system gave too few watches, so that changes are noticed by looking."""
        return self._observer is None or self._unwatched

    def start(self) -> None:
        """Begin to watch what is followed."""
        try:
            observer = self._observe()
            observer.start()
            self._observer = observer
        except OSError as error:
            self._missing(error)
        self._due = time.monotonic() + self._interval()
        self._thread.start()

    def follow(self, paths: frozenset[str]) -> None:
        """Watch these files from now on, and no others."""
        with self._guard:
            self._paths = paths
            self._arm()
            self._stamps = {
                path: self._stamps[path] if path in self._stamps else self._stamp(path)
                for path in paths
            }

    def touch(self, paths: Iterable[str]) -> None:
        """Take files for ones that may have changed."""
        with self._wake:
            self._touched.update(paths)
            self._last_event = time.monotonic()
            self._wake.notify_all()

    def stop(self) -> None:
        """End every thread and watch; safe to call twice."""
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        self._thread.join()
        observer, self._observer = self._observer, None
        if observer is not None:
            observer.unschedule_all()
            observer.stop()
            observer.join()

    def _interval(self) -> float:
        """Seconds between two looks at every file."""
        most = POLL_SECONDS_UNWATCHED if self.polling else POLL_SECONDS
        return min(most, self._poll_seconds)

    def _missing(self, error: OSError) -> None:
        """Look at the files more often, for not all of their folders are watched."""
        if not self._unwatched:
            # Without the path, which str(error) has.
            reason = error.strerror or str(error)
            told = "A folder cannot be watched (%s): looking at the files every %g s instead."
            logger.warning(told, reason, POLL_SECONDS_UNWATCHED)
        self._unwatched = True

    def _folders(self) -> set[str]:
        """The folders that hold our files or, where one is missing, will come to hold it."""
        found = set()
        for path in self._paths:
            folder = path.rpartition("/")[0]
            while folder and not (self._root / folder).is_dir():
                folder = folder.rpartition("/")[0]
            found.add(folder)
            if folder:
                found.add(folder.rpartition("/")[0])
        return found

    def _arm(self) -> bool:
        """Watch every folder that has to be watched, and no other; whether there was a new one."""
        observer = self._observer
        if observer is None:
            return False
        wanted = {folder: self._inode(folder) for folder in self._folders()}
        for folder, (watch, inode) in list(self._watches.items()):
            if wanted.get(folder) != inode:
                observer.unschedule(watch)
                del self._watches[folder]
        new = [folder for folder in wanted if folder not in self._watches]
        missing = [error for folder in new if (error := self._schedule(observer, folder, wanted))]
        if missing:
            self._missing(missing[0])
        else:
            self._unwatched = False
        return bool(new)

    def _schedule(
        self, observer: BaseObserver, folder: str, inodes: dict[str, int]
    ) -> OSError | None:
        """Watch one folder; returns why it cannot be watched."""
        target = str(self._root / folder)
        try:
            watch = observer.schedule(_Handler(self._told), target, event_filter=_EVENTS)
        except OSError as error:
            return error
        self._watches[folder] = (watch, inodes[folder])
        return None

    def _inode(self, folder: str) -> int:
        try:
            return (self._root / folder).stat().st_ino
        except OSError:
            return 0

    def _told(self, absolute: Iterable[str]) -> None:
        touched = set()
        for name in absolute:
            path = Path(name)
            if path.is_relative_to(self._root):
                inner = path.relative_to(self._root).as_posix()
                prefix = f"{inner}/"
                touched |= {p for p in self._paths if p == inner or p.startswith(prefix)}
        if touched:
            self.touch(touched)

    def _run(self) -> None:
        while (touched := self._next()) is not None:
            try:
                if suspected := self._suspected(touched):
                    self._look(suspected)
            except Exception:  # the thread's edge: one bad look must not end all later ones
                logger.exception("The files could not be looked at.")

    def _next(self) -> set[str] | None:
        """The paths of settled events, maybe none when all have to be looked at; None to end."""
        with self._wake:
            while not (self._stopping or self._touched) and time.monotonic() < self._due:
                self._wake.wait(self._due - time.monotonic())
            began = time.monotonic()
            while not self._stopping and self._touched:
                quiet = self._last_event + SETTLE_SECONDS
                wake_at = min(quiet, began + LONGEST_SETTLE_SECONDS)
                if time.monotonic() >= wake_at:
                    break
                self._wake.wait(wake_at - time.monotonic())
            if self._stopping:
                return None
            touched, self._touched = self._touched, set()
        return touched

    def _suspected(self, touched: set[str]) -> frozenset[str]:
        """Of the followed files those touched, and all that differ where events may be missing."""
        with self._guard:
            stamps = self._stamps
            found = touched & stamps.keys()
            # Events of one file must not put the look at the others off.
            if self._arm() or time.monotonic() >= self._due:
                self._due = time.monotonic() + self._interval()
                found |= {path for path, known in stamps.items() if self._stamp(path) != known}
            stamps.update({path: self._stamp(path) for path in found})
            return frozenset(found)

    def _stamp(self, path: str) -> Stamp | None:
        try:
            return Stamp.of((self._root / path).stat())
        except OSError:
            return None
