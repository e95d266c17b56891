"""``sidecar token``: show or renew the token that HTTP clients send."""

from __future__ import annotations

import argparse

from sidecar.mcp import token
from sidecar.workspace.user_dirs import UserDirs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "--rotate", action="store_true", help="make a new token; the old one is refused from then"
    )


def run(options: argparse.Namespace) -> int:
    """Print the token; it lies in a file of the user's that only the user can read."""
    dirs = UserDirs.locate()
    print(token.rotate(dirs) if options.rotate else token.current(dirs))
    return 0
