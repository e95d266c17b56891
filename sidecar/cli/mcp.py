"""``sidecar mcp``: serve an agent, on stdin and stdout or over HTTP."""

from __future__ import annotations

import argparse
import logging
import os
import socket
import sys
from contextlib import suppress
from typing import NoReturn

from sidecar import app
from sidecar.cli.workspace import add_workspace_argument, open_workspace, root_of
from sidecar.mcp import http, stdio, token
from sidecar.services.context import Context
from sidecar.workspace.user_dirs import UserDirs

NAME = "mcp"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add_workspace_argument(parser)
    parser.add_argument("--solo", action="store_true", help="do everything in this one process")
    parser.add_argument("--http", action="store_true", help="serve HTTP instead of stdin/stdout")
    add_http_arguments(parser)


def add_http_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare where HTTP listens and whether it asks for the token."""
    parser.add_argument("--host", help="address to listen on (default: setting `host`)")
    parser.add_argument("--port", type=int, help="port to listen on (default: setting `port`)")
    parser.add_argument(
        "--no-token", action="store_true", help="ask for no token; on a loopback address alone"
    )


def run(options: argparse.Namespace) -> int:
    """Serve until the client leaves or a signal comes."""
    context = open_workspace(root_of(options))
    return serve_http(context, options) if options.http else serve_stdio(context)


def serve_stdio(context: Context) -> NoReturn:
    """Serve one client on stdin and stdout."""
    _log_to_stderr()
    leave(stdio.serve(app.mcp_server(context)))


def serve_http(context: Context, options: argparse.Namespace) -> NoReturn:
    """Serve many clients over HTTP."""
    _log_to_stderr()
    listener, rules, told = listening(context, options)
    print(f"MCP on {told}", file=sys.stderr)
    leave(http.serve(app.mcp_server(context), listener, rules))


def listening(
    context: Context, options: argparse.Namespace
) -> tuple[socket.socket, http.Access, str]:
    """A listening socket, who may use it, and the sentence that tells a person."""
    host = context.settings.host if options.host is None else options.host
    port = context.settings.port if options.port is None else options.port
    secret = None if options.no_token else token.current(UserDirs.locate())
    rules = http.access(host, secret, context.settings.allowed_hosts)
    listener = http.listen(host, port)
    shown = f"[{host}]" if ":" in host else host
    base = f"http://{shown}:{listener.getsockname()[1]}"
    if secret is None:
        asked = "WARNING: no token is asked for; every program on this machine may use the tools"
    else:
        asked = "clients send `Authorization: Bearer …`; `sidecar token` shows it"
    return listener, rules, f"{base}/mcp, for old clients {base}/sse; {asked}"


def _log_to_stderr() -> None:
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s"
    )


def leave(code: int) -> NoReturn:
    """End at once: a client waits 250 ms before it kills, and taking Python apart takes longer.

    A tool that still runs cannot be stopped; its writes are atomic.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # the other end may be gone
            stream.flush()
    os._exit(code)
