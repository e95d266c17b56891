"""The language server: which message reaches which function."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from lsprotocol import types
from pygls.exceptions import JsonRpcException, PyglsError
from pygls.lsp.server import LanguageServer

from sidecar import __version__
from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.lsp import code_actions, hover, lenses, lifeline, offering, pull, validating, watching
from sidecar.lsp.documents import Document
from sidecar.lsp.protocol import Protocol
from sidecar.lsp.publisher import Pull, Push, can_pull
from sidecar.lsp.session import OpenContext, Opening, Session
from sidecar.lsp.translate import NAME, encoding

logger = logging.getLogger(__name__)


class Server(LanguageServer):
    """A language server for one client."""

    protocol: Protocol

    def __init__(self, open_context: OpenContext) -> None:
        super().__init__(NAME, __version__, protocol_cls=Protocol)
        self.open_context = open_context
        self.opened: Session | None = None
        # They hear of every text that the client has changed.
        self.followers: list[Callable[[Document], None]] = []
        self._beside: list[asyncio.Task[None]] = []

    @property
    def session(self) -> Session:
        """The client's folders; raises SidecarError where ``initialize`` has failed."""
        if self.opened is None:
            raise SidecarError(ErrorCode.UNAVAILABLE, "No folder could be opened.")
        return self.opened

    def follow(self, process: int) -> None:
        """End the session when the client's process is gone."""

        async def end_with_it() -> None:
            await lifeline.ended(process)
            self.protocol.ended.set()

        self.work(end_with_it())

    def work(self, beside: Coroutine[Any, Any, None]) -> None:
        """Do something as long as the session goes on."""
        self._beside.append(asyncio.create_task(beside))

    def close(self) -> None:
        """Stop everything that works for the session; harmless when done already."""
        if self.opened:
            self.opened.close()
        for task in self._beside:
            task.cancel()

    def report_server_error(
        self, error: Exception, source: type[PyglsError | JsonRpcException]
    ) -> None:
        """Log what failed; a popup would show the user Python's words."""
        logger.error("%s: %s", source.__name__, error)


def create(open_context: OpenContext) -> Server:
    """A server with every handler in place."""
    server = Server(open_context)
    _handle_life(server)
    _handle_documents(server)
    _handle_workspace(server)
    _handle_features(server)
    _handle_lenses(server)
    return server


def _handle_life(server: Server) -> None:
    @server.feature(types.INITIALIZE)
    def initialize(params: types.InitializeParams) -> None:
        client = params.client_info.name if params.client_info else "editor"
        options = params.initialization_options
        opening = Opening(client, options if isinstance(options, dict) else {})
        units = encoding(server.workspace.position_encoding)
        publisher = _publisher(server)
        server.opened = Session(server.open_context, opening, units, publisher)
        if lenses.can_refresh(server.client_capabilities):
            server.opened.renewed = lambda: server.workspace_code_lens_refresh(None)
        folders = [folder.uri for folder in params.workspace_folders or []]
        for uri in folders or filter(None, [server.workspace.root_uri]):
            server.session.add(uri)
        if not list(server.session):
            server.session.follow_files()
        if params.process_id is not None:
            server.follow(params.process_id)

    @server.feature(types.INITIALIZED)
    async def initialized(_: types.InitializedParams) -> None:
        server.session.start()
        if lenses.can_refresh(server.client_capabilities):
            server.work(offering.follow(server.session))
        await watching.register(server, [checker.folder for checker in server.session])

    @server.feature(types.SHUTDOWN)
    def shutdown(_: Any) -> None:
        server.close()


def _publisher(server: Server) -> Push | Pull:
    """The client's model of diagnostics; only a client that pulls is told that it may."""
    if not can_pull(server.client_capabilities):
        return Push(server.text_document_publish_diagnostics)
    publisher = Pull(lambda: server.workspace_diagnostic_refresh(None))
    options = types.DiagnosticOptions(
        inter_file_dependencies=True, workspace_diagnostics=True, identifier=NAME
    )

    @server.feature(types.TEXT_DOCUMENT_DIAGNOSTIC, options)
    async def document(params: types.DocumentDiagnosticParams) -> pull.DocumentReport:
        return await pull.of_document(server.session, publisher, params)

    @server.feature(types.WORKSPACE_DIAGNOSTIC)
    async def workspace(params: types.WorkspaceDiagnosticParams) -> types.WorkspaceDiagnosticReport:
        return await pull.of_workspace(server.session, params)

    return publisher


def _handle_documents(server: Server) -> None:
    documents = server.protocol.documents

    @server.feature(types.TEXT_DOCUMENT_DID_OPEN)
    def opened(params: types.DidOpenTextDocumentParams) -> None:
        server.session.take(documents.open(params.text_document))

    @server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
    def changed(params: types.DidChangeTextDocumentParams) -> None:
        if document := documents.change(params):
            server.session.take(document)
            for follow in server.followers:
                follow(document)

    @server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
    def closed(params: types.DidCloseTextDocumentParams) -> None:
        if document := documents.close(params.text_document.uri):
            server.session.release(document)


def _handle_workspace(server: Server) -> None:
    @server.feature(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)
    def files_changed(params: types.DidChangeWatchedFilesParams) -> None:
        server.session.changed([change.uri for change in params.changes])

    @server.feature(types.WORKSPACE_DID_CHANGE_CONFIGURATION)
    def settings_changed(_: types.DidChangeConfigurationParams) -> None:
        server.session.reload()

    @server.feature(types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS)
    def folders_changed(params: types.DidChangeWorkspaceFoldersParams) -> None:
        for folder in params.event.removed:
            server.session.remove(folder.uri)
        for folder in params.event.added:
            server.session.add(folder.uri)
        for document in server.protocol.documents:
            server.session.take(document)


def _handle_features(server: Server) -> None:
    @server.feature(types.TEXT_DOCUMENT_CODE_ACTION, code_actions.OPTIONS)
    async def actions(params: types.CodeActionParams) -> list[types.CodeAction]:
        return await code_actions.at(server.session, params, server.client_capabilities)

    @server.feature(types.CODE_ACTION_RESOLVE)
    async def resolve(params: types.CodeAction) -> types.CodeAction:
        return await code_actions.resolve(server.session, params, server.client_capabilities)

    @server.feature(types.TEXT_DOCUMENT_HOVER)
    async def page(params: types.HoverParams) -> types.Hover | None:
        return await hover.at(server.session, params)


def _handle_lenses(server: Server) -> None:
    @server.feature(types.TEXT_DOCUMENT_CODE_LENS, lenses.OPTIONS)
    async def shown(params: types.CodeLensParams) -> list[types.CodeLens]:
        return await lenses.of_document(server.session, params)

    @server.command(validating.COMMAND)
    async def validate(*words: Any) -> dict[str, Any] | None:
        return await validating.run(server, server.session, *words)

    @server.command(offering.TELL)
    async def tell(*words: Any) -> None:
        await offering.tell(server, server.session, *words)

    @server.command(offering.SKIP)
    async def skip(*words: Any) -> None:
        await offering.skip_offer(server, server.session, *words)
