"""Options that several commands have; light, for the commands that must start at once."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_workspace_argument(parser: argparse.ArgumentParser) -> None:
    """Let a command take ``--workspace DIR``."""
    parser.add_argument(
        "--workspace",
        metavar="DIR",
        type=Path,
        help="the workspace's folder (default: SIDECAR_WORKSPACE, else the nearest folder at or"
        " above this one that holds .roo/, .roomodes, .zoomodes or .git)",
    )


def add_http_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare where HTTP listens and whether it asks for the token."""
    parser.add_argument("--host", help="address to listen on (default: setting `host`)")
    parser.add_argument("--port", type=int, help="port to listen on (default: setting `port`)")
    parser.add_argument(
        "--no-token", action="store_true", help="ask for no token; on a loopback address alone"
    )
