"""What all sessions of a sidecar share: one workspace with its unsaved texts, and settings."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

from sidecar.engine.late_queue import queueing
from sidecar.lsp.open_editors import ConnectedEditors
from sidecar.services.context import Client, Context
from sidecar.services.views import Views
from sidecar.settings import Scope, Settings, load, scope_of
from sidecar.workspace.user_dirs import UserDirs
from sidecar.workspace.workspace import Workspace

logger = logging.getLogger(__name__)


class Shared:
    """The sidecar's workspace, and the other folders that its editors have open."""

    def __init__(self, context: Context) -> None:
        self.editors = _editors_of(context)
        self.views = Views(replace(context, editors=self.editors))
        self._others: dict[Path, Workspace] = {}

    @property
    def context(self) -> Context:
        """The sidecar's own view of its workspace."""
        return self.views.context

    def folder(self, root: Path, client: str, options: dict[str, Any]) -> Context:
        """An editor's view of a folder; in the workspace, tools see what is typed there."""
        settings = folder_settings(root, options)
        real = root.resolve()
        workspace = self.context.workspace if real == self.context.workspace.root else None
        workspace = workspace or self._others.get(real)
        if workspace is None:
            workspace = self._others[real] = opened(root, settings)
        return queueing(Context(workspace, settings, client=Client(client)))


def seen_by_editors(context: Context) -> Context:
    """The same view where editors that connect to this process can be asked to change a text."""
    return replace(context, editors=_editors_of(context))


def _editors_of(context: Context) -> ConnectedEditors:
    known = context.editors
    if isinstance(known, ConnectedEditors):
        return known
    return ConnectedEditors(context.workspace.overlays)


def folder_settings(root: Path, options: dict[str, Any]) -> Settings:
    """A folder's settings; an editor's options may say what a workspace may say."""
    flags = {
        name: value
        for name, value in options.items()
        if name in Settings.model_fields and scope_of(name) is Scope.WORKSPACE
    }
    loaded = load(root, UserDirs.locate().config / "config.toml", **flags)
    for problem in loaded.problems:
        logger.warning("%s: %s", problem.path or "settings", problem.message)
    return loaded.settings


def opened(root: Path, settings: Settings) -> Workspace:
    """A folder as a workspace under its settings."""
    return Workspace.open(root, state_dir=settings.state_dir, protected=settings.protected)
