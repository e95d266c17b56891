"""The texts of open editors, unsaved changes included, laid over the disk."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Overlay:
    """One open document: its text, the editor's version of it, and when it came."""

    text: str
    version: int | None
    changed: datetime


class Overlays:
    """Open documents by workspace-relative path; safe to use from any thread."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._texts: dict[str, Overlay] = {}

    def put(self, path: str, text: str, version: int | None = None) -> None:
        """Take the text that an editor shows."""
        with self._guard:
            self._texts[path] = Overlay(text, version, datetime.now(UTC))

    def get(self, path: str) -> Overlay | None:
        """The open document at a path, or None where the disk speaks."""
        return self._texts.get(path)

    def remove(self, path: str) -> None:
        """Forget a document that was closed."""
        with self._guard:
            self._texts.pop(path, None)

    def paths(self) -> list[str]:
        """The paths of all open documents, sorted."""
        with self._guard:
            return sorted(self._texts)
