"""Changes on disk: by our own watching always, from the client too where it offers to tell."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from sidecar.lsp.folder import Folder
from sidecar.services.test_results import REPORTED
from sidecar.workspace.changes import Subscription
from sidecar.workspace.layout import checked_files


def watched(folder: Folder) -> list[str]:
    """The paths whose change on disk matters to a folder's findings."""
    return checked_files(folder.context.settings.product)


def reported(folder: Folder) -> str:
    """The path of the file that changes when a validation run has ended."""
    return f"{folder.context.workspace.state.folder}/{REPORTED}"


def watch(
    folder: Folder, changed: Callable[[frozenset[str]], None], paths: Sequence[str] = ()
) -> Subscription:
    """Tell on the running loop which files changed on disk: those named, else what matters."""
    loop = asyncio.get_running_loop()

    def tell(news: frozenset[str]) -> None:
        with suppress(RuntimeError):  # the loop is closed: the session is over
            loop.call_soon_threadsafe(changed, news)

    wanted = paths or [*watched(folder), reported(folder)]
    return folder.context.workspace.changes.subscribe(wanted, tell)


async def register(server: LanguageServer, folders: Iterable[Folder]) -> None:
    """Ask a client that can to tell of changes on disk."""
    client = server.client_capabilities
    support = client.workspace.did_change_watched_files if client.workspace else None
    if not (support and support.dynamic_registration):
        return
    paths = {path for folder in folders for path in watched(folder)}
    watchers = [types.FileSystemWatcher(f"**/{path}") for path in sorted(paths)]
    options = types.DidChangeWatchedFilesRegistrationOptions(watchers)
    registration = types.Registration("files", types.WORKSPACE_DID_CHANGE_WATCHED_FILES, options)
    await server.client_register_capability_async(types.RegistrationParams([registration]))
