"""``sidecar lsp``: serve an editor on stdin and stdout."""

from __future__ import annotations

import argparse
import gc
import logging
from pathlib import Path

from sidecar.lsp import run as server
from sidecar.lsp import stdio
from sidecar.lsp.session import Opening
from sidecar.services.context import Client, Context
from sidecar.settings import Scope, Settings, load, scope_of
from sidecar.workspace.user_dirs import UserDirs
from sidecar.workspace.workspace import Workspace

# New objects between two collections; a check of a long file makes about as many.
COLLECT_AFTER = 10_000

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--stdio", action="store_true", help="the only transport; for editors")
    parser.add_argument("--solo", action="store_true", help="serve from this process alone")
    parser.add_argument("--clientProcessId", help=argparse.SUPPRESS)


def run(_: argparse.Namespace) -> int:
    """Serve until the editor ends the session."""
    streams = stdio.claim()
    logging.basicConfig(level=logging.WARNING, format="sidecar lsp: %(message)s")
    _spare_the_collector()
    return server.on_stdio(_open_context, streams)


def _spare_the_collector() -> None:
    """Keep garbage collection out of the way of typing: it was a fifth of the time of a check.

    The libraries stay until the end, so they need not be looked at again; trees of a text hold no
    cycles, so looking for some after every 700 new objects finds nothing.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 20, 50)


def _open_context(root: Path, opening: Opening) -> Context:
    """A client's view of a folder; its options may say what a workspace may say."""
    flags = {
        name: value
        for name, value in opening.options.items()
        if name in Settings.model_fields and scope_of(name) is Scope.WORKSPACE
    }
    loaded = load(root, UserDirs.locate().config / "config.toml", **flags)
    for problem in loaded.problems:
        logger.warning("%s: %s", problem.path or "settings", problem.message)
    settings = loaded.settings
    workspace = Workspace.open(root, state_dir=settings.state_dir, protected=settings.protected)
    return Context(workspace, settings, client=Client(opening.client))
