"""The start script that the specification names: stdio for a pipe, HTTP for a terminal."""

from __future__ import annotations

import argparse
import json
import sys

from sidecar import __version__
from sidecar.cli import mcp
from sidecar.cli.workspace import add_workspace_argument, open_workspace, root_of
from sidecar.domain.errors import SidecarError
from sidecar.services.registry import TOOLS

NAME = "startup"
UNAVAILABLE = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the script's options."""
    parser.add_argument("--mode", choices=["stdio", "http", "auto"], default="auto")
    parser.add_argument("--info", action="store_true", help="print what would be served, as JSON")
    add_workspace_argument(parser)
    mcp.add_http_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Serve in the mode asked for; ``--info`` prints and creates nothing."""
    if options.info:
        return _print_info(options)
    context = open_workspace(root_of(options))
    if _mode(options) == "http":
        return mcp.serve_http(context, options)
    return mcp.serve_stdio(context)


def main() -> int:
    """Run the script; exit code 2 is a refusal."""
    parser = argparse.ArgumentParser(prog="mcp_startup.py", description=__doc__)
    add_arguments(parser)
    try:
        return run(parser.parse_args())
    except SidecarError as error:
        print(f"mcp_startup.py: {error} [{error.code}]", file=sys.stderr)
        return 2


def _mode(options: argparse.Namespace) -> str:
    if options.mode != "auto":
        return str(options.mode)
    return "http" if sys.stdin is not None and sys.stdin.isatty() else "stdio"


def _print_info(options: argparse.Namespace) -> int:
    info = {"name": "loop-orchestrator", "version": __version__, "mode": _mode(options)}
    try:
        context = open_workspace(root_of(options))
    except SidecarError as error:
        print(json.dumps({**info, "available": False, "reason": str(error)}, indent=2))
        return UNAVAILABLE
    settings = context.settings
    served = {
        "available": True,
        "workspace": str(context.workspace.root),
        "transports": ["stdio", "http", "sse"],
        "host": settings.host if options.host is None else options.host,
        "port": settings.port if options.port is None else options.port,
        "tools": list(TOOLS),
    }
    print(json.dumps({**info, **served}, indent=2))
    return 0
