"""The texts of open editors, unsaved changes included, laid over the disk."""

from __future__ import annotations

import codecs
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Overlay:
    """One open document: its text, the editor's version of it, and when it came."""

    text: str
    version: int | None
    changed: datetime


class Overlays:
    """Open documents by workspace-relative path; safe to use from any thread.

    Several editors may have the same one open: each is an ``owner``.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._texts: dict[str, dict[object, Overlay]] = {}
        # Called with the path of a text that came, changed or went.
        self.on_change: Callable[[str], object] = lambda _: None

    def put(
        self, path: str, text: str, version: int | None = None, *, owner: object = None
    ) -> None:
        """Take the text that an editor shows."""
        with self._guard:
            held = {k: each for k, each in self._texts.get(path, {}).items() if k != owner}
            # Never changed in place: readers take no lock. The last one is the newest.
            self._texts[path] = {**held, owner: Overlay(text, version, datetime.now(UTC))}
        self.on_change(path)

    def get(self, path: str) -> Overlay | None:
        """The open document at a path as it was last changed, or None where the disk speaks."""
        held = self._texts.get(path)
        return None if held is None else next(reversed(held.values()))

    def unsaved(self, path: str, saved: bytes | None) -> Overlay | None:
        """The newest open text that differs from what is saved; None where no editor has one."""
        known = None if saved is None else saved.removeprefix(codecs.BOM_UTF8)
        for overlay in reversed(self._texts.get(path, {}).values()):
            if overlay.text.encode("utf-8", "replace") != known:
                return overlay
        return None

    def remove(self, path: str, *, owner: object = None) -> None:
        """Forget a document that an editor has closed; another editor may still hold it."""
        with self._guard:
            held = {k: each for k, each in self._texts.get(path, {}).items() if k != owner}
            if held:
                self._texts[path] = held
            else:
                self._texts.pop(path, None)
        self.on_change(path)

    def paths(self) -> list[str]:
        """The paths of all open documents, sorted."""
        with self._guard:
            return sorted(self._texts)
