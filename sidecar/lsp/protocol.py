"""The library's protocol with its holes mended: every request is answered, nothing leaks.

pygls 2.1.1 never answers a request with invalid parameters, hangs on a lower-case header, answers
early and late requests with the wrong codes, and sends tracebacks to the client.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Generator
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, cast

from cattrs import transform_error
from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.protocol import LanguageServerProtocol, lsp_method

from sidecar.domain.errors import SidecarError
from sidecar.lsp.documents import Documents
from sidecar.lsp.translate import encoding

if TYPE_CHECKING:
    from cattrs import Converter
    from pygls.lsp.server import LanguageServer

logger = logging.getLogger(__name__)

# The documents are ours (see documents.py), so the library's handlers for them are taken out.
OWN_METHODS = (
    types.TEXT_DOCUMENT_DID_OPEN,
    types.TEXT_DOCUMENT_DID_CHANGE,
    types.TEXT_DOCUMENT_DID_CLOSE,
)
INTERNAL_ERROR = "The sidecar could not answer this; its log on stderr says why."


class Protocol(LanguageServerProtocol):
    """One client's session, from its first byte to ``exit``."""

    def __init__(self, server: LanguageServer, converter: Converter) -> None:
        super().__init__(server, converter)
        for method in OWN_METHODS:
            del self.fm.builtin_features[method]
        self.documents = Documents()
        self.ended = asyncio.Event()
        self._initialized = False

    @property
    def exit_code(self) -> int:
        """0 once the client has asked for a shutdown, else 1 (LSP 3.17, "Exit Notification")."""
        return 0 if self._shutdown else 1

    @lsp_method(types.INITIALIZE)
    def lsp_initialize(
        self, params: types.InitializeParams
    ) -> Generator[Any, Any, types.InitializeResult]:
        """Begin the session in the units that the client counts in."""
        self._initialized = True
        result = yield from super().lsp_initialize(params)
        self.documents.units = encoding(self.workspace.position_encoding)
        return result

    @lsp_method(types.EXIT)
    def lsp_exit(self, *_: Any) -> Generator[Any, Any, None]:
        """End the session; whoever runs it leaves with ``exit_code``."""
        self.ended.set()
        yield from ()

    def receive(self, body: bytes) -> None:
        """Take one message as it came; whatever it is, a request in it gets an answer."""
        try:
            data = json.loads(body)
        except (ValueError, RecursionError):
            self._refuse(None, types.ErrorCodes.ParseError, "This is not JSON in UTF-8.")
            return
        if not isinstance(data, dict) or data.get("jsonrpc") != self.VERSION:
            identifier = data.get("id") if isinstance(data, dict) else None
            text = "This is not a JSON-RPC 2.0 message."
            self._refuse(identifier, types.ErrorCodes.InvalidRequest, text)
        elif not isinstance(data.get("method", ""), str):
            text = "The name of a method is a string."
            self._refuse(data.get("id"), types.ErrorCodes.InvalidRequest, text)
        elif "method" not in data or self._may_pass(data):
            self._deliver(data)

    def _may_pass(self, data: dict[str, Any]) -> bool:
        """Whether a request or notification may come now; one that may not is refused."""
        method, identifier, codes = data["method"], data.get("id"), types.ErrorCodes
        known = method in self.fm.builtin_features or method in self.fm.features
        if self._shutdown:
            early = method != types.EXIT
            refusal = (codes.InvalidRequest, "The session has been shut down.")
        elif not self._initialized:
            early = method not in {types.INITIALIZE, types.EXIT}
            refusal = (codes.ServerNotInitialized, "The session has not been initialized.")
        elif method == types.INITIALIZE:
            early, refusal = True, (codes.InvalidRequest, "The session is initialized already.")
        else:
            early = not known and method != types.CANCEL_REQUEST
            refusal = (codes.MethodNotFound, f"There is no method {method!r} here.")
        if early and "id" in data:
            self._refuse(identifier, *refusal)
        return not early

    def _deliver(self, data: dict[str, Any]) -> None:
        """Give a message to its handler, or say which of its parameters is wrong."""
        try:
            message = self.structure_message(data)
        except JsonRpcException as error:
            if "method" in data and "id" in data:
                text = _what_is_wrong(error)
                self._refuse(data["id"], types.ErrorCodes.InvalidParams, text)
            return
        self.handle_message(message)

    def _refuse(self, identifier: Any, code: types.ErrorCodes, message: str) -> None:
        known = identifier if isinstance(identifier, (int, str)) else None
        error = {"code": int(code), "message": message}
        # As a plain dict: the library leaves out an id of null, which JSON-RPC asks for here.
        self._send_data({"jsonrpc": self.VERSION, "id": known, "error": error})

    def _send_response(
        self, msg_id: int | str, result: Any = None, error: types.ResponseError | None = None
    ) -> None:
        """Answer a request; an unexpected failure is told without its traceback."""
        if error is not None and error.code == types.ErrorCodes.InternalError:
            error = types.ResponseError(error.code, INTERNAL_ERROR)
        super()._send_response(msg_id, result, error)

    def _send_handler_result(self, future: Future[Any], *, msg_id: int | str) -> None:
        """Answer with a handler's result; expected trouble keeps its own sentence."""
        failure = None if future.cancelled() else future.exception()
        if isinstance(failure, SidecarError):
            self._request_futures.pop(msg_id, None)
            error = types.ResponseError(
                types.LSPErrorCodes.RequestFailed, str(failure), {"code": str(failure.code)}
            )
            self._send_response(msg_id, error=error)
        else:
            super()._send_handler_result(future, msg_id=msg_id)


def _what_is_wrong(error: JsonRpcException) -> str:
    """The parameters that a client got wrong, each by its path."""
    cause = cast("Exception", error.__cause__ or error)
    return "; ".join(transform_error(cause, path="$"))
