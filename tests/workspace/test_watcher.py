"""One change for each save, in the manner of every editor."""

from __future__ import annotations

import errno
import logging
import os
import queue
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver, ObservedWatch

from sidecar.workspace.changes import Changes
from sidecar.workspace.directories import Tree, has_openat2
from sidecar.workspace.overlays import Overlays
from sidecar.workspace.watcher import Watcher

PATHS = ["TODO.md", ".roomodes", ".roo/schedules.json"]
LONG, QUIET = 15.0, 0.4


class Watched:
    """A subscriber whose changes wait in a queue."""

    def __init__(self, root: Path, paths: list[str] = PATHS, **options) -> None:
        self.told: queue.Queue[frozenset[str]] = queue.Queue()
        self.watchers: list[Watcher] = []

        def made(folder: Path, look) -> Watcher:
            self.watchers.append(Watcher(folder, look, **options))
            return self.watchers[-1]

        self.changes = Changes(Tree(root, fast=has_openat2()), Overlays(), made)
        self.subscription = self.changes.subscribe(paths, self.told.put)

    def close(self) -> None:
        self.changes.close()

    def one_change(self) -> list[str]:
        """The next change, and proof that no second one follows."""
        first = self.told.get(timeout=LONG)
        with pytest.raises(queue.Empty):
            self.told.get(timeout=QUIET)
        return sorted(first)


@pytest.fixture
def watched(root: Path) -> Iterator[Watched]:
    (root / "TODO.md").write_text("one")
    found = Watched(root, poll_seconds=3600.0)
    yield found
    found.close()


def save_in_place(path: Path, text: str) -> None:
    """As VS Code: truncate, write, close."""
    with path.open("w") as file:
        file.flush()
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def save_as_vim(path: Path, text: str) -> None:
    """As vim with backupcopy=no: keep the old file by renaming, write anew, remove the old one."""
    backup = path.with_name(f"{path.name}~")
    path.rename(backup)
    with path.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    path.chmod(0o644)
    backup.unlink()


def save_by_renaming(path: Path, text: str) -> None:
    """As most tools, and ourselves: a temporary file renamed over the old one."""
    temporary = path.with_name(f".{path.name}.tmp")
    save_in_place(temporary, text)
    temporary.replace(path)


SAVES = [save_in_place, save_as_vim, save_by_renaming]


@pytest.mark.parametrize("save", SAVES)
def test_a_save_is_one_change(watched: Watched, root: Path, save):
    for text in ("two", "three"):
        save(root / "TODO.md", text)
        assert watched.one_change() == ["TODO.md"]


def test_a_save_without_a_difference_is_none(watched: Watched, root: Path):
    save_in_place(root / "TODO.md", "one")
    (root / "other.txt").write_text("x")

    with pytest.raises(queue.Empty):
        watched.told.get(timeout=QUIET)


def test_a_folder_that_appears_is_watched_from_then_on(watched: Watched, root: Path):
    for _ in range(2):
        (root / ".roo").mkdir()
        save_in_place(root / ".roo/schedules.json", "{}")
        assert watched.one_change() == [".roo/schedules.json"]
        save_by_renaming(root / ".roo/schedules.json", '{"schedules": []}')
        assert watched.one_change() == [".roo/schedules.json"]
        shutil.rmtree(root / ".roo")
        assert watched.one_change() == [".roo/schedules.json"]


def test_deleting_and_creating_are_changes(watched: Watched, root: Path):
    (root / "TODO.md").unlink()
    assert watched.one_change() == ["TODO.md"]
    (root / "TODO.md").write_text("new")
    assert watched.one_change() == ["TODO.md"]


def test_two_files_saved_together_are_told_together(watched: Watched, root: Path):
    save_in_place(root / "TODO.md", "two")
    save_in_place(root / ".roomodes", "customModes: []")

    assert watched.one_change() == [".roomodes", "TODO.md"]


def test_a_handler_that_fails_does_not_end_the_watch(root: Path, caplog):
    told: queue.Queue[frozenset[str]] = queue.Queue()

    def handler(changed: frozenset[str]) -> None:
        told.put(changed)
        raise ValueError

    found = Watched(root)
    found.changes.subscribe(PATHS, handler)
    try:
        for text in ("1", "2"):
            save_in_place(root / "TODO.md", text)
            assert told.get(timeout=LONG) == {"TODO.md"}
            assert found.told.get(timeout=LONG) == {"TODO.md"}
    finally:
        found.close()
    assert "could not be handled" in caplog.text


class ExhaustedObserver(Observer):  # type: ignore[misc,valid-type]
    """A system that has no inotify instance left."""

    def start(self) -> None:
        raise OSError(errno.EMFILE, "inotify instance limit reached")


def no_watches() -> BaseObserver:
    return ExhaustedObserver()


def test_without_watches_the_files_are_looked_at_and_the_log_says_so(root: Path, caplog):
    caplog.set_level(logging.WARNING)
    (root / "TODO.md").write_text("one")
    found = Watched(root, observe=no_watches, poll_seconds=0.05)
    try:
        assert found.watchers[0].polling
        for save in SAVES:
            save(root / "TODO.md", save.__name__)
            assert found.told.get(timeout=LONG) == {"TODO.md"}
    finally:
        found.close()

    assert "inotify instance limit reached" in caplog.text


class ShortObserver(Observer):  # type: ignore[misc,valid-type]
    """A system that has one watch left, until another program gives some back."""

    full = threading.Event()

    def schedule(self, handler, path: str, **options) -> ObservedWatch:
        if path.endswith("more") and self.full.is_set():
            raise OSError(errno.ENOSPC, "inotify watch limit reached")
        return super().schedule(handler, path, **options)


def test_a_folder_that_no_watch_was_left_for_is_watched_as_soon_as_there_is_one(root: Path, caplog):
    (root / "more").mkdir()
    ShortObserver.full.set()
    found = Watched(root, observe=ShortObserver)
    told: queue.Queue[frozenset[str]] = queue.Queue()
    found.changes.subscribe(["more/file"], told.put)
    [watcher] = found.watchers
    try:
        assert watcher.polling
        save_in_place(root / "more" / "file", "one")
        assert told.get(timeout=LONG) == {"more/file"}
        save_in_place(root / "TODO.md", "one")
        assert found.told.get(timeout=LONG) == {"TODO.md"}
        ShortObserver.full.clear()
        end = time.monotonic() + LONG
        while watcher.polling and time.monotonic() < end:
            time.sleep(0.05)
        assert not watcher.polling
        save_in_place(root / "more" / "file", "two")
        assert told.get(timeout=LONG) == {"more/file"}
    finally:
        found.close()
    assert caplog.text.count("inotify watch limit reached") == 1


def test_the_slow_look_notices_what_no_event_told(root: Path):
    (root / "target").mkdir()
    (root / "target" / "TODO.md").write_text("one")
    (root / "TODO.md").symlink_to("target/TODO.md")
    found = Watched(root, poll_seconds=0.05)
    try:
        save_in_place(root / "target" / "TODO.md", "two")
        assert found.told.get(timeout=LONG) == {"TODO.md"}
    finally:
        found.close()


def test_stopping_leaves_no_thread_behind(root: Path):
    before = threading.active_count()
    found = Watched(root)
    found.subscription.close()
    found.subscription.close()
    found.close()

    assert threading.active_count() == before


def test_a_file_that_leads_outside_is_not_read(root: Path):
    (root.parent / "secret").write_text("1")
    (root / "TODO.md").symlink_to("../secret")
    found = Watched(root, poll_seconds=0.05)
    try:
        (root.parent / "secret").write_text("2")
        with pytest.raises(queue.Empty):
            found.told.get(timeout=QUIET)
    finally:
        found.close()
