"""When files are checked: at once after a quiet spell, else when it is quiet again."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, ParamSpec, TypeVar

from sidecar.lsp.folder import FileView, Folder
from sidecar.workspace.layout import checked_as

logger = logging.getLogger(__name__)

QUIET_SECONDS = 0.05
P = ParamSpec("P")
T = TypeVar("T")


class Checker:
    """Checks one folder off the loop, one run at a time, and hands out what is still true.

    ``deliver`` gets each view as it comes, ``settled`` is called when a run is over.
    """

    def __init__(
        self,
        folder: Folder,
        deliver: Callable[[FileView], None],
        settled: Callable[[Checker], None],
    ) -> None:
        self.folder = folder
        self.views: dict[str, FileView] = {}
        self._deliver = deliver
        self._settled = settled
        self._loop = asyncio.get_running_loop()
        self._revision = 0
        self._checked = 0
        self._touched_at = float("-inf")
        self._dirty: list[str] = []
        self._running = False
        self._closed = False
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: list[asyncio.Future[None]] = []

    def touch(self, path: str | None = None) -> None:
        """Say that something changed; the file named is looked at first."""
        quiet = self._loop.time() - self._touched_at >= QUIET_SECONDS
        self._touched_at = self._loop.time()
        self._revision += 1
        if path is not None and path not in self._dirty:
            self._dirty.insert(0, path)
        self._schedule(0.0 if quiet else QUIET_SECONDS)

    def typed(self, path: str) -> None:
        """Move the failures in an open file that is none of ours along with its text, at once."""
        document = self.folder.others.get(path)
        view = _attempt(self.folder.failing, path, document) if document else None
        if view is not None:
            self._arrived(view)

    async def current(self) -> dict[str, FileView]:
        """The views of everything that is known now, waiting for a run that covers it."""
        while self._checked != self._revision:
            await self.next_run()
        return self.views

    async def next_run(self) -> None:
        """Return when the run that is going on, or the next one, is over."""
        over: asyncio.Future[None] = self._loop.create_future()
        self._waiting.append(over)
        await over

    def close(self) -> None:
        """Take back what was handed out, and hand out nothing more."""
        self._closed = True
        for view in self.views.values():
            self._deliver(gone(view))
        if self._timer:
            self._timer.cancel()
        for future in self._waiting:
            future.cancel()

    def _schedule(self, delay: float) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = None if self._running else self._loop.call_later(delay, self._start)

    def _start(self) -> None:
        self._timer, self._running = None, True
        first, self._dirty = tuple(self._dirty), []
        work = (self._revision, first)
        threading.Thread(target=self._work, args=work, name="lsp-check", daemon=True).start()

    def _work(self, revision: int, first: tuple[str, ...]) -> None:
        """One run, on its own thread; what fails costs its own result, never the session."""
        folder, seen = self.folder, set[str]()
        moment = _attempt(folder.moment)
        if moment is not None:
            for path, kind in folder.files(first):
                view = _attempt(folder.view, moment, kind, path)
                if view is not None:
                    seen.add(path)
                    self._post(self._arrived, view)
        # Reports of validation runs can be large, so what is typed goes before them.
        seen |= self._failing(first)
        self._post(self._finished, revision, seen)

    def _failing(self, first: tuple[str, ...]) -> set[str]:
        """Look at the files in which tests failed: all of them only after a new validation run."""
        seen, folder = set[str](), self.folder
        renewed = _attempt(folder.tests.renew, folder.context)
        # Those in which nothing fails any more are told so.
        other = [path for path in list(self.views) if checked_as(path) is None]
        for path in {*folder.tests.files, *other}:
            if not (renewed or path in first):
                seen.add(path)
            elif view := _attempt(folder.failing, path, folder.others.get(path)):
                seen.add(path)
                self._post(self._arrived, view)
        return seen

    def _post(self, function: Callable[..., None], *arguments: Any) -> None:
        with suppress(RuntimeError):  # the loop is closed: the session is over
            self._loop.call_soon_threadsafe(function, *arguments)

    def _arrived(self, view: FileView) -> None:
        """Hand a view out unless the document has moved on meanwhile."""
        if not self._closed and self.folder.document(view.path) is view.document:
            self.views[view.path] = view
            self._deliver(view)

    def _finished(self, revision: int, seen: set[str]) -> None:
        self._running, self._checked = False, revision
        if self._closed:
            return
        for path in self.views.keys() - seen:
            self._deliver(gone(self.views.pop(path)))
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)
        self._settled(self)
        if self._revision != revision:
            self._schedule(max(0.0, self._touched_at + QUIET_SECONDS - self._loop.time()))


def _attempt(function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T | None:
    """The function's result; None where it failed, which the log tells."""
    try:
        return function(*arguments, **named)
    except Exception:
        logger.exception("A check failed.")
        return None


def gone(view: FileView) -> FileView:
    """The view of a file that is no longer there."""
    return replace(view, document=None, items=(), result_id="")
