"""Changes that agents make in an open document: the editor makes them, so its user can undo them.

Whether it did is seen from the text that it sends next. Its own word is not enough: Neovim 0.11
says that it has applied edits which it left out because the text had been typed in since.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from functools import partial

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from sidecar.domain.edit import Edit, apply_edits
from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.lsp.documents import Document
from sidecar.lsp.folder import Folder
from sidecar.lsp.open_editors import Shown
from sidecar.lsp.server import Server
from sidecar.lsp.translate import to_text_edits, to_workspace_edit

logger = logging.getLogger(__name__)

# Editors answer in milliseconds; one that asks its user something is not waited for.
_ANSWER_SECONDS = 10.0
# Editors gather what is typed for up to half a second before they send it.
_TEXT_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class _Awaited:
    """The text that a document has to come to."""

    uri: str
    text: str
    seen: asyncio.Future[None]


class ConnectedEditor:
    """One editor by its session, which lives on ``loop``."""

    def __init__(self, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        self._server = server
        self._loop = loop
        self._awaited: list[_Awaited] = []
        self._working: set[Future[bool]] = set()
        server.followers.append(self._follow)

    def takes(self, shown: Shown) -> bool:
        """Whether it lets others change its texts, and shows this one."""
        return self._held(shown) is not None

    def apply(self, shown: Shown, edits: Sequence[Edit], label: str) -> bool:
        """Ask for a change and wait until it is seen; see `OpenEditors`."""
        working = asyncio.run_coroutine_threadsafe(self._apply(shown, edits, label), self._loop)
        self._working.add(working)
        try:
            return working.result()
        except CancelledError:
            raise _unknown(shown.path, "its editor has gone") from None
        finally:
            self._working.discard(working)

    def notify(self, message: str) -> None:
        """Show a person a message."""
        if self._server.opened is None:
            return
        told = types.ShowMessageParams(types.MessageType.Warning, message)
        self._loop.call_soon_threadsafe(partial(self._server.window_show_message, told))

    def close(self) -> None:
        """Let nobody wait for an editor that has gone."""
        for working in list(self._working):
            working.cancel()

    def _held(self, shown: Shown) -> tuple[Folder, Document] | None:
        session = self._server.opened
        if session is None or not self._lets_change():
            return None
        for checker in session:
            folder = checker.folder
            document = folder.documents.get(shown.path)
            ours = folder.context.workspace.overlays is shown.overlays
            if ours and document and _same(document, shown):
                return folder, document
        return None

    def _lets_change(self) -> bool:
        workspace = self._server.client_capabilities.workspace
        return bool(workspace and workspace.apply_edit)

    async def _apply(self, shown: Shown, edits: Sequence[Edit], label: str) -> bool:
        found = self._held(shown)
        if found is None:
            return False
        folder, document = found
        after = _comparable(apply_edits(document.source.text, edits))
        if after == _comparable(document.source.text):
            return True  # line ends are the editor's own affair
        changes = to_text_edits(document.source, edits, folder.units)
        client = self._server.client_capabilities
        edit = to_workspace_edit(document.uri, document.version, changes, client)
        awaited = _Awaited(document.uri, after, self._loop.create_future())
        self._awaited.append(awaited)
        try:
            if not await self._answered(shown.path, types.ApplyWorkspaceEditParams(edit, label)):
                return False
            await asyncio.wait_for(awaited.seen, _TEXT_SECONDS)
        except TimeoutError:
            raise _unknown(shown.path, "its text was changed at the same moment") from None
        finally:
            self._awaited.remove(awaited)
        return True

    async def _answered(self, path: str, params: types.ApplyWorkspaceEditParams) -> bool:
        """Whether the editor says that it has made the change."""
        asking = asyncio.ensure_future(self._server.workspace_apply_edit_async(params))
        done, _ = await asyncio.wait({asking}, timeout=_ANSWER_SECONDS)
        if not done:
            raise _unknown(path, "its editor has not answered")
        try:
            answer = asking.result()
        except JsonRpcException as error:
            logger.info("The editor cannot change %s: %s", path, error)
            return False
        if not answer.applied:
            logger.info("The editor did not change %s: %s", path, answer.failure_reason)
        return answer.applied

    def _follow(self, document: Document) -> None:
        """Look whether a document has come to an awaited text."""
        for awaited in self._awaited:
            if awaited.uri != document.uri or awaited.seen.done():
                continue
            if _comparable(document.source.text) == awaited.text:
                awaited.seen.set_result(None)


def _same(document: Document, shown: Shown) -> bool:
    overlay = shown.overlay
    return document.version == overlay.version and document.source.text == overlay.text


def _comparable(text: str) -> str:
    """A text without what editors decide by themselves: how lines end, the last one included."""
    return text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")


def _unknown(path: str, why: str) -> SidecarError:
    message = f"Whether `{path}` was changed cannot be told: {why}."
    hint = "Nothing was written to the disk. Read it again before you repeat the change."
    return SidecarError(ErrorCode.CONFLICT, message, hint=hint)
