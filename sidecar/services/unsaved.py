"""Texts that a person is typing: no tool changes a file under the feet of its editor."""

from __future__ import annotations

from typing import Literal

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.workspace.content import Content
from sidecar.workspace.workspace import Workspace

# Where a change went: only the disk is a promise of durability.
Stored = Literal["disk"]


def refuse_unsaved(workspace: Workspace, path: str, current: Content | None) -> None:
    """Raise E_CONFLICT where an editor holds another text of the file than the disk does."""
    overlay = workspace.overlays.get(path)
    if overlay is None:
        return
    if current is None or overlay.text.encode("utf-8", "replace") != current.data:
        message = f"`{path}` is open in an editor with unsaved changes."
        raise SidecarError(ErrorCode.CONFLICT, message, hint="Save it there, then repeat.")
