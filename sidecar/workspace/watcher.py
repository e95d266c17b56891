"""Telling when one of the workspace's files has changed on disk: once for each save.

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
from dataclasses import dataclass
from hashlib import sha256
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

from sidecar.domain.errors import SidecarError
from sidecar.workspace import paths as path_names
from sidecar.workspace import replacing
from sidecar.workspace.directories import Tree, has_openat2
from sidecar.workspace.replacing import Stamp

logger = logging.getLogger(__name__)

SETTLE_SECONDS = 0.075
LONGEST_SETTLE_SECONDS = 0.5
POLL_SECONDS = 5.0
POLL_SECONDS_UNWATCHED = 1.0
_HASHED_BYTES = 32 * 1024 * 1024
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

OnChange = Callable[[frozenset[str]], None]


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a file was when it was last looked at; both None where there was none."""

    stamp: Stamp | None = None
    digest: str | None = None


class _Handler(FileSystemEventHandler):
    """Hands on both paths of every event: a save by renaming names the file as destination."""

    def __init__(self, told: Callable[[Iterable[str]], None]) -> None:
        self._told = told

    def on_any_event(self, event: FileSystemEvent) -> None:
        self._told(os.fsdecode(path) for path in (event.src_path, event.dest_path) if path)


class Watcher:
    """Watches files of one workspace and tells the paths whose content has changed.

    ``on_change`` is called from the watcher's own thread, never twice at once.
    """

    def __init__(
        self,
        root: Path,
        paths: Iterable[str],
        on_change: OnChange,
        *,
        poll_seconds: float = POLL_SECONDS,
        observe: Callable[[], BaseObserver] = Observer,
    ) -> None:
        self._root = root.resolve()
        self._tree = Tree(self._root, fast=has_openat2())
        self._seen = dict.fromkeys((path_names.clean(path) for path in paths), _Seen())
        self._on_change = on_change
        self._poll_seconds = poll_seconds
        self._observe = observe
        self._observer: BaseObserver | None = None
        self._watches: dict[str, tuple[ObservedWatch, int]] = {}
        self._wake = threading.Condition()
        self._touched: set[str] = set()
        self._last_event = 0.0
        self._stopping = False
        self._thread: threading.Thread | None = None

    @property
    def polling(self) -> bool:
        """Whether the system gave no watches, so that changes are only noticed by looking."""
        return self._observer is None

    def start(self) -> None:
        """Take the present contents as known and begin to watch."""
        self._seen = {path: self._look(path) for path in self._seen}
        self._start_observer()
        self._thread = threading.Thread(target=self._run, name="sidecar-watcher", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End every thread and watch; safe to call twice."""
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        self._stop_observer()

    def _start_observer(self) -> None:
        observer = self._observe()
        try:
            observer.start()
            self._observer = observer
            self._arm()
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            logger.warning(
                "No file watches left (%s): looking at the files every %g s instead.",
                reason,
                POLL_SECONDS_UNWATCHED,
            )
            self._stop_observer(observer)

    def _stop_observer(self, observer: BaseObserver | None = None) -> None:
        observer = observer or self._observer
        self._observer = None
        self._watches.clear()
        if observer is not None and observer.is_alive():
            observer.unschedule_all()
            observer.stop()
            observer.join()

    def _folders(self) -> set[str]:
        """The folders that hold our files or, where one is missing, will come to hold it."""
        found = set()
        for path in self._seen:
            folder = path.rpartition("/")[0]
            while folder and not (self._root / folder).is_dir():
                folder = folder.rpartition("/")[0]
            found.add(folder)
            if folder:
                found.add(folder.rpartition("/")[0])
        return found

    def _arm(self) -> bool:
        """Watch every folder that has to be watched; whether there was a new one."""
        observer = self._observer
        if observer is None:
            return False
        wanted = {folder: self._inode(folder) for folder in self._folders()}
        for folder, (watch, inode) in list(self._watches.items()):
            if wanted.get(folder) != inode:
                observer.unschedule(watch)
                del self._watches[folder]
        new = [folder for folder in wanted if folder not in self._watches]
        for folder in new:
            target = str(self._root / folder)
            watch = observer.schedule(_Handler(self._told), target, event_filter=_EVENTS)
            self._watches[folder] = (watch, wanted[folder])
        return bool(new)

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
                touched |= {p for p in self._seen if p == inner or p.startswith(prefix)}
        if touched:
            self._touch(touched)

    def _touch(self, touched: set[str]) -> None:
        with self._wake:
            self._touched |= touched
            self._last_event = time.monotonic()
            self._wake.notify_all()

    def _run(self) -> None:
        while True:
            touched = self._next()
            if touched is None:
                return
            self._report(touched)

    def _next(self) -> set[str] | None:
        """The paths to look at: settled events, or all of them when it is time; None at the end."""
        poll = self._poll_seconds if not self.polling else POLL_SECONDS_UNWATCHED
        due = time.monotonic() + min(poll, self._poll_seconds)
        with self._wake:
            while not (self._stopping or self._touched) and time.monotonic() < due:
                self._wake.wait(due - time.monotonic())
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
        return touched or self._restated()

    def _restated(self) -> set[str]:
        return {path for path, seen in self._seen.items() if self._stamp(path) != seen.stamp}

    def _report(self, touched: set[str]) -> None:
        try:
            if self._arm():
                touched = touched | self._restated()
        except OSError as error:
            logger.warning("A folder cannot be watched: %s.", os.strerror(error.errno or 0))
        changed = set()
        for path in touched:
            before, now = self._seen[path], self._look(path)
            self._seen[path] = now
            if before.digest != now.digest:
                changed.add(path)
        if changed:
            self._call(frozenset(changed))

    def _call(self, changed: frozenset[str]) -> None:
        try:
            self._on_change(changed)
        except Exception:  # the thread's edge: one bad report must not end all later ones
            logger.exception("A change of files could not be handled.")

    def _stamp(self, path: str) -> Stamp | None:
        try:
            return Stamp.of((self._root / path).stat())
        except OSError:
            return None

    def _look(self, path: str) -> _Seen:
        try:
            descriptor = self._tree.open(self._tree.canonical(path))
        except (OSError, SidecarError):
            return _Seen(self._stamp(path), None)
        try:
            stamp = Stamp.of(os.fstat(descriptor))
            data = replacing.read_all(descriptor, _HASHED_BYTES)
        finally:
            os.close(descriptor)
        digest = sha256(data).hexdigest() if len(data) <= _HASHED_BYTES else repr(stamp)
        return _Seen(stamp, digest)
