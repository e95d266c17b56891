"""The start script that the specification names: stdio for a pipe, HTTP for a terminal."""

from __future__ import annotations

import argparse
import json
import sys

from sidecar import __version__
from sidecar.cli import mcp
from sidecar.cli.arguments import add_http_arguments, add_workspace_argument
from sidecar.domain.errors import SidecarError

UNAVAILABLE = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the script's options."""
    parser.add_argument("--mode", choices=["stdio", "http", "auto"], default="auto")
    parser.add_argument("--solo", action="store_true", help="do everything in this one process")
    parser.add_argument("--info", action="store_true", help="print what would be served, as JSON")
    add_workspace_argument(parser)
    add_http_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Serve in the mode asked for; ``--info`` prints and creates nothing."""
    if options.info:
        return _print_info(options)
    return mcp.serve_http(options) if _mode(options) == "http" else mcp.serve_stdio(options)


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
    from sidecar.cli.serving import served  # noqa: PLC0415 - a client on stdio must not wait for it

    info = {"name": "loop-orchestrator", "version": __version__, "mode": _mode(options)}
    try:
        told = {"available": True, **served(options)}
    except SidecarError as error:
        told = {"available": False, "reason": str(error)}
    print(json.dumps({**info, **told}, indent=2))
    return 0 if told["available"] else UNAVAILABLE
