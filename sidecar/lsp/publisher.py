"""How findings reach the client: one model for each client, push or pull, never both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from lsprotocol import types

from sidecar.lsp.checker import Checker
from sidecar.lsp.folder import FileView


class Publisher(Protocol):
    """Takes what a checker hands out."""

    def deliver(self, view: FileView) -> None:
        """Take what is known of one file."""

    def settled(self, checker: Checker) -> None:
        """Hear that a run is over."""


class Push:
    """Sends every file's diagnostics, open or not, as soon as they differ from the last."""

    def __init__(self, send: Callable[[types.PublishDiagnosticsParams], None]) -> None:
        self._send = send
        self._sent: dict[str, tuple[str, int | None]] = {}

    def deliver(self, view: FileView) -> None:
        """Send a file's diagnostics; a file without any is not mentioned before it had some."""
        news = (view.result_id, view.version)
        known = self._sent.get(view.uri)
        if known == news or (known is None and not view.items and view.document is None):
            return
        self._sent[view.uri] = news
        self._send(types.PublishDiagnosticsParams(view.uri, list(view.items), view.version))

    def settled(self, checker: Checker) -> None:
        """Nothing: everything has been sent."""


class Pull:
    """Remembers what the client has, and asks it to pull again when that is no longer true.

    A client pulls by itself the document in which its user types; only what changed elsewhere
    needs the request.
    """

    def __init__(self, refresh: Callable[[], object]) -> None:
        self._refresh = refresh
        self._pulled: dict[str, tuple[str, int | None]] = {}

    def deliver(self, view: FileView) -> None:
        """Nothing: the client asks."""

    def settled(self, checker: Checker) -> None:
        """Ask for a new pull if an open document the client has not changed reads differently."""
        outdated = [view for view in checker.views.values() if self._outdated(view)]
        for view in outdated:
            self.answered(view)
        if outdated:
            self._refresh()

    def _outdated(self, view: FileView) -> bool:
        known = self._pulled.get(view.uri)
        return known is not None and known[1] == view.version and known[0] != view.result_id

    def answered(self, view: FileView) -> None:
        """Note what the client has been told, or been asked to ask for."""
        self._pulled[view.uri] = (view.result_id, view.version)


def can_pull(client: types.ClientCapabilities) -> bool:
    """Whether a client pulls, and can be asked to pull again.

    Without the second, a finding that comes or goes because another file changed would never
    reach it, so it is served by push.
    """
    document = client.text_document
    workspace = client.workspace
    return bool(
        document
        and document.diagnostic
        and workspace
        and workspace.diagnostics
        and workspace.diagnostics.refresh_support
    )
