"""``sidecar serve``: show what is wrong, watch it, serve the tools over HTTP, until Ctrl-C."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from sidecar import __version__, app
from sidecar.cli.arguments import add_http_arguments, add_workspace_argument
from sidecar.cli.formats import write_text
from sidecar.cli.root import root_of
from sidecar.cli.serving import listening
from sidecar.cli.visible import one_line
from sidecar.engine.executing import executed
from sidecar.host import hosting
from sidecar.host.shared import seen_by_editors
from sidecar.host.workspace import open_workspace
from sidecar.mcp import http
from sidecar.services.context import Context
from sidecar.services.diagnosis import FileReport
from sidecar.services.registry import TOOLS
from sidecar.services.trust import is_trusted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add_workspace_argument(parser)
    parser.add_argument("--once", action="store_true", help="print what is found, then exit 0")
    add_http_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Print the findings and the faces; with ``--once`` nothing is served or written."""
    context = seen_by_editors(open_workspace(root_of(options)))
    print(f"sidecar {__version__} beside {context.workspace.root}\n")
    _show(app.reports(context))
    print(f"\n{_faces(context)}", flush=True)
    if options.once:
        return 0
    listener, rules, told = listening(context, options)
    print(f"  MCP over HTTP    {told}\n\nWatching; Ctrl-C ends it.", flush=True)
    signal.signal(signal.SIGTERM, _ended)
    with (
        app.watching(context, _show),
        executed(context, explicit=True, tell=_tell) as own,
        hosting.beside(own, _end),
    ):
        code = http.serve(app.mcp_server(own), listener, rules)
    print("stopped", flush=True)
    return code


def _ended(*_: object) -> NoReturn:
    """Leave as Ctrl-C does, so that everything is put back in order."""
    print("stopped", flush=True)
    sys.exit(0)


def _end() -> None:
    """End this process as Ctrl-C does: `sidecar stop` was asked for, or the folder has gone."""
    os.kill(os.getpid(), signal.SIGTERM)


def _tell(sentence: str) -> None:
    print(one_line(sentence), flush=True)


def _show(reports: Sequence[FileReport]) -> None:
    write_text(reports)


def _faces(context: Context) -> str:
    """What an editor and an agent start, and whether the workspace's code may run."""
    if is_trusted(context):
        trust = "trusted: tests and other code of the workspace may run"
    else:
        trust = "not trusted: no code of the workspace runs until `sidecar trust`"
    return "\n".join([
        "Faces:",
        "  LSP on stdio     `sidecar lsp`, started by the editor",
        f"  MCP on stdio     `sidecar mcp`, started by the agent: {len(TOOLS)} tools",
        f"  This workspace   {trust}",
    ])  # fmt: skip
