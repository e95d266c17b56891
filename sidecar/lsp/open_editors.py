"""The editors that are connected to this process, as services know them.

Nothing of the LSP libraries is needed here: this is there before the first editor is.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sidecar.domain.edit import Edit
from sidecar.workspace.overlays import Overlay, Overlays


@dataclass(frozen=True, slots=True)
class Shown:
    """A text as an editor shows it: of which workspace, at which path, at which moment."""

    overlays: Overlays
    path: str
    overlay: Overlay


class Editor(Protocol):
    """One connected editor; to be called from any thread but its own."""

    def takes(self, shown: Shown) -> bool:
        """Whether it lets others change its texts, and shows this one."""

    def apply(self, shown: Shown, edits: Sequence[Edit], label: str) -> bool:
        """Change one of its texts; raises E_CONFLICT where it cannot be told whether it did."""

    def notify(self, message: str) -> None:
        """Show a person a message."""


class ConnectedEditors:
    """Every editor that has files of one workspace open."""

    def __init__(self, overlays: Overlays) -> None:
        self._overlays = overlays
        self._guard = threading.Lock()
        self._editors: list[Editor] = []

    def join(self, editor: Editor) -> None:
        """Count on an editor from now on."""
        with self._guard:
            self._editors.append(editor)

    def leave(self, editor: Editor) -> None:
        """Forget an editor that has gone."""
        with self._guard:
            self._editors.remove(editor)

    def apply(self, path: str, edits: Sequence[Edit], *, label: str, overlay: Overlay) -> bool:
        """Change an open document by the editor that shows it; see `OpenEditors`."""
        shown = Shown(self._overlays, path, overlay)
        editor = self._showing(shown)
        return editor is not None and editor.apply(shown, edits, label)

    def takes(self, path: str, *, overlay: Overlay) -> bool:
        """Whether an editor that lets others change its texts shows this one."""
        return self._showing(Shown(self._overlays, path, overlay)) is not None

    def notify(self, message: str) -> None:
        """Show a person a message in every connected editor."""
        for editor in self._present():
            editor.notify(message)

    def _showing(self, shown: Shown) -> Editor | None:
        return next((each for each in self._present() if each.takes(shown)), None)

    def _present(self) -> list[Editor]:
        """The newest first."""
        with self._guard:
            return self._editors[::-1]
