"""Changes on disk: from the client where it offers to tell, and always from our own watcher."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import unquote

from lsprotocol import types

from sidecar.lsp.checker import Checker
from sidecar.lsp.session import Session

if TYPE_CHECKING:
    from sidecar.lsp.server import Server

SETTINGS_FILES = ("pyproject.toml", "sidecar.toml")


class Watcher:
    """One watch for each folder."""

    def watch(self, checker: Checker) -> None:
        """Tell a checker what changes on disk."""

    def stop(self) -> None:
        """End every watch."""


def changed(session: Session, uris: Iterable[str]) -> None:
    """Hear from the client which files changed on disk."""
    for uri in uris:
        if unquote(uri).rpartition("/")[2] in SETTINGS_FILES:
            session.reload()
        else:
            session.changed(uri)


async def register(server: Server) -> None:
    """Ask a client that can to tell of changes on disk."""
    workspace = server.client_capabilities.workspace
    support = workspace.did_change_watched_files if workspace else None
    if not (support and support.dynamic_registration):
        return
    watchers = [types.FileSystemWatcher(f"**/{name}") for name in SETTINGS_FILES]
    options = types.DidChangeWatchedFilesRegistrationOptions(watchers)
    registration = types.Registration("files", types.WORKSPACE_DID_CHANGE_WATCHED_FILES, options)
    await server.client_register_capability_async(types.RegistrationParams([registration]))
