"""``sidecar lsp``: serve an editor on stdin and stdout."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from sidecar.channel import stdio
from sidecar.cli.alone import alone
from sidecar.workspace.layout import find_root


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--stdio", action="store_true", help="the only transport; for editors")
    parser.add_argument("--solo", action="store_true", help="do everything in this one process")
    parser.add_argument("--clientProcessId", help=argparse.SUPPRESS)


def run(options: argparse.Namespace) -> int:
    """Serve until the editor ends the session."""
    if not options.solo:
        stdio.serve_editor(lambda: str(find_root(Path.cwd(), os.environ)), alone)
    from sidecar.cli import editing  # noqa: PLC0415 - a channel must not wait for it

    return editing.serve()
