"""What ``sidecar lsp --solo`` does: serve an editor from this process alone."""

from __future__ import annotations

import gc
import logging
from pathlib import Path

from sidecar.engine.late_queue import queueing
from sidecar.host.shared import folder_settings, opened
from sidecar.lsp import run as server
from sidecar.lsp import stdio
from sidecar.lsp.session import Opening
from sidecar.services.context import Client, Context

# New objects between two collections; a check of a long file makes about as many.
COLLECT_AFTER = 10_000


def serve() -> int:
    """Serve until the editor ends the session; returns the exit code."""
    streams = stdio.claim()
    logging.basicConfig(level=logging.WARNING, format="sidecar lsp: %(message)s")
    _spare_the_collector()
    return server.on_stdio(open_context, streams)


def open_context(root: Path, opening: Opening) -> Context:
    """A client's view of a folder."""
    settings = folder_settings(root, opening.options)
    context = Context(opened(root, settings), settings, client=Client(opening.client))
    return queueing(context)


def _spare_the_collector() -> None:
    """Keep garbage collection out of the way of typing: it was a fifth of the time of a check.

    The libraries stay until the end, so they need not be looked at again; trees of a text hold no
    cycles, so looking for some after every 700 new objects finds nothing.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 20, 50)
