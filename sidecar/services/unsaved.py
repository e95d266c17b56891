"""Texts that a person is typing: no tool changes a file under the feet of its editor."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Literal

from sidecar.domain.edit import Edit, difference
from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.domain.source import Source
from sidecar.services.context import Context
from sidecar.services.ports import OpenEditors
from sidecar.workspace.content import Change, Content, Written, of_editor
from sidecar.workspace.journal import present_origin
from sidecar.workspace.overlays import Overlay
from sidecar.workspace.workspace import Workspace

# Where a change went: only the disk is a promise of durability.
Stored = Literal["disk", "editor"]
NOT_SAVED = "Changed in the editor, not saved: not durable, its user can undo it."

_TRIES = 5
_QUIET_SECONDS = 0.2
_PATIENCE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Update:
    """What a change left, and where."""

    written: Written
    stored: Stored


def refuse_unsaved(workspace: Workspace, path: str, current: Content | None) -> None:
    """Raise E_CONFLICT where an editor holds another text of the file than the disk does."""
    if workspace.overlays.unsaved(path, current.data if current else None) is not None:
        raise _unsaved(path, "Save it there, then repeat.")


def present(context: Context, path: str, *, limit: int | None = None) -> Content | None:
    """What a change of the file has to go by: its unsaved text, else the disk's; None for neither.

    Raises E_CONFLICT where an editor has unsaved text that it does not let us change.
    """
    files = context.workspace.files
    try:
        content = files.read(path, limit=limit, prefer_editor=True)
    except SidecarError as error:
        if error.code is not ErrorCode.NOT_FOUND:
            raise
        return None
    if content.source == "editor":
        _changeable(context, path)
    return content


def update(context: Context, path: str, change: Change, *, backup: str | None = "update") -> Update:
    """Change a file where it is edited now: in the editor that has it unsaved, else on the disk.

    ``change`` may be called again, upon what a person or another program has made of the text
    meanwhile. Raises what `Files.update` does, and E_CONFLICT where the editor refuses.
    """
    workspace = context.workspace

    def saved(current: Content | None) -> bytes | None:
        refuse_unsaved(workspace, path, current)
        return change(current)

    for _ in range(_TRIES):
        _changeable(context, path)
        overlay = _rested(workspace, path)
        if overlay is None:
            return Update(workspace.files.update(path, saved, backup=backup), "disk")
        written = _shown(context, path, overlay, change)
        if written is not None:
            return Update(written, "editor")
        if _overlay(workspace, path) == overlay:
            raise _unsaved(path, "The editor refused the change. Save it there, then repeat.")
    raise _unsaved(path, "It is being typed in just now. Read it again, then repeat.")


def _overlay(workspace: Workspace, path: str) -> Overlay | None:
    if workspace.overlays.get(path) is None:
        return None
    try:
        saved = workspace.files.read(path).data
    except SidecarError as error:
        if error.code is not ErrorCode.NOT_FOUND:
            raise
        saved = None
    return workspace.overlays.unsaved(path, saved)


def _rested(workspace: Workspace, path: str) -> Overlay | None:
    """The unsaved text when nobody has typed in it for a moment, or as it is after some moments.

    An editor may send what is typed a little later; a change in between would be refused, or made
    at places that have moved (Neovim 0.11 does not see that).
    """
    end = time.monotonic() + _PATIENCE_SECONDS
    while (overlay := _overlay(workspace, path)) is not None:
        age = (datetime.now(UTC) - overlay.changed).total_seconds()
        if age >= _QUIET_SECONDS or time.monotonic() >= end:
            break
        time.sleep(min(_QUIET_SECONDS - age, _QUIET_SECONDS))
    return overlay


def _changeable(context: Context, path: str) -> None:
    overlay = _overlay(context.workspace, path)
    editors = context.editors
    if overlay and not (editors and editors.takes(path, overlay=overlay)):
        raise _unsaved(path, "Save it there, then repeat.")


def _shown(context: Context, path: str, overlay: Overlay, change: Change) -> Written | None:
    """What the editor holds after the change; None where it refused or its text had changed."""
    before = of_editor(path, overlay)
    data = change(before)
    if data is None or data == before.data:
        return Written(path, len(before.data), before.sha256, before.sha256, None, changed=False)
    edits = difference(Source(overlay.text), Source(_text(path, data)))
    label = f"{present_origin().tool or 'change'} by {context.client.name}"
    editors = context.editors
    if not (editors and editors.apply(path, edits, label=label, overlay=overlay)):
        return None
    digest = sha256(data).hexdigest()
    return Written(path, len(data), digest, before.sha256, None, changed=True)


def _text(path: str, data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        hint = "Save it there, then repeat; or write UTF-8."
        raise _unsaved(path, hint) from None


def _unsaved(path: str, hint: str) -> SidecarError:
    message = f"`{path}` is open in an editor with unsaved changes."
    return SidecarError(ErrorCode.CONFLICT, message, hint=hint)


@dataclass(frozen=True, slots=True)
class UnchangedEditors:
    """Editors for a dry run: they answer as the real ones would, and nothing changes."""

    real: OpenEditors

    def apply(
        self,
        path: str,
        edits: Sequence[Edit],  # noqa: ARG002 - the real one's signature
        *,
        label: str,  # noqa: ARG002
        overlay: Overlay,
    ) -> bool:
        """Whether the change could be asked for."""
        return self.takes(path, overlay=overlay)

    def takes(self, path: str, *, overlay: Overlay) -> bool:
        """Whether an editor that lets others change its texts shows this one."""
        return self.real.takes(path, overlay=overlay)

    def notify(self, message: str) -> None:
        """Nobody is told of what is only tried."""
