"""Who is told that a file's content has changed: one watcher a workspace, for all who subscribe."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from sidecar.domain.errors import SidecarError
from sidecar.workspace import paths as path_names
from sidecar.workspace import replacing
from sidecar.workspace.content import of_editor
from sidecar.workspace.directories import Tree
from sidecar.workspace.overlays import Overlays
from sidecar.workspace.replacing import Stamp

if TYPE_CHECKING:
    from sidecar.workspace.watcher import Watcher

logger = logging.getLogger(__name__)

_HASHED_BYTES = 32 * 1024 * 1024

OnChange = Callable[[frozenset[str]], None]
Look = Callable[[frozenset[str]], None]


def _watcher(root: Path, look: Look) -> Watcher:
    from sidecar.workspace.watcher import Watcher  # noqa: PLC0415 - most commands watch nothing

    return Watcher(root, look)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a file held when it was looked at, None for nothing: on the disk, and as shown."""

    saved: str | None
    shown: str | None


class Subscription:
    """One subscriber: its files, what it knows of them, and what it has yet to be told."""

    def __init__(
        self,
        paths: Iterable[str],
        on_change: OnChange,
        release: Callable[[Subscription], None],
        *,
        prefer_editor: bool,
    ) -> None:
        self.paths = frozenset(path_names.clean(path) for path in paths)
        self.prefer_editor = prefer_editor
        self._release = release
        self._on_change = on_change
        self._guard = threading.Lock()
        self._known: dict[str, str | None] = {}
        self._untold: set[str] = set()
        self._telling: threading.Thread | None = None
        self._closed = False

    def close(self) -> None:
        """Be told no more; waits for a call that is under way, unless this is within it."""
        with self._guard:
            self._closed = True
            telling = self._telling
        self._release(self)
        if telling is not None and telling is not threading.current_thread():
            telling.join()

    def know(self, seen: Mapping[str, _Seen]) -> None:
        """Take contents for known."""
        self._known |= {path: self._of(each) for path, each in seen.items()}

    def notice(self, seen: Mapping[str, _Seen]) -> None:
        """Tell of contents that are not the known ones, together, once the last call has ended."""
        news = {
            path for path in self.paths & seen.keys() if self._known[path] != self._of(seen[path])
        }
        self.know({path: seen[path] for path in news})
        with self._guard:
            self._untold |= news
            if self._untold and self._telling is None and not self._closed:
                # A thread of its own: whoever takes long keeps no other subscriber waiting.
                telling = threading.Thread(target=self._tell, name="sidecar-changes", daemon=True)
                telling.start()
                self._telling = telling

    def _of(self, seen: _Seen) -> str | None:
        return seen.shown if self.prefer_editor else seen.saved

    def _tell(self) -> None:
        while True:
            with self._guard:
                news, self._untold = frozenset(self._untold), set()
                if self._closed or not news:
                    self._telling = None
                    return
            try:
                self._on_change(news)
            except Exception:  # the thread's edge: one bad call must not end all later ones
                logger.exception("A change of files could not be handled.")


class Changes:
    """Tells subscribers of files whose content has changed, by one watcher for all of them.

    The first subscription starts the watcher, the last one ends it. Safe to use from any thread.
    """

    def __init__(
        self,
        tree: Tree,
        overlays: Overlays,
        make_watcher: Callable[[Path, Look], Watcher] = _watcher,
    ) -> None:
        self._tree = tree
        self._overlays = overlays
        self._make_watcher = make_watcher
        self._subscriptions: tuple[Subscription, ...] = ()
        self._watcher: Watcher | None = None
        # Held while the watcher starts, ends and changes its files; its own thread never takes it.
        self._turn = threading.Lock()
        # Held while files are looked at, so that no content falls between two subscribers.
        self._looking = threading.Lock()
        overlays.on_change = self._typed

    def subscribe(
        self, paths: Iterable[str], on_change: OnChange, *, prefer_editor: bool = False
    ) -> Subscription:
        """Tell of these files from now on, until the subscription is closed.

        ``on_change`` is called from a thread of its own, never twice at once. With
        ``prefer_editor`` an unsaved text counts as the file's content, as for `Files.read`.
        """
        made = Subscription(paths, on_change, self._release, prefer_editor=prefer_editor)
        with self._turn:
            if self._watcher is None:
                watcher = self._make_watcher(self._tree.root, self._look)
                watcher.start()
                self._watcher = watcher
            # Watched first: what changes after it was looked at is seen.
            self._watcher.follow(self._followed() | made.paths)
            with self._looking:
                # Known of first: a text that is typed meanwhile is told, and looked at after this.
                self._subscriptions = (*self._subscriptions, made)
                made.know({path: self._seen(path) for path in made.paths})
        return made

    def close(self) -> None:
        """Close every subscription."""
        for subscription in self._subscriptions:
            subscription.close()

    def _release(self, subscription: Subscription) -> None:
        with self._turn:
            with self._looking:
                kept = tuple(each for each in self._subscriptions if each is not subscription)
                self._subscriptions = kept
            if self._watcher is None:
                return
            if kept:
                self._watcher.follow(self._followed())
                return
            self._watcher.stop()
            self._watcher = None

    def _followed(self) -> frozenset[str]:
        return frozenset[str]().union(*(each.paths for each in self._subscriptions))

    def _typed(self, path: str) -> None:
        watcher = self._watcher
        of_editors = (each for each in self._subscriptions if each.prefer_editor)
        if watcher is not None and any(path in each.paths for each in of_editors):
            watcher.touch([path])

    def _look(self, paths: frozenset[str]) -> None:
        with self._looking:
            seen = {path: self._seen(path) for path in paths & self._followed()}
            for each in self._subscriptions:
                each.notice(seen)

    def _seen(self, path: str) -> _Seen:
        data, saved = self._read(path)
        overlay = self._overlays.unsaved(path, data)
        if overlay is None:
            return _Seen(saved, saved)
        # What was typed and then saved is news: readers are told where a text comes from.
        return _Seen(saved, f"unsaved {of_editor(path, overlay).sha256}")

    def _read(self, path: str) -> tuple[bytes | None, str | None]:
        """A file's first bytes, and what differs when its content does."""
        try:
            descriptor = self._tree.open(self._tree.canonical(path))
        except (OSError, SidecarError):
            return None, None
        try:
            stamp = Stamp.of(os.fstat(descriptor))
            data = replacing.read_all(descriptor, _HASHED_BYTES)
            short = len(data) <= _HASHED_BYTES
            return data, sha256(data).hexdigest() if short else repr(stamp)
        except OSError:
            return None, None
        finally:
            os.close(descriptor)
