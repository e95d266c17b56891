"""``sidecar mcp``: serve an agent, on stdin and stdout or over HTTP."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from contextlib import suppress
from typing import NoReturn

from sidecar.channel import opening, stdio
from sidecar.cli.alone import alone
from sidecar.cli.arguments import add_http_arguments, add_workspace_argument
from sidecar.cli.root import root_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add_workspace_argument(parser)
    parser.add_argument("--solo", action="store_true", help="do everything in this one process")
    parser.add_argument("--http", action="store_true", help="serve HTTP instead of stdin/stdout")
    add_http_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Serve until the client leaves or a signal comes."""
    return serve_http(options) if options.http else serve_stdio(options)


def serve_stdio(options: argparse.Namespace) -> NoReturn:
    """Serve one client on stdin and stdout; its first questions are answered at once."""
    if not options.solo:
        stdio.serve_agent(str(root_of(options)), alone)
    begun = opening.begin()
    gc.disable()  # what is imported stays; looking for garbage among it takes a sixth of the start
    from sidecar.cli import solo  # noqa: PLC0415 - clients must not wait for it

    leave(solo.serve(options, begun))


def serve_http(options: argparse.Namespace) -> NoReturn:
    """Serve many clients over HTTP."""
    from sidecar.cli import serving  # noqa: PLC0415 - the other transport must not wait for it

    leave(serving.serve_http(options))


def leave(code: int) -> NoReturn:
    """End at once: a client waits 250 ms before it kills, and taking Python apart takes longer.

    A tool that still runs cannot be stopped; its writes are atomic.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # the other end may be gone
            stream.flush()
    os._exit(code)
